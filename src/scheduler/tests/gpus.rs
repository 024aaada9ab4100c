//! GPUs: several trials on one, and those that are lost.

use std::collections::BTreeMap;

use super::*;
use crate::{protocol::WorkerLine, system::device::GpuBackend};

fn gpu(index: usize) -> Device {
    Device::gpu(GpuBackend::Cuda, index)
}

/// A scheduler whose slots, one for each of `gpus`, are all busy with the first trials.
fn busy_on(gpus: &[usize], trials: u32, packing: Packing) -> Scheduler {
    let all: Vec<PendingTrial> = (1..=trials).map(|id| pending(TrialId(id))).collect();
    let devices = gpus.iter().map(|index| gpu(*index)).collect();
    let mut scheduler = with_slots(devices, &all, Terms { packing, ..terms(trials) });
    scheduler.step(Input::Begin);
    for slot in 0..gpus.len() {
        scheduler.step(Input::Line(Slot(slot), READY));
    }
    scheduler
}

/// What follows when the GPU of a slot is lost under a trial, and the worker has left.
fn lose(scheduler: &mut Scheduler, slot: usize, trial: TrialId) -> Vec<Action> {
    let lost = failure(FailureKind::DeviceLost);
    let mut actions = scheduler.step(Input::Line(Slot(slot), WorkerLine::Failed(trial, lost)));
    actions.extend(scheduler.step(Input::Exited(Slot(slot), WorkerExit::Code(1))));
    plain(actions)
}

fn shown(actions: &[Action]) -> Vec<Device> {
    let lost = actions.iter().filter_map(|action| match action {
        Action::ShowLost(device, _) => Some(*device),
        _ => None,
    });
    lost.collect()
}

fn spawned(actions: &[Action]) -> Vec<(Slot, TrialId)> {
    let spawned = actions.iter().filter_map(|action| match action {
        Action::Spawn { slot, trial, .. } => Some((*slot, *trial)),
        _ => None,
    });
    spawned.collect()
}

#[test]
fn a_gpu_that_is_lost_once_is_tried_again_by_a_fresh_process() {
    let mut scheduler = busy_on(&[0, 1], 4, Packing::default());
    let actions = lose(&mut scheduler, 0, T1);
    assert_eq!((shown(&actions), spawned(&actions)), (Vec::new(), vec![(SLOT, T1)]));
}

#[test]
fn a_gpu_that_is_lost_twice_in_a_row_is_set_aside() {
    let mut scheduler = busy_on(&[0, 1], 4, Packing::default());
    lose(&mut scheduler, 0, T1);
    scheduler.step(Input::Line(SLOT, READY));
    let actions = lose(&mut scheduler, 0, T1);
    assert_eq!((shown(&actions), spawned(&actions)), (vec![gpu(0)], Vec::new()));
}

#[test]
fn the_trial_of_a_lost_gpu_goes_to_another_at_no_charge() {
    let mut scheduler = busy_on(&[0, 1], 3, Packing::default());
    for _ in 0..2 {
        let actions = lose(&mut scheduler, 0, T1);
        assert!(actions.contains(&failed(T1, FailureKind::DeviceLost, true)), "{actions:?}");
        scheduler.step(Input::Line(SLOT, READY));
    }
    // It was tried before, and so gets a fresh process.
    let actions = scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [Action::Leave(Slot(1))]);
    let actions = scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(0)));
    assert_eq!(spawned(&actions), [(Slot(1), T1)]);
}

#[test]
fn a_trial_that_finishes_between_shows_that_a_gpu_works() {
    let mut scheduler = busy_on(&[0], 4, Packing::default());
    lose(&mut scheduler, 0, T1);
    scheduler.step(Input::Line(SLOT, READY));
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    let actions = lose(&mut scheduler, 0, T2);
    assert_eq!(shown(&actions), []);
}

#[test]
fn all_workers_of_a_lost_gpu_are_ended() {
    let mut scheduler = busy_on(&[0, 0, 0, 1], 8, Packing::default());
    lose(&mut scheduler, 0, T1);
    let lost = WorkerLine::Failed(T2, failure(FailureKind::DeviceLost));
    let actions = plain(scheduler.step(Input::Line(Slot(1), lost)));
    assert_eq!(shown(&actions), [gpu(0)]);
    let killed: Vec<&Action> = actions.iter().filter(|action| matches!(action, Action::Kill(_))).collect();
    assert_eq!(killed, [&Action::Kill(SLOT), &Action::Kill(Slot(2))]);
    assert!(actions.contains(&failed(TrialId(3), FailureKind::DeviceLost, true)), "{actions:?}");
}

#[test]
fn a_run_without_any_gpu_left_ends_with_its_trials_waiting() {
    let mut scheduler = busy_on(&[0], 2, Packing::default());
    lose(&mut scheduler, 0, T1);
    scheduler.step(Input::Line(SLOT, READY));
    assert!(!scheduler.is_without_device());
    let actions = lose(&mut scheduler, 0, T1);
    assert!(actions.ends_with(&ended(true)), "{actions:?}");
    assert!(scheduler.is_without_device());
}

/// What follows from a first trial that took `bytes` on a GPU with 80 GB of room.
fn packed(bytes: u64, slots_max: usize) -> Vec<Action> {
    let packing =
        Packing { room: BTreeMap::from([(gpu(0), 80_000_000_000)]), slots_max, ..Packing::default() };
    let mut scheduler = busy_on(&[0], 9, packing);
    scheduler.step(Input::Line(SLOT, WorkerLine::GpuMemory(T1, bytes)))
}

#[test]
fn a_gpu_is_packed_with_what_fits_beside_a_margin() {
    let bytes = 10_000_000_000;
    assert_eq!(packed(bytes, 64), [Action::Pack { device: gpu(0), slots: 7, bytes }]);
    assert_eq!(packed(bytes, 4), [Action::Pack { device: gpu(0), slots: 4, bytes }]);
}

#[test]
fn a_trial_that_fills_a_gpu_stays_alone_there() {
    assert_eq!(packed(50_000_000_000, 64), []);
}

#[test]
fn a_gpu_is_packed_once() {
    let packing =
        Packing { room: BTreeMap::from([(gpu(0), 80_000_000_000)]), slots_max: 64, ..Packing::default() };
    let mut scheduler = busy_on(&[0, 1], 9, packing);
    let line = |trial| WorkerLine::GpuMemory(trial, 30_000_000_000);
    assert_eq!(scheduler.step(Input::Line(SLOT, line(T1))).len(), 1);
    assert_eq!(scheduler.step(Input::Line(SLOT, line(T1))), []);
    assert_eq!(scheduler.step(Input::Line(Slot(1), line(T2))), [], "it has no room of its own");
}
