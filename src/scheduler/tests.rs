//! Single decisions by example, the invariants over random orders of events.

mod cache;
mod gpus;
mod groups;
mod memory;
mod orders;
mod pauses;
mod queue;
mod remote;
mod rests;
mod slots;
mod space;

use super::*;
use crate::{
    event::{Outcome, RemotePlace},
    metrics::{Confusion, Scores, Target},
    policy::{Fuse, Retries},
    protocol::{PROTOCOL_VERSION, WorkerLine},
    trial::{Failure, FailureKind},
};

const SLOT: Slot = Slot(0);
const T1: TrialId = TrialId(1);
const T2: TrialId = TrialId(2);
const READY: WorkerLine = WorkerLine::Ready { v: PROTOCOL_VERSION };

fn cpu(slots: usize) -> Vec<Device> {
    (0..slots).map(|slot| Device::Cpu { slot, threads: 1 }).collect()
}

fn pending(trial: TrialId) -> PendingTrial {
    PendingTrial {
        trial,
        earlier_attempts: 0,
        pass_examples: 32,
        micro_batch: None,
        alone: None,
        prefix: None,
        shape: None,
    }
}

/// A scheduler whose slots have joined, before the run begins.
fn with_slots(devices: Vec<Device>, pending: &[PendingTrial], terms: Terms) -> Scheduler {
    let mut scheduler = Scheduler::new(pending, terms);
    for (index, device) in devices.into_iter().enumerate() {
        assert_eq!(scheduler.step(Input::SlotJoined(Slot(index), device)), []);
    }
    scheduler
}

/// One further attempt after each failure that may be a chance.
fn terms(planned: u32) -> Terms {
    let retries = Retries { signal: 1, ..Retries::default() };
    Terms {
        planned,
        classes: 2,
        retries,
        arithmetic: String::new(),
        notes: Vec::new(),
        grows: false,
        fuse: Fuse::Off,
        has_cache: true,
        packing: Packing::default(),
        awaits_slots: false,
    }
}

fn scheduler(slots: usize, trials: u32) -> Scheduler {
    let all: Vec<PendingTrial> = (1..=trials).map(|id| pending(TrialId(id))).collect();
    with_slots(cpu(slots), &all, terms(trials))
}

/// A scheduler whose slots are all busy with the first trials.
fn busy(slots: usize, trials: u32) -> Scheduler {
    let mut scheduler = scheduler(slots, trials);
    scheduler.step(Input::Begin);
    for slot in 0..slots {
        scheduler.step(Input::Line(Slot(slot), READY));
    }
    scheduler
}

fn outcome() -> Outcome {
    let scores = Scores::new(Confusion::new(2), 0.5, Target::Class(1));
    Outcome {
        best_epoch: 1.0,
        best_step: 1,
        epochs_run: 1.0,
        stopped_early: false,
        train_loss: 0.5,
        validation: scores.clone(),
        test: scores,
        training: None,
        seconds: 1.0,
        files: None,
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: "m".to_owned() }
}

fn failed(trial: TrialId, kind: FailureKind, retry: bool) -> Action {
    Action::Log(Some(trial), Event::Failed { failure: failure(kind), retry })
}

/// `actions` with messages made equal, so that they compare by what they do.
fn plain(actions: Vec<Action>) -> Vec<Action> {
    actions
        .into_iter()
        .map(|action| match action {
            Action::Log(Some(trial), Event::Failed { failure, retry }) => failed(trial, failure.kind, retry),
            action => action,
        })
        .collect()
}

fn started(trial: TrialId, attempt: u32) -> Action {
    let device = cpu(1)[0];
    Action::Log(
        Some(trial),
        Event::Started { attempt, device, micro_batch: None, alone: false, with: Vec::new(), worker: None },
    )
}

fn run(trial: TrialId) -> Action {
    Action::Run { slot: SLOT, trials: vec![GivenTrial { trial, micro_batch: None, without_cache: false }] }
}

fn spawn(trial: TrialId) -> Action {
    Action::Spawn { slot: SLOT, device: cpu(1)[0], trial }
}

fn ended(interrupted: bool) -> [Action; 2] {
    [Action::Log(None, Event::SweepEnded { interrupted }), Action::End]
}

