//! What commands do about GPUs before they use them: drivers are asked, and each chosen GPU is tried.

use std::{collections::BTreeMap, thread};

use super::exit::Stop;
use crate::{
    error_chain::chain,
    plan::size,
    policy::TrialsPerGpu,
    scheduler::Packing,
    settings::Settings,
    system::{
        device::{Device, GpuBackend},
        gpus::{
            Gpu, GpuProcess,
            child::{self, Question},
            visible,
        },
        machine::{Machine, running_program},
        selection::DeviceError,
    },
};

/// Estimated bytes of GPU memory that a worker takes without its model: context, kernels, and the activations of a step.
const WORKER_BYTES: u64 = 1_000_000_000;
/// Bytes of GPU memory for each parameter of a model: value, gradient, and the two moments of the optimizer.
const PARAMETER_BYTES: u64 = 4 * 4;
/// Width of an attention head, as in all the usual encoders.
const HEAD_WIDTH: f64 = 64.0;
/// Bytes of each of its parameters. Beside [`PARAMETER_BYTES`], an updated value and two moments while a step is made, and
/// the best value so far.
const FUSED_PARAMETER_BYTES: u64 = 8 * 4;
/// Processes that an error names.
const NAMED_PROCESSES_MAX: usize = 5;

/// What a run wants of a GPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// Number of parameters of its largest model; 0 if unknown.
    pub(super) parameters: u64,
    /// Number of its workers on one GPU.
    pub(super) workers: usize,
}

impl Need {
    fn bytes(self) -> u64 {
        let worker = WORKER_BYTES + self.parameters.saturating_mul(PARAMETER_BYTES);
        worker.saturating_mul(self.workers as u64)
    }
}

/// This machine, with the GPUs that `choice` may mean and this build can use.
pub(super) fn machine_for(choice: &str) -> Machine {
    let mut machine = Machine::detect();
    let means = |backend: GpuBackend| {
        let is_named = choice.split(',').any(|name| name.trim().starts_with(backend.name()));
        backend.is_built() && (is_named || choice.trim() == "auto")
    };
    if means(GpuBackend::Cuda) {
        look_for_nvidia(&mut machine);
    }
    // The graphics drivers are not asked where `auto` has GPUs already.
    if means(GpuBackend::Wgpu) && (choice.trim() != "auto" || machine.gpus.is_empty()) {
        machine.look_for_adapters(&running_program());
    }
    machine
}

/// Adds the NVIDIA GPUs that this process may use.
pub(super) fn look_for_nvidia(machine: &mut Machine) {
    let visible = std::env::var(visible::VARIABLE).ok();
    machine.look_for_nvidia(&running_program(), visible.as_deref());
}

/// Tries each of `devices` that is a GPU.
///
/// # Errors
/// When one has too little memory left, or does not work.
pub(super) fn check(machine: &Machine, devices: &[Device], need: Need) -> Result<(), Stop> {
    let mut gpus: Vec<Device> =
        devices.iter().copied().filter(|device| matches!(device, Device::Gpu { .. })).collect();
    gpus.sort_unstable();
    gpus.dedup();
    for &device in &gpus {
        if let Some(gpu) = machine.nvidia(device) {
            has_room(device, gpu, need)?;
        }
    }
    // At once: each takes some seconds on a GPU that has to wake first.
    thread::scope(|scope| {
        let tries: Vec<_> = gpus.iter().map(|device| scope.spawn(|| attempt(machine, *device))).collect();
        let mut outcomes = tries.into_iter().map(|tried| tried.join().unwrap_or(Ok(())));
        outcomes.find(Result::is_err).unwrap_or(Ok(()))
    })
    .map_err(Stop::from)
}

/// Has a process of its own try a GPU, with the environment of a worker.
fn attempt(machine: &Machine, device: Device) -> Result<(), DeviceError> {
    let (program, limit) = (running_program(), child::ANSWER_MAX);
    let (name, tried, variables) = match machine.nvidia(device) {
        Some(gpu) => {
            (gpu.name.clone(), "cuda:0".to_owned(), visible::environment(&visible::name_of(gpu)).to_vec())
        }
        None => (machine.name_of(device), device.to_string(), Vec::new()),
    };
    let driver = machine.cuda_version.map(|version| version.to_string());
    let mut arguments = vec![child::WORKS, "--device", &tried];
    if let Some(driver) = &driver {
        arguments.extend(["--driver-cuda", driver]);
    }
    let question = Question { program: &program, arguments: &arguments, variables: &variables, limit };
    let fault = match question.ask::<Option<String>>() {
        Ok(None) => return Ok(()),
        Ok(Some(fault)) => fault,
        Err(error) => format!("{}; look at the system's log (`dmesg`), or use other devices", chain(&error)),
    };
    Err(DeviceError::Faulty { device, name, fault })
}

