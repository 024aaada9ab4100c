//! What follows when memory runs out, by example.

use super::*;
use crate::system::{device::GpuBackend, memory::Memory};

const T3: TrialId = TrialId(3);
const DIED: WorkerExit = WorkerExit::OutOfMemory(Memory::Host);

/// How the attempts that `actions` begin are made.
fn starts(actions: &[Action]) -> Vec<(TrialId, Option<usize>, bool)> {
    let start = |action: &Action| match action {
        Action::Log(Some(trial), Event::Started { micro_batch, alone, .. }) => {
            Some((*trial, *micro_batch, *alone))
        }
        _ => None,
    };
    actions.iter().filter_map(start).collect()
}

/// Lets something happen, and gets every worker ready that is started then.
fn step(scheduler: &mut Scheduler, input: Input) -> Vec<Action> {
    let mut actions = scheduler.step(input);
    let spawned = |action: &Action| match action {
        Action::Spawn { slot, .. } => Some(*slot),
        _ => None,
    };
    let slots: Vec<Slot> = actions.iter().filter_map(spawned).collect();
    for slot in slots {
        actions.extend(scheduler.step(Input::Line(slot, READY)));
    }
    actions
}

/// Lets the slot's process run out of memory.
fn run_out(scheduler: &mut Scheduler, slot: Slot) -> Vec<Action> {
    step(scheduler, Input::Exited(slot, DIED))
}

fn of_batch(slots: usize, batch: usize, trials: u32) -> Scheduler {
    let all: Vec<PendingTrial> =
        (1..=trials).map(|id| PendingTrial { pass_examples: batch, ..pending(TrialId(id)) }).collect();
    let mut scheduler = with_slots(cpu(slots), &all, terms(trials));
    step(&mut scheduler, Input::Begin);
    scheduler
}

#[test]
fn the_same_again_then_ever_smaller_passes_then_it_is_given_up() {
    let mut scheduler = of_batch(1, 9, 1);
    let sizes: Vec<Option<usize>> =
        (0..5).map_while(|_| starts(&run_out(&mut scheduler, SLOT)).first().map(|start| start.1)).collect();
    assert_eq!(sizes, [None, Some(4), Some(2), Some(1)]);
    let all = [PendingTrial { pass_examples: 1, ..pending(T1) }];
    let mut scheduler = with_slots(cpu(1), &all, terms(1));
    step(&mut scheduler, Input::Begin);
    assert_eq!(starts(&run_out(&mut scheduler, SLOT)), [(T1, None, false)]);
    let actions = plain(run_out(&mut scheduler, SLOT));
    assert_eq!(actions[0], failed(T1, FailureKind::OutOfMemory(Memory::Host), false));
}

#[test]
fn the_worker_is_told_the_size_of_its_passes() {
    let mut scheduler = of_batch(1, 8, 1);
    run_out(&mut scheduler, SLOT);
    let actions = run_out(&mut scheduler, SLOT);
    let given = GivenTrial { trial: T1, micro_batch: Some(4), without_cache: false };
    assert_eq!(actions.last(), Some(&Action::Run { slot: SLOT, trials: vec![given] }));
}

#[test]
fn a_trial_that_fits_only_alone_waits_for_its_device_and_has_it_for_itself() {
    let mut scheduler = of_batch(3, 1, 6);
    // The fourth trial runs then; the first one's second attempt comes after all others.
    run_out(&mut scheduler, SLOT);
    for trial in [T2, T3, TrialId(4), TrialId(5)] {
        let slot = [Slot(1), Slot(2), SLOT, Slot(1)][trial.0 as usize - 2];
        scheduler.step(Input::Line(slot, WorkerLine::Finished(trial, outcome())));
    }
    // Two still hold a process, the third one has left.
    let actions = step(&mut scheduler, Input::Exited(SLOT, WorkerExit::Code(0)));
    assert_eq!(starts(&actions), [(T1, None, false)]);
    run_out(&mut scheduler, SLOT);
    assert!(matches!(scheduler.slots.state(SLOT), SlotState::Empty), "it waits until it is alone");
    scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(0)));
    scheduler.step(Input::Line(Slot(2), WorkerLine::Finished(TrialId(6), outcome())));
    let actions = step(&mut scheduler, Input::Exited(Slot(2), WorkerExit::Code(0)));
    assert_eq!(starts(&actions), [(T1, None, true)]);
    let actions = plain(run_out(&mut scheduler, SLOT));
    assert_eq!(actions[0], failed(T1, FailureKind::OutOfMemory(Memory::Host), false));
    assert_eq!(actions[1..], ended(false));
}