#[test]
fn a_worker_is_started_for_a_trial_and_gets_it_when_ready() {
    let mut scheduler = scheduler(1, 1);
    assert_eq!(scheduler.step(Input::Begin)[1..], [spawn(T1)]);
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [started(T1, 1), run(T1)]);
}

#[test]
fn a_worker_that_finished_runs_the_next_trial_in_the_same_process() {
    let mut scheduler = busy(1, 2);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [started(T2, 1), run(T2)]);
}

#[test]
fn the_run_ends_once_the_last_worker_has_been_reaped() {
    let mut scheduler = busy(1, 1);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), ended(false));
}

#[test]
fn a_killed_worker_costs_one_retry_in_a_fresh_process() {
    let mut scheduler = busy(1, 1);
    let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    assert_eq!(plain(actions), [failed(T1, FailureKind::Signal(9), true), spawn(T1)]);
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [started(T1, 2), run(T1)]);
    let actions = plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))));
    assert_eq!(actions[0], failed(T1, FailureKind::Signal(9), false));
    assert_eq!(actions[1..], ended(false));
}

#[test]
fn a_second_attempt_waits_until_the_process_of_the_first_was_reaped() {
    let mut scheduler = busy(2, 2);
    scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(1)));
    scheduler.step(Input::Line(Slot(1), READY));
    scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    scheduler.step(Input::Garbage(SLOT, "noise".to_owned()));
    // A free device is there, but the old process may still write into the trial's folder.
    assert_eq!(scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(0))), []);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))), [spawn(T1)]);
}

#[test]
fn a_second_attempt_never_runs_in_a_worker_that_is_already_warm() {
    let mut scheduler = busy(2, 3);
    scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    let actions = scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [Action::Leave(Slot(1))]);
}

#[test]
fn a_loss_that_is_not_finite_is_not_tried_again() {
    let mut scheduler = busy(1, 1);
    let kind = FailureKind::NonFinite { step: 7 };
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(kind.clone()))));
    assert_eq!(actions, [failed(T1, kind, false), Action::Leave(SLOT)]);
}

#[test]
fn a_device_is_not_given_away_while_its_killed_worker_has_not_been_reaped() {
    let mut scheduler = busy(1, 2);
    let actions = plain(scheduler.step(Input::Garbage(SLOT, "noise".to_owned())));
    assert_eq!(actions, [failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
    assert_eq!(scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome()))), []);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))), [spawn(T2)]);
}

#[test]
fn a_word_about_a_trial_of_another_worker_breaks_the_protocol() {
    let mut scheduler = busy(2, 2);
    let actions = plain(scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T2, outcome()))));
    assert_eq!(actions, [failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
}

#[test]
fn a_worker_may_log_only_how_its_trial_is_prepared_and_evaluated() {
    let mut scheduler = busy(1, 1);
    let line = WorkerLine::Event(T1, Event::SweepEnded { interrupted: false });
    let actions = plain(scheduler.step(Input::Line(SLOT, line)));
    assert_eq!(actions, [failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
}

#[test]
fn a_worker_of_another_version_is_not_given_a_trial() {
    let mut scheduler = scheduler(1, 1);
    scheduler.step(Input::Begin);
    let actions = plain(scheduler.step(Input::Line(SLOT, WorkerLine::Ready { v: PROTOCOL_VERSION + 1 })));
    assert_eq!(actions, [started(T1, 1), failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
}

#[test]
fn a_worker_that_never_gets_ready_is_killed_and_one_that_did_is_not() {
    let mut scheduler = scheduler(2, 2);
    scheduler.step(Input::Begin);
    scheduler.step(Input::Line(SLOT, READY));
    assert_eq!(scheduler.step(Input::StartupTimeout(SLOT)), []);
    let actions = plain(scheduler.step(Input::StartupTimeout(Slot(1))));
    assert_eq!(actions[1..], [failed(T2, FailureKind::StartupTimeout, true), Action::Kill(Slot(1))]);
}

#[test]
fn a_worker_that_is_silent_or_slow_is_killed_and_only_silence_is_tried_again() {
    for (input, kind, retry) in [
        (Input::Stalled(SLOT), FailureKind::Stalled, true),
        (Input::TimeLimit(SLOT, T1), FailureKind::TimeLimit, false),
    ] {
        let mut scheduler = busy(1, 1);
        let actions = plain(scheduler.step(input.clone()));
        assert_eq!(actions, [failed(T1, kind, retry), Action::Kill(SLOT)]);
        assert_eq!(scheduler.step(input), [], "its fate is decided");
    }
}

#[test]
fn each_kind_of_failure_has_retries_of_its_own() {
    let retries = Retries { signal: 2, exit: 1, ..Retries::default() };
    let terms = Terms { retries, ..terms(1) };
    let mut scheduler = with_slots(cpu(1), &[pending(T1)], terms);
    scheduler.step(Input::Begin);
    let mut outcomes = Vec::new();
    for exit in [WorkerExit::Signal(9), WorkerExit::Code(1), WorkerExit::Signal(11), WorkerExit::Code(2)] {
        scheduler.step(Input::Line(SLOT, READY));
        let actions = plain(scheduler.step(Input::Exited(SLOT, exit)));
        let Action::Log(_, Event::Failed { retry, .. }) = actions[0] else { panic!("{actions:?}") };
        outcomes.push(retry);
    }
    assert_eq!(outcomes, [true, true, true, false]);
}

#[test]
fn what_is_to_be_tried_again_when_the_user_stops_waits_for_the_next_run() {
    let mut scheduler = busy(1, 1);
    scheduler.step(Input::Interrupt);
    let actions =
        plain(scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(FailureKind::Panic)))));
    assert_eq!(actions, [failed(T1, FailureKind::Panic, true), Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1))), ended(true));
}

