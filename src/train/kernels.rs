//! Where compiled kernels and the results of tuning are kept: they live longer than a worker.
//!
//! cubecl compiles each kernel once for a process, which takes a minute before the first step of a first trial. With a
//! folder it asks there first. The folder is one of the user's, below that for caches, and each model of a GPU has its
//! own: cubecl's names of kernels do not say for which one they were compiled.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig as _, cache::CacheConfig};

use crate::system::{
    device::{Device, GpuBackend},
    gpus::{self, visible},
};

/// Has cubecl keep what it compiles for `device`, unless it has begun or a `cubecl.toml` says where. Without a folder,
/// or a name for the GPU, it keeps nothing.
pub(super) fn keep(device: Device) {
    let Some(folder) = user_cache().and_then(|cache| folder(&cache, &model(device)?)) else { return };
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache.get_or_insert_with(|| CacheConfig::File(folder.clone()));
    if matches!(config.autotune.cache, CacheConfig::Target) {
        config.autotune.cache = CacheConfig::File(folder);
    }
    let mut stored = CubeClRuntimeConfig::storage().lock();
    if stored.is_none() {
        *stored = Some(Arc::new(config));
    }
}

/// The user's folder for caches.
fn user_cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))
}

/// The model of a GPU, with what its driver serves.
fn model(device: Device) -> Option<String> {
    match device {
        Device::Cpu { .. } => None,
        Device::Gpu { backend: GpuBackend::Cuda, .. } => {
            // The name of this worker's one GPU.
            gpus::model(&std::env::var(visible::VARIABLE).ok()?)
        }
        Device::Gpu { backend: GpuBackend::Wgpu, index } => {
            let adapter = gpus::adapters().into_iter().nth(index)?;
            Some(format!("{} {} {}", adapter.name, adapter.api, adapter.driver))
        }
    }
}

/// The folder of a model's kernels: its name without what a path cannot hold.
fn folder(cache: &Path, model: &str) -> Option<PathBuf> {
    let words = model.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    let is_name = name.chars().any(|c| c.is_ascii_alphanumeric()) && !name.starts_with('.');
    is_name.then(|| cache.join(env!("CARGO_PKG_NAME")).join("kernels").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_has_a_folder_of_its_own_in_the_cache() {
        let folder = |model| folder(Path::new("/cache"), model);
        let expected = Path::new("/cache/sweep/kernels/NVIDIA-H100-80GB-HBM3-CUDA-13.0");
        assert_eq!(folder("NVIDIA H100 80GB HBM3 CUDA 13.0").as_deref(), Some(expected));
        let expected = Path::new("/cache/sweep/kernels/llvmpipe-LLVM-15.0.6-256-bits");
        assert_eq!(folder("llvmpipe (LLVM 15.0.6, 256 bits)").as_deref(), Some(expected));
    }

    #[test]
    fn a_model_without_a_name_has_no_folder() {
        for nameless in ["", " / ", "..", "../../etc"] {
            assert_eq!(folder(Path::new("/cache"), nameless), None, "{nameless}");
        }
    }
}