/// Checks that a GPU has as much free memory as a worker needs at least.
fn has_room(device: Device, gpu: &Gpu, need: Need) -> Result<(), DeviceError> {
    let (Some(free), Some(total)) = (gpu.memory_free_bytes, gpu.memory_bytes) else { return Ok(()) };
    if free >= need.bytes() {
        return Ok(());
    }
    let takes = match need.workers {
        1 => "a worker with this model takes".to_owned(),
        workers => format!("{workers} workers with this model take"),
    };
    let remedy = if gpu.processes.is_empty() {
        "take a smaller model, or another GPU".to_owned()
    } else {
        format!(
            "it is used by {}; end what is not needed, or leave the GPU out of --devices",
            listed(&gpu.processes)
        )
    };
    let fault = format!(
        "{} of its {} of memory are free, and {takes} about {}; {remedy}",
        size(free),
        size(total),
        size(need.bytes())
    );
    Err(DeviceError::Faulty { device, name: gpu.name.clone(), fault })
}

/// How the chosen GPUs get further slots: into the memory that is free now, and not more than the processor serves.
pub(super) fn packing(machine: &Machine, devices: &[Device]) -> Packing {
    let free = |device: &Device| Some((*device, machine.nvidia(*device)?.memory_free_bytes?));
    let slots_max = (machine.cores / devices.len().max(1)).clamp(1, TrialsPerGpu::MAX);
    Packing { room: devices.iter().filter_map(free).collect(), slots_max, ..Packing::default() }
}

/// Estimated bytes of what the backward pass of a step needs of the forward pass, where `settings` train an encoder of so
/// many layers and parameters.
///
/// Of each token and layer, 68 numbers of four bytes for each unit of width, and 10 for each head and token of its chunk:
/// twice what Korthikanti et al. 2022 (arXiv 2205.05198, section 4.1) count at 16 bits. Kernels that keep less make it an
/// upper bound. The width is that of an encoder all of whose parameters are in its layers, which is too large too.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate"
)]
pub(super) fn activations(settings: &Settings, layers: usize, parameters: u64) -> u64 {
    let examples = settings.batch_size.div_ceil(settings.gradient_accumulation.max(1));
    let tokens = examples.saturating_mul(settings.chunk_length).min(settings.batch_tokens) as f64;
    let layers = layers.max(1) as f64;
    let width = (parameters as f64 / (12.0 * layers)).sqrt();
    let heads = (width / HEAD_WIDTH).ceil();
    let per_token = 68.0 * width + 10.0 * heads * settings.chunk_length as f64;
    (tokens * layers * per_token) as u64
}

/// How many trials fit together into nine tenths of the memory of each GPU that is free now, by estimates. GPUs whose driver
/// does not tell are not named.
pub(super) fn fused_max(
    machine: &Machine,
    devices: &[Device],
    need: Need,
    activations: u64,
) -> BTreeMap<Device, usize> {
    let parameters = need.parameters.saturating_mul(FUSED_PARAMETER_BYTES);
    let trial = activations.saturating_add(parameters).max(1);
    let fitting = |device: &Device| {
        let free = machine.nvidia(*device)?.memory_free_bytes? / 10 * 9 / need.workers.max(1) as u64;
        let fitting = free.saturating_sub(WORKER_BYTES / 2) / trial;
        Some((*device, usize::try_from(fitting).unwrap_or(usize::MAX).max(1)))
    };
    devices.iter().filter_map(fitting).collect()
}

