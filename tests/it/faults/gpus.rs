//! Sweeps on many GPUs: stand-ins for the driver, real worker processes that compute nothing.

use std::{collections::BTreeMap, num::NonZeroUsize};

use sweep::{
    policy::Fuse,
    scheduler::Packing,
    system::{
        device::{Device, GpuBackend},
        machine::Machine,
    },
};

use super::*;
use crate::common::stand_in;

/// A machine with so many GPUs, as the program finds it.
fn machine(gpus: usize) -> Machine {
    let place = Place::empty();
    let program = stand_in::program(&place, &[("GPUS", &gpus.to_string())]);
    let mut machine = Machine { cuda_build: true, ..Machine::detect() };
    // Another thread's child may have the script open for writing.
    while {
        machine.look_for_nvidia(&program, None);
        machine.broken_nvidia.take().is_some_and(|fault| fault.contains("Text file busy"))
    } {}
    assert_eq!(machine.gpus.len(), gpus, "{machine:?}");
    machine
}

/// A sweep on so many GPUs, with so many slots on each.
fn sweep_on(gpus: usize, each: NonZeroUsize, trials: u32, script: &str) -> FaultySweep {
    let machine = machine(gpus);
    let mut sweep = FaultySweep::new(0, trials, script);
    let devices = machine.slots("cuda:*").unwrap();
    sweep.run.devices = devices.repeat(each.get());
    sweep.run.workers.visible = machine.visible_names();
    sweep
}

fn name(gpu: usize) -> String {
    format!("GPU-{gpu:02}000000-0000-0000-0000-000000000000")
}

/// The GPU that each attempt at a trial saw.
fn seen(sweep: &FaultySweep, trial: TrialId) -> Vec<String> {
    let path = sweep.run.folder.trial(trial).path().join("gpus");
    let text = fs::read_to_string(path).unwrap_or_default();
    let gpu = |line: &str| line.strip_suffix(" PCI_BUS_ID").unwrap().to_owned();
    text.lines().map(gpu).collect()
}

/// How many trials each GPU completed.
fn shares(sweep: &FaultySweep) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for trial in &sweep.run.plan.trials {
        *shares.entry(seen(sweep, trial.id).pop().unwrap()).or_default() += 1;
    }
    shares
}

/// A share for each GPU.
fn even(gpus: usize, share: usize) -> BTreeMap<String, usize> {
    (0..gpus).map(|gpu| (name(gpu), share)).collect()
}

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

/// Asserts that a sweep with as many trials as GPUs runs them all at once, each worker with a GPU of its own.
async fn assert_all_at_once(gpus: usize) {
    let trials = u32::try_from(gpus).unwrap();
    let sweep = sweep_on(gpus, one(), trials, &format!("* * gathers {gpus}"));
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; gpus]);
    assert_eq!(shares(&sweep), even(gpus, 1));
}

#[tokio::test]
async fn one_gpu_runs_its_trial() {
    assert_all_at_once(1).await;
}

#[tokio::test]
async fn two_gpus_work_at_once() {
    assert_all_at_once(2).await;
}

#[tokio::test]
async fn eight_gpus_work_at_once() {
    assert_all_at_once(8).await;
}

#[tokio::test]
async fn sixteen_gpus_work_at_once() {
    assert_all_at_once(16).await;
}

#[tokio::test]
async fn no_gpu_is_given_two_trials_at_once() {
    let sweep = sweep_on(4, one(), 24, "* * occupies 1");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; 24]);
    assert_eq!(shares(&sweep).values().sum::<usize>(), 24);
}

#[tokio::test]
async fn a_packed_gpu_runs_several_trials_at_once() {
    let sweep = sweep_on(2, NonZeroUsize::new(3).unwrap(), 6, "* * gathers 6");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; 6]);
    assert_eq!(shares(&sweep), even(2, 3));
}

#[tokio::test]
async fn a_packed_gpu_is_given_no_more_trials_than_it_has_slots() {
    let sweep = sweep_on(2, NonZeroUsize::new(2).unwrap(), 16, "* * occupies 2");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; 16]);
}

#[tokio::test]
async fn a_gpu_is_packed_as_its_first_trial_shows() {
    // The first trial takes 20 GB of 80: three fit, with a margin, and the other three meet.
    let mut sweep = sweep_on(1, one(), 4, "1 * takes-gpu-memory 20000000000\n* * gathers 3");
    // Each in a process of its own: together they would be one after another there.
    sweep.run.plan.policy.fuse = Fuse::Off;
    let device = Device::gpu(GpuBackend::Cuda, 0);
    sweep.run.workers.packing =
        Packing { room: BTreeMap::from([(device, 80_000_000_000)]), slots_max: 16, ..Packing::default() };
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; 4]);
    assert_eq!(shares(&sweep), even(1, 4));
}

/// The end of a sweep, and the warnings to its user.
async fn warned(sweep: &FaultySweep) -> (Result<Ended, executor::ExecutorError>, Vec<String>) {
    let (_sender, interrupts) = mpsc::channel(1);
    let mut warnings = Vec::new();
    let mut watch = |notice: &Notice<'_>| {
        if let Notice::Warning(text) = notice {
            warnings.push(text.clone());
        }
    };
    let ended = executor::run(sweep.run.clone(), interrupts, &mut FixedPlan, vec![&mut watch]).await;
    (ended, warnings)
}

#[tokio::test]
async fn the_sweep_of_a_lost_gpu_is_finished_by_the_others() {
    let sweep = sweep_on(2, one(), 6, &format!("* * lost-on {}", name(1)));
    let (ended, warnings) = warned(&sweep).await;
    assert_eq!(states(&ended.unwrap().study), vec![State::Complete; 6]);
    assert_eq!(shares(&sweep), BTreeMap::from([(name(0), 6)]));
    let [warning] = warnings.try_into().unwrap();
    let begin =
        "cuda:1 is set aside: it was lost twice in a row (CUDA_ERROR_ECC_UNCORRECTABLE). No trial fails";
    assert!(warning.starts_with(begin) && warning.contains("nvidia-smi"), "{warning}");
}

#[tokio::test]
async fn a_lost_gpu_costs_no_trial_an_attempt() {
    let mut sweep = sweep_on(2, one(), 4, &format!("* * lost-on {}", name(0)));
    sweep.policy().retries = Retries { panic: 0, exit: 0, ..Retries::default() };
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), vec![State::Complete; 4]);
    let failures: Vec<(FailureKind, bool)> =
        (1..=4).flat_map(|trial| sweep.failures(TrialId(trial))).collect();
    assert_eq!(failures, vec![(FailureKind::DeviceLost, true); 2]);
}

#[tokio::test]
async fn a_run_whose_gpus_are_all_lost_stops_and_the_next_one_goes_on() {
    let sweep = sweep_on(1, one(), 2, &format!("* * lost-on {}", name(0)));
    let (ended, _) = warned(&sweep).await;
    let error = ended.unwrap_err().to_string();
    let begin = "no device is left: cuda:0: CUDA_ERROR_ECC_UNCORRECTABLE. No trial failed for that";
    assert!(error.starts_with(begin), "{error}");
    sweep.script("");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
}
