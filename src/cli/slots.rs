//! The choice of a run's device slots, with its reason.

use super::{exit::Stop, gpus};
use crate::{
    plan::{Plan, size},
    policy::TrialsPerGpu,
    scheduler::Packing,
    settings::MatmulPrecision,
    system::{
        device::{Device, has_nvidia_driver},
        machine::Machine,
    },
    train::{self, TrainError},
};

/// Estimated bytes of a CPU worker without its model: program, texts, and the activations of a step.
const WORKER_BYTES: u64 = 400_000_000;
/// Bytes of a CPU worker for each parameter of its model. Six numbers of four bytes: value, gradient, the two
/// moments of the optimizer, the best value so far, and a copy while a checkpoint is written.
const PARAMETER_BYTES: u64 = 6 * 4;

/// The device slots of a run.
#[derive(Debug, PartialEq)]
pub(super) struct ChosenSlots {
    pub(super) devices: Vec<Device>,
    /// The reason for their number, for people; `None` if the user chose them.
    why: Option<String>,
    /// What the user should know who did not choose the devices.
    pub(super) note: Option<String>,
    /// What `CUDA_VISIBLE_DEVICES` calls each of NVIDIA's GPUs.
    pub(super) visible: Vec<String>,
    /// What fits into the GPUs' memory.
    pub(super) packing: Packing,
}

/// The work of a run, on which the number of slots depends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Number of trials of the sweep.
    pub(super) trials: usize,
    /// Number of parameters of its largest model; 0 if unknown.
    pub(super) parameters: u64,
    /// Estimated bytes of the activations of a step, if some trial trains more than the classifier.
    pub(super) activations: Option<u64>,
}

/// The slots that `choice` names. With `auto` on a CPU, their number depends on the load.
///
/// GPUs have as many slots as `per_gpu` says, all first slots before the second ones.
pub(super) fn choose(choice: &str, load: Load, per_gpu: TrialsPerGpu) -> Result<ChosenSlots, Stop> {
    let machine = gpus::machine_for(choice);
    let devices = machine.slots(choice)?;
    let (count, is_auto) = match per_gpu {
        TrialsPerGpu::Count(count) => (count.get(), false),
        TrialsPerGpu::Auto => (1, true),
    };
    let need = gpus::Need { parameters: load.parameters, workers: count };
    gpus::check(&machine, &devices, need)?;
    let visible = machine.visible_names();
    let on_cpu = devices.iter().all(|device| matches!(device, Device::Cpu { .. }));
    if choice.trim() != "auto" || !on_cpu {
        let packing = if is_auto { gpus::packing(&machine, &devices) } else { Packing::default() };
        let why = (is_auto && !on_cpu && packing.room.is_empty()).then(|| {
            "one trial on each GPU, since its driver does not tell how much memory is free".to_owned()
        });
        // Classifiers are small.
        let fused_max = load.activations.map(|bytes| gpus::fused_max(&machine, &devices, need, bytes));
        let packing = Packing { fused_max: fused_max.unwrap_or_default(), ..packing };
        return Ok(ChosenSlots { devices: repeated(&devices, count), why, note: None, visible, packing });
    }
    let (slots, why) = fit(devices.len(), machine.memory_available_bytes, load);
    let (devices, packing) = (machine.slots(&format!("cpu:{slots}"))?, Packing::default());
    Ok(ChosenSlots { devices, why, note: unused_gpus(&machine), visible, packing })
}

/// Checks that the devices have the matrix products of these trials. Returns a note for people, if need be.
///
/// # Errors
/// When a device has no products of the precision that a trial asks for.
pub(super) fn check_precision(plan: &Plan, devices: &[Device]) -> Result<Option<String>, Stop> {
    let precisions = || plan.trials.iter().map(|trial| trial.settings.matmul_precision);
    for precision in precisions() {
        if let Some(device) = devices.iter().find(|device| !train::takes(**device, precision)) {
            let refusal = TrainError::Precision(precision);
            return Err(Stop::usage(format!("{refusal}, not for {device}; take \"f32\"")));
        }
    }
    let on_cpu = devices.iter().any(|device| matches!(device, Device::Cpu { .. }));
    if !on_cpu || precisions().all(|precision| precision != MatmulPrecision::Bf16) {
        return Ok(None);
    }
    let note = "note: this processor has no AVX-512 BF16, so that `matmul_precision = \"bf16\"` is no faster than \
                \"f32\"";
    Ok((!train::has_bf16()).then(|| note.to_owned()))
}

/// The devices, with this number of slots for each GPU.
fn repeated(devices: &[Device], count: usize) -> Vec<Device> {
    let gpus = || devices.iter().copied().filter(|device| matches!(device, Device::Gpu { .. }));
    devices.iter().copied().chain((1..count).flat_map(|_| gpus())).collect()
}

/// What is said where this build runs on the processor although the machine has NVIDIA's driver.
fn unused_gpus(machine: &Machine) -> Option<String> {
    let is_unused = !machine.cuda_build && has_nvidia_driver();
    is_unused.then(|| {
        "note: this machine has NVIDIA's driver, but this build cannot use its GPUs: cargo build --release --features \
         cuda"
            .to_owned()
    })
}

