//! Single decisions by example, the invariants over random orders of events.

use proptest::prelude::*;

use super::*;
use crate::{
    event::Progress,
    metrics::{Confusion, Scores, Target},
};

const SLOT: Slot = Slot(0);
const T1: TrialId = TrialId(1);
const T2: TrialId = TrialId(2);
const READY: WorkerLine = WorkerLine::Ready { v: LOG_VERSION };

fn cpu(slots: usize) -> Vec<Device> {
    (0..slots).map(|slot| Device::Cpu { slot, threads: 1 }).collect()
}

fn scheduler(slots: usize, trials: u32) -> Scheduler {
    let trials: Vec<(TrialId, u32)> = (1..=trials).map(|id| (TrialId(id), 0)).collect();
    Scheduler::new(cpu(slots), &trials, u32::try_from(trials.len()).unwrap())
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
        seconds: 1.0,
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
    Action::Log(Some(trial), Event::Started { attempt, device: cpu(1)[0] })
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
    assert_eq!(scheduler.step(Input::Begin)[1..], [started(T1, 1), spawn(T1)]);
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [Action::Run { slot: SLOT, trial: T1 }]);
}

#[test]
fn a_worker_that_finished_runs_the_next_trial_in_the_same_process() {
    let mut scheduler = busy(1, 2);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [started(T2, 1), Action::Run { slot: SLOT, trial: T2 }]);
}

#[test]
fn the_run_ends_once_the_last_worker_has_been_reaped() {
    let mut scheduler = busy(1, 1);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, Exit::Code(0))), ended(false));
}

#[test]
fn a_killed_worker_costs_one_retry_in_a_fresh_process() {
    let mut scheduler = busy(1, 1);
    let actions = scheduler.step(Input::Exited(SLOT, Exit::Signal(9)));
    assert_eq!(plain(actions), [failed(T1, FailureKind::Signal(9), true), started(T1, 2), spawn(T1)]);
    scheduler.step(Input::Line(SLOT, READY));
    let actions = plain(scheduler.step(Input::Exited(SLOT, Exit::Signal(9))));
    assert_eq!(actions[0], failed(T1, FailureKind::Signal(9), false));
    assert_eq!(actions[1..], ended(false));
}

#[test]
fn a_second_attempt_waits_until_the_process_of_the_first_was_reaped() {
    let mut scheduler = busy(2, 2);
    scheduler.step(Input::Exited(Slot(1), Exit::Code(1)));
    scheduler.step(Input::Line(Slot(1), READY));
    scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    scheduler.step(Input::Garbage(SLOT, "noise".to_owned()));
    // A free device is there, but the old process may still write into the trial's folder.
    assert_eq!(scheduler.step(Input::Exited(Slot(1), Exit::Code(0))), []);
    assert_eq!(scheduler.step(Input::Exited(SLOT, Exit::Signal(9))), [started(T1, 2), spawn(T1)]);
}

#[test]
fn a_second_attempt_never_runs_in_a_worker_that_is_already_warm() {
    let mut scheduler = busy(2, 3);
    scheduler.step(Input::Exited(SLOT, Exit::Signal(9)));
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
    assert_eq!(scheduler.step(Input::Exited(SLOT, Exit::Signal(9))), [started(T2, 1), spawn(T2)]);
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
    let actions = plain(scheduler.step(Input::Line(SLOT, WorkerLine::Ready { v: LOG_VERSION + 1 })));
    assert_eq!(actions, [failed(T1, FailureKind::Protocol, true), Action::Kill(SLOT)]);
}

#[test]
fn a_worker_that_never_gets_ready_is_killed_and_one_that_did_is_not() {
    let mut scheduler = scheduler(2, 2);
    scheduler.step(Input::Begin);
    scheduler.step(Input::Line(SLOT, READY));
    assert_eq!(scheduler.step(Input::StartupTimeout(SLOT)), []);
    let actions = plain(scheduler.step(Input::StartupTimeout(Slot(1))));
    assert_eq!(actions, [failed(T2, FailureKind::StartupTimeout, true), Action::Kill(Slot(1))]);
}