#[test]
fn figures_of_another_number_of_classes_break_the_protocol() {
    let scores = Scores::new(Confusion::new(3), 0.5, Target::Class(1));
    for outcome in
        [Outcome { test: scores.clone(), ..outcome() }, Outcome { validation: scores.clone(), ..outcome() }]
    {
        let mut scheduler = busy(1, 1);
        let actions = plain(scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome))));
        assert_eq!(actions, [failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
    }
}

#[test]
fn signs_of_life_and_resuming_change_nothing_but_the_log() {
    let mut scheduler = busy(1, 1);
    assert_eq!(scheduler.step(Input::Line(SLOT, WorkerLine::Alive(T1))), []);
    let resumed = Event::Resumed { step: 3, epoch: 0.5, from: None };
    let damaged = Event::CheckpointDamaged { message: "x".repeat(5_000) };
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Event(T1, resumed.clone())));
    assert_eq!(actions, [Action::Log(Some(T1), resumed)]);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Event(T1, damaged)));
    let [Action::Log(Some(T1), Event::CheckpointDamaged { message })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(message.chars().count(), 4_001, "nobody reads more of it");
}

#[test]
fn interrupts_stop_then_terminate_then_kill() {
    let mut scheduler = busy(2, 3);
    let each = |action: fn(Slot) -> Action| [action(Slot(0)), action(Slot(1))];
    let stops = [Action::Stop(Slot(0), T1), Action::Stop(Slot(1), T2)];
    assert_eq!(scheduler.step(Input::Interrupt), stops);
    assert_eq!(scheduler.step(Input::Interrupt), each(Action::Terminate));
    assert_eq!(scheduler.step(Input::Interrupt), each(Action::Kill));
    let put_back = |trial| Action::Log(Some(trial), Event::Interrupted);
    assert_eq!(scheduler.step(Input::Exited(Slot(0), WorkerExit::Signal(9))), [put_back(T1)]);
    let actions = scheduler.step(Input::Exited(Slot(1), WorkerExit::Signal(9)));
    assert_eq!(actions[0], put_back(T2));
    assert_eq!(actions[1..], ended(true));
}

#[test]
fn an_interrupt_lets_a_worker_that_has_no_trial_yet_leave() {
    let mut scheduler = scheduler(1, 1);
    scheduler.step(Input::Begin);
    assert_eq!(scheduler.step(Input::Interrupt), [Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), []);
    assert_eq!(scheduler.step(Input::LeaveTimeout(SLOT)), [Action::Kill(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))), ended(true));
}

#[test]
fn a_trial_that_finishes_after_an_interrupt_is_complete_and_no_other_starts() {
    let mut scheduler = busy(1, 2);
    scheduler.step(Input::Interrupt);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions, [Action::Log(Some(T1), Event::Finished(outcome())), Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), ended(true));
}