/// The number of slots on this many cores, with `free` bytes of memory, and the reason.
fn fit(cores: usize, free: Option<u64>, load: Load) -> (usize, Option<String>) {
    let need = WORKER_BYTES + load.parameters.saturating_mul(PARAMETER_BYTES);
    let room = free.map_or(cores, |free| usize::try_from(free / need).unwrap_or(cores)).max(1);
    let trials = load.trials.max(1);
    let slots = cores.min(room).min(trials);
    let why = if slots == room && room < cores {
        let free = free.map_or_else(String::new, |free| format!(", and {} are free", size(free)));
        Some(format!("more would not fit: a worker with this model takes about {}{free}", size(need)))
    } else if slots == trials && trials < cores {
        Some("one for each trial".to_owned())
    } else if slots > 1 {
        Some("a trial on each core is faster than one trial after another on all of them".to_owned())
    } else {
        None
    };
    (slots, why)
}

impl ChosenSlots {
    /// No slots: workers of a cluster do the work.
    pub(super) fn none() -> Self {
        let (devices, visible, packing) = (Vec::new(), Vec::new(), Packing::default());
        Self { devices, why: None, note: None, visible, packing }
    }

    /// The slots on one line: `cpu:0 (1 thread), cpu:1 (1 thread): a trial on each core …`.
    pub(super) fn line(&self) -> String {
        let describe = |device: &Device| match device {
            Device::Cpu { threads: 1, .. } => format!("{device} (1 thread)"),
            Device::Cpu { threads, .. } => format!("{device} ({threads} threads)"),
            Device::Gpu { .. } => device.to_string(),
        };
        let names = self.devices.iter().map(describe).collect::<Vec<_>>().join(", ");
        self.why.iter().fold(names, |names, why| format!("{names}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, system::device::GpuBackend};

    const SMALL: Load = Load { trials: 12, parameters: 1_000_000, activations: Some(0) };

    #[test]
    fn devices_are_named_with_their_threads_before_the_reason() {
        let devices = vec![Device::Cpu { slot: 0, threads: 1 }, Device::Cpu { slot: 1, threads: 2 }];
        let slots = ChosenSlots {
            devices,
            why: Some("so".to_owned()),
            note: None,
            visible: Vec::new(),
            packing: Packing::default(),
        };
        assert_eq!(slots.line(), "cpu:0 (1 thread), cpu:1 (2 threads): so");
    }

    #[test]
    fn each_gpu_has_its_number_of_slots_and_the_processor_its_own() {
        let [zero, one] = [0, 1].map(|index| Device::gpu(GpuBackend::Cuda, index));
        let cpu = Device::Cpu { slot: 0, threads: 1 };
        assert_eq!(repeated(&[zero, cpu, one], 3), [zero, cpu, one, zero, one, zero, one]);
    }

    #[test]
    fn precisions_are_refused_where_a_device_lacks_them() {
        let mut plan = samples::plan(2);
        let [cpu, cuda, wgpu] = [
            Device::Cpu { slot: 0, threads: 1 },
            Device::gpu(GpuBackend::Cuda, 1),
            Device::gpu(GpuBackend::Wgpu, 0),
        ];
        assert_eq!(check_precision(&plan, &[cpu, cuda, wgpu]).unwrap(), None);
        plan.trials[1].settings.matmul_precision = MatmulPrecision::Bf16;
        let refusal = check_precision(&plan, &[cuda, wgpu]).unwrap_err().message;
        assert!(refusal.contains("\"bf16\"` is for CPU devices") && refusal.contains("wgpu:0"), "{refusal}");
        assert_eq!(check_precision(&plan, &[cuda]).unwrap(), None);
        #[cfg(feature = "flex")]
        assert_eq!(check_precision(&plan, &[cpu]).unwrap().is_some(), !train::has_bf16());
        plan.trials[1].settings.matmul_precision = MatmulPrecision::Tf32;
        let refusal = check_precision(&plan, &[cuda, cpu]).unwrap_err().message;
        assert!(refusal.contains("\"tf32\"` is for NVIDIA GPUs, not for cpu:0"), "{refusal}");
        assert_eq!(check_precision(&plan, &[cuda]).unwrap(), None);
    }

    #[test]
    fn each_core_has_a_trial_of_its_own() {
        let (slots, why) = fit(8, Some(64_000_000_000), SMALL);
        assert_eq!(slots, 8);
        assert!(why.unwrap().starts_with("a trial on each core"));
        assert_eq!(fit(1, None, SMALL), (1, None));
    }

    #[test]
    fn a_large_model_has_as_many_slots_as_fit_into_memory() {
        let large = Load { parameters: 102_000_000, ..SMALL };
        let (slots, why) = fit(8, Some(8_000_000_000), large);
        assert_eq!(slots, 2);
        assert!(why.unwrap().contains("a worker with this model takes about 2.8 GB, and 8.0 GB are free"));
    }

    #[test]
    fn there_is_at_least_one_slot() {
        let large = Load { parameters: 102_000_000, ..SMALL };
        assert_eq!(fit(8, Some(1_000), large).0, 1);
    }

    #[test]
    fn few_trials_share_the_cores() {
        assert_eq!(fit(8, None, Load { trials: 3, ..SMALL }), (3, Some("one for each trial".to_owned())));
    }
}
