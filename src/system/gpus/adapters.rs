//! The devices that wgpu reaches, in an order of our own.
//!
//! wgpu's own order is that of the drivers. Ours puts the kinds one after another, as cubecl names them: a worker
//! that is given `wgpu:2` asks anew and finds the adapter that the user saw under this number.

use super::report::Adapter;

/// The devices that wgpu reaches; none without the feature.
#[cfg(not(feature = "wgpu"))]
#[must_use]
pub(crate) fn adapters() -> Vec<Adapter> {
    Vec::new()
}

/// The devices that wgpu reaches.
#[cfg(feature = "wgpu")]
#[must_use]
pub(crate) fn adapters() -> Vec<Adapter> {
    use wgpu::{Backends, Instance, InstanceDescriptor};

    // What cubecl-wgpu 0.10 takes (`AutoGraphicsApi`).
    let backends = if cfg!(target_os = "macos") { Backends::METAL } else { Backends::VULKAN };
    let descriptor = InstanceDescriptor { backends, ..InstanceDescriptor::new_without_display_handle() };
    // The future is ready at once, but on the web.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return Vec::new() };
    let found = runtime.block_on(Instance::new(descriptor).enumerate_adapters(backends));
    numbered(found.iter().filter_map(|adapter| described(&adapter.get_info())).collect())
}

#[cfg(feature = "wgpu")]
fn described(info: &wgpu::AdapterInfo) -> Option<Adapter> {
    use super::report::AdapterKind;

    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
        wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
        wgpu::DeviceType::Cpu => AdapterKind::Software,
        // cubecl cannot be told to take one.
        wgpu::DeviceType::Other => return None,
    };
    Some(Adapter {
        index: 0,
        name: info.name.clone(),
        api: info.backend.to_string(),
        kind,
        of_kind: 0,
        bus: info.device_pci_bus_id.clone(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
    })
}

/// Puts adapters into the order of their kinds, and numbers them. Of software, cubecl takes the first alone.
#[cfg(any(feature = "wgpu", test))]
fn numbered(mut adapters: Vec<Adapter>) -> Vec<Adapter> {
    adapters.sort_by_key(|adapter| adapter.kind);
    let mut before = None;
    let mut of_kind = 0;
    for adapter in &mut adapters {
        of_kind = if before == Some(adapter.kind) { of_kind + 1 } else { 0 };
        (before, adapter.of_kind) = (Some(adapter.kind), of_kind);
    }
    adapters.retain(|adapter| adapter.is_gpu() || adapter.of_kind == 0);
    for (index, adapter) in adapters.iter_mut().enumerate() {
        adapter.index = index;
    }
    adapters
}

#[cfg(test)]
mod tests {
    use super::{super::report::AdapterKind, *};

    #[test]
    fn adapters_are_numbered_by_kind_in_the_order_of_the_drivers() {
        let adapter = |name: &str, kind| Adapter {
            index: 0,
            name: name.to_owned(),
            api: "vulkan".to_owned(),
            kind,
            of_kind: 0,
            bus: String::new(),
            driver: String::new(),
        };
        let found = vec![
            adapter("software", AdapterKind::Software),
            adapter("first", AdapterKind::Discrete),
            adapter("more software", AdapterKind::Software),
            adapter("inside", AdapterKind::Integrated),
            adapter("second", AdapterKind::Discrete),
        ];
        let found: Vec<(usize, String, usize)> =
            numbered(found).into_iter().map(|found| (found.index, found.name, found.of_kind)).collect();
        let numbered = [(0, "first", 0), (1, "second", 1), (2, "inside", 0), (3, "software", 0)]
            .map(|(index, name, of_kind)| (index, name.to_owned(), of_kind));
        assert_eq!(found, numbered);
    }
}