#[test]
fn a_worker_that_cannot_be_started_fails_its_trials_and_the_run_ends() {
    let mut scheduler = scheduler(1, 1);
    scheduler.step(Input::Begin);
    let fail = Input::SpawnFailed(SLOT, "no such file".to_owned());
    let actions = plain(scheduler.step(fail.clone()));
    assert_eq!(actions, [failed(T1, FailureKind::Spawn, true), started(T1, 2), spawn(T1)]);
    let actions = plain(scheduler.step(fail));
    assert_eq!(actions[0], failed(T1, FailureKind::Spawn, false));
    assert_eq!(actions[1..], ended(false));
}

#[test]
fn interrupts_stop_then_terminate_then_kill() {
    let mut scheduler = busy(2, 3);
    let each = |action: fn(Slot) -> Action| [action(Slot(0)), action(Slot(1))];
    assert_eq!(scheduler.step(Input::Interrupt), each(Action::Stop));
    assert_eq!(scheduler.step(Input::Interrupt), each(Action::Terminate));
    assert_eq!(scheduler.step(Input::Interrupt), each(Action::Kill));
    let put_back = |trial| Action::Log(Some(trial), Event::Interrupted);
    assert_eq!(scheduler.step(Input::Exited(Slot(0), Exit::Signal(9))), [put_back(T1)]);
    let actions = scheduler.step(Input::Exited(Slot(1), Exit::Signal(9)));
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
    let actions = scheduler.step(Input::Exited(SLOT, Exit::Signal(9)));
    assert_eq!(actions[0], Action::Log(Some(T1), Event::Interrupted));
    assert_eq!(actions[1..], ended(true));
}

#[test]
fn a_trial_that_finishes_after_an_interrupt_is_complete_and_no_other_starts() {
    let mut scheduler = busy(1, 2);
    scheduler.step(Input::Interrupt);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions, [Action::Log(Some(T1), Event::Finished(outcome())), Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, Exit::Code(0))), ended(true));
}

/// One thing that a worker, its process or the user does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Ready,
    Progress,
    Finished,
    Failed,
    FailedForGood,
    Stopped,
    Foreign,
    Garbage,
    Exit,
    Killed,
    StartupTimeout,
    LeaveTimeout,
    NextSpawnFails,
    Interrupt,
}

const DEEDS: [Deed; 14] = [
    Deed::Ready,
    Deed::Progress,
    Deed::Finished,
    Deed::Failed,
    Deed::FailedForGood,
    Deed::Stopped,
    Deed::Foreign,
    Deed::Garbage,
    Deed::Exit,
    Deed::Killed,
    Deed::StartupTimeout,
    Deed::LeaveTimeout,
    Deed::NextSpawnFails,
    Deed::Interrupt,
];

/// What stands around the scheduler: processes, and a check of all that it asks for.
struct World {
    scheduler: Scheduler,
    /// A process for each slot, with the trial that it was told to run.
    #[expect(clippy::option_option, reason = "no process, and a process without a trial")]
    processes: Vec<Option<Option<TrialId>>>,
    attempts: BTreeMap<TrialId, u32>,
    terminal: BTreeMap<TrialId, u32>,
    interrupted: BTreeMap<TrialId, u32>,
    next_spawn_fails: bool,
    ended: bool,
}

impl World {
    fn new(slots: usize, trials: u32) -> Self {
        let mut world = Self {
            scheduler: scheduler(slots, trials),
            processes: vec![None; slots],
            attempts: BTreeMap::new(),
            terminal: BTreeMap::new(),
            interrupted: BTreeMap::new(),
            next_spawn_fails: false,
            ended: false,
        };
        world.give(Input::Begin);
        world
    }

    fn give(&mut self, input: Input) {
        for action in self.scheduler.step(input) {
            assert!(!self.ended, "{action:?} after the end");
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { slot, .. } => {
                assert_eq!(self.processes[slot.0], None, "a device was given away while held");
                if std::mem::take(&mut self.next_spawn_fails) {
                    self.give(Input::SpawnFailed(slot, "no".to_owned()));
                } else {
                    self.processes[slot.0] = Some(None);
                }
            }
            Action::Run { slot, trial } => {
                assert!(
                    self.processes.iter().flatten().all(|held| *held != Some(trial)),
                    "{trial} runs twice"
                );
                assert_eq!(self.processes[slot.0], Some(None));
                self.processes[slot.0] = Some(Some(trial));
            }
            Action::Stop(slot) | Action::Leave(slot) | Action::Terminate(slot) | Action::Kill(slot) => {
                assert!(self.processes[slot.0].is_some(), "nobody is there to hear");
            }
            Action::Log(Some(trial), event) => self.logged(trial, &event),
            Action::Log(None, _) | Action::Show(..) => {}
            Action::End => {
                assert!(self.processes.iter().all(Option::is_none), "a process was left behind");
                self.ended = true;
            }
        }
    }