#[test]
fn while_a_trial_is_alone_its_device_is_kept_idle_and_afterwards_one_slot_rests() {
    let mut scheduler = of_batch(3, 1, 1);
    let others: Vec<PendingTrial> = (2..=9).map(|id| pending(TrialId(id))).collect();
    run_out(&mut scheduler, SLOT);
    run_out(&mut scheduler, SLOT);
    assert!(scheduler.slots.is_taken(MemoryPool::Host(Host::LOCAL)));
    scheduler.queue.waiting.extend(others.iter().map(|all| all.trial));
    assert_eq!(scheduler.step(Input::SpaceFreed), [], "nothing starts beside it");
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [Action::Leave(SLOT)]);
    let actions = step(&mut scheduler, Input::Exited(SLOT, WorkerExit::Code(0)));
    assert_eq!(starts(&actions).len(), 2, "one slot fewer");
}

#[test]
fn other_devices_go_on_while_one_is_kept_for_a_trial() {
    let devices = vec![
        Device::gpu(GpuBackend::Cuda, 0),
        Device::gpu(GpuBackend::Cuda, 0),
        Device::gpu(GpuBackend::Cuda, 1),
    ];
    let all: Vec<PendingTrial> =
        (1..=5).map(|id| PendingTrial { pass_examples: 1, ..pending(TrialId(id)) }).collect();
    let mut scheduler = with_slots(devices, &all, terms(5));
    scheduler.step(Input::Begin);
    for slot in 0..3 {
        scheduler.step(Input::Line(Slot(slot), READY));
    }
    scheduler.queue.waiting.clear();
    run_out(&mut scheduler, SLOT);
    run_out(&mut scheduler, SLOT);
    scheduler.queue.waiting.push_back(TrialId(4));
    let actions = scheduler.step(Input::Line(Slot(2), WorkerLine::Finished(T3, outcome())));
    assert_eq!(starts(&actions), [(TrialId(4), None, false)]);
    let actions = scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [Action::Leave(Slot(1))], "the first trial waits for this device");
}

#[test]
fn an_interrupted_run_is_taken_up_with_the_size_that_fits() {
    let gpu = Device::gpu(GpuBackend::Cuda, 3);
    let all = [PendingTrial { micro_batch: Some(2), alone: Some(gpu), ..pending(T1) }];
    let mut scheduler = with_slots(cpu(2), &all, terms(1));
    assert_eq!(starts(&step(&mut scheduler, Input::Begin)), [(T1, Some(2), false)], "that GPU is not here");
    let all = [PendingTrial { alone: Some(cpu(1)[0]), ..all[0] }];
    let mut scheduler = with_slots(cpu(2), &all, terms(1));
    assert_eq!(starts(&step(&mut scheduler, Input::Begin)), [(T1, Some(2), true)]);
}

#[test]
fn no_more_attempts_follow_than_the_spec_allows() {
    let retries = Retries { out_of_memory: 2, ..Retries::default() };
    let mut scheduler = with_slots(cpu(1), &[pending(T1)], Terms { retries, ..terms(1) });
    step(&mut scheduler, Input::Begin);
    assert_eq!(starts(&run_out(&mut scheduler, SLOT)), [(T1, None, false)]);
    assert_eq!(starts(&run_out(&mut scheduler, SLOT)), [(T1, Some(16), false)]);
    assert_eq!(starts(&run_out(&mut scheduler, SLOT)), []);
}