/// Processes with their numbers, names and memory, the largest first.
fn listed(processes: &[GpuProcess]) -> String {
    let mut processes: Vec<&GpuProcess> = processes.iter().collect();
    processes.sort_by_key(|process| std::cmp::Reverse(process.memory_bytes));
    let describe = |process: &&GpuProcess| {
        let name = process.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let bytes = process.memory_bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
        format!("process {}{name}{bytes}", process.pid)
    };
    let mut names: Vec<String> = processes.iter().take(NAMED_PROCESSES_MAX).map(describe).collect();
    if processes.len() > names.len() {
        names.push(format!("{} more", processes.len() - names.len()));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(processes: Vec<GpuProcess>) -> Gpu {
        Gpu {
            name: "NVIDIA X".to_owned(),
            memory_bytes: Some(80_000_000_000),
            memory_free_bytes: Some(1_500_000_000),
            processes,
            ..Gpu::default()
        }
    }

    fn process(pid: u32, name: Option<&str>, memory_bytes: Option<u64>) -> GpuProcess {
        GpuProcess { pid, name: name.map(ToOwned::to_owned), memory_bytes }
    }

    #[test]
    fn a_gpu_that_others_fill_is_refused_with_their_names() {
        let others = vec![process(7, None, None), process(812, Some("python"), Some(78_000_000_000))];
        let refusal = has_room(
            Device::gpu(GpuBackend::Cuda, 1),
            &filled(others),
            Need { parameters: 100_000_000, workers: 1 },
        )
        .unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "cuda:1 (NVIDIA X) cannot be used: 1.5 GB of its 80.0 GB of memory are free, and a worker with this model \
             takes about 2.6 GB; it is used by process 812 python (78.0 GB), process 7; end what is not needed, or \
             leave the GPU out of --devices"
        );
    }

    #[test]
    fn a_gpu_with_room_or_without_figures_is_taken() {
        let device = Device::gpu(GpuBackend::Cuda, 0);
        assert_eq!(has_room(device, &filled(Vec::new()), Need { parameters: 0, workers: 1 }), Ok(()));
        assert_eq!(has_room(device, &Gpu::default(), Need { parameters: u64::MAX, workers: 9 }), Ok(()));
    }

    #[test]
    fn several_workers_need_several_times_the_memory() {
        let device = Device::gpu(GpuBackend::Cuda, 0);
        let refusal = has_room(device, &filled(Vec::new()), Need { parameters: 0, workers: 2 }).unwrap_err();
        let text = refusal.to_string();
        assert!(
            text.contains("free, and 2 workers with this model take about 2.0 GB; take a smaller"),
            "{text}"
        );
    }

    #[test]
    fn room_is_what_the_driver_says_is_free_for_gpus_that_were_chosen() {
        let machine =
            Machine { cores: 8, gpus: vec![filled(Vec::new()), Gpu::default()], ..Machine::default() };
        let devices = [0, 1].map(|index| Device::gpu(GpuBackend::Cuda, index));
        let Packing { room, slots_max, .. } = packing(&machine, &devices);
        assert_eq!((room, slots_max), (BTreeMap::from([(devices[0], 1_500_000_000)]), 4));
        assert_eq!(packing(&machine, &[]).slots_max, 8);
    }

    #[test]
    fn as_many_trials_fit_together_as_their_share_of_the_free_memory_holds() {
        let gpu = Gpu { memory_free_bytes: Some(20_000_000_000), ..filled(Vec::new()) };
        let machine = Machine { gpus: vec![gpu, Gpu::default()], ..Machine::default() };
        let devices = [0, 1].map(|index| Device::gpu(GpuBackend::Cuda, index));
        let of =
            |workers| fused_max(&machine, &devices, Need { parameters: 24_000_000, workers }, 500_000_000);
        // (18 − 0.5) / (0.5 + 0.768), and with half of the memory for each worker.
        assert_eq!((of(1), of(2)), (BTreeMap::from([(devices[0], 13)]), BTreeMap::from([(devices[0], 6)])));
    }

    #[test]
    fn activations_grow_with_tokens_and_not_beyond_a_pass() {
        let of = |batch_size, chunk_length| {
            let settings = Settings { chunk_length, batch_size, ..Settings::default() };
            activations(&settings, 12, 102_000_000)
        };
        // BERT-base: 32 x 128 tokens, 12 layers, some 74,000 bytes of each.
        assert!((3_500_000_000..3_800_000_000).contains(&of(32, 128)), "{}", of(32, 128));
        assert_eq!(of(32, 512), of(64, 512), "a pass has 16,384 tokens at most");
    }

    #[test]
    fn few_processes_are_named() {
        let many: Vec<GpuProcess> = (1..=9).map(|pid| process(pid, None, None)).collect();
        assert!(listed(&many).ends_with("process 5, 4 more"), "{}", listed(&many));
    }
}