    fn logged(&mut self, trial: TrialId, event: &Event) {
        let count = match event {
            Event::Started { attempt, .. } => {
                let count = self.attempts.entry(trial).or_default();
                *count += 1;
                assert_eq!(*attempt, *count);
                assert!(*count <= ATTEMPTS_MAX, "{trial} is tried too often");
                return;
            }
            Event::Finished(_) | Event::Failed { retry: false, .. } => &mut self.terminal,
            Event::Interrupted => &mut self.interrupted,
            _ => return,
        };
        *count.entry(trial).or_default() += 1;
    }

    fn deed(&mut self, slot: Slot, deed: Deed) {
        let Some(held) = self.processes[slot.0] else {
            match deed {
                Deed::Interrupt => self.give(Input::Interrupt),
                Deed::NextSpawnFails => self.next_spawn_fails = true,
                _ => {}
            }
            return;
        };
        let own = held.unwrap_or(TrialId(99));
        let line = |line| Input::Line(slot, line);
        // A process that has reported the end of a trial has none until it is told to run the next.
        let done = matches!(deed, Deed::Finished | Deed::Stopped | Deed::Failed | Deed::FailedForGood);
        if done {
            self.processes[slot.0] = Some(None);
        }
        if matches!(deed, Deed::Exit | Deed::Killed) {
            self.processes[slot.0] = None;
        }
        let progress = Progress { epoch: 1, epochs: 1, step: 1, steps: 1, train_loss: 0.1 };
        self.give(match deed {
            Deed::Ready => line(READY),
            Deed::Progress => line(WorkerLine::Progress(own, progress)),
            Deed::Finished => line(WorkerLine::Finished(own, outcome())),
            Deed::Failed => line(WorkerLine::Failed(own, failure(FailureKind::Panic))),
            Deed::FailedForGood => line(WorkerLine::Failed(own, failure(FailureKind::Data))),
            Deed::Stopped => line(WorkerLine::Stopped(own)),
            Deed::Foreign => line(WorkerLine::Finished(TrialId(own.0 + 1), outcome())),
            Deed::Garbage => Input::Garbage(slot, "noise".to_owned()),
            Deed::Exit => Input::Exited(slot, Exit::Code(1)),
            Deed::Killed => Input::Exited(slot, Exit::Signal(9)),
            Deed::StartupTimeout => Input::StartupTimeout(slot),
            Deed::LeaveTimeout => Input::LeaveTimeout(slot),
            Deed::NextSpawnFails => {
                self.next_spawn_fails = true;
                return;
            }
            Deed::Interrupt => Input::Interrupt,
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_no_trial_is_lost_and_every_device_is_freed(
        slots in 1_usize..4,
        trials in 0_u32..6,
        may_interrupt in any::<bool>(),
        deeds in prop::collection::vec((0_usize..4, prop::sample::select(&DEEDS[..])), 0..80),
    ) {
        let mut world = World::new(slots, trials);
        for (slot, deed) in deeds {
            if may_interrupt || !matches!(deed, Deed::Interrupt) {
                world.deed(Slot(slot % slots), deed);
            }
        }
        // From here on every process only dies: the run must come to its end by itself.
        for _ in 0..=2 * trials as usize + slots {
            for slot in (0..slots).map(Slot) {
                if world.processes[slot.0].is_some() {
                    world.deed(slot, Deed::Killed);
                }
            }
        }
        prop_assert!(world.ended);
        for trial in (1..=trials).map(TrialId) {
            let terminal = world.terminal.get(&trial).copied().unwrap_or(0);
            let interrupted = world.interrupted.get(&trial).copied().unwrap_or(0);
            prop_assert!(terminal + interrupted <= 1, "{} ended {} times", trial, terminal);
            if !world.scheduler.is_stopping() {
                prop_assert_eq!(terminal, 1, "{} was lost", trial);
            } else if terminal + interrupted == 0 {
                // It never began, or waits for its second attempt: the next run takes it up.
                prop_assert!(world.scheduler.waiting.contains(&trial), "{} was lost", trial);
                prop_assert!(world.scheduler.was_interrupted());
            }
        }
    }
}
