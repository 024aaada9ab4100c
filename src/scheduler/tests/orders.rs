//! The invariants of the scheduler over random orders of what can happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
};

use proptest::prelude::*;

use super::*;
use crate::{
    event::Progress,
    system::{device::GpuBackend, memory::Memory},
};

/// Examples of one pass; halved twice until one is left.
const BATCH: usize = 4;
/// Attempts at a trial in one run: the first one; one more for each kind that may be a chance; and
/// for memory the same again, two halvings, and alone; three for entries of the cache; and one together with others.
/// Those that a full disk ended, or a slot that left, do not count.
const ATTEMPTS_MAX: u32 = 1 + 9 + 4 + 3 + 1;

/// One thing that a worker, its process or the user does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Ready,
    Progress,
    Finished,
    Failed,
    FailedForGood,
    FailedNotFinite,
    AllFailed,
    Stopped,
    Foreign,
    Garbage,
    Exit,
    Killed,
    LostPages,
    FailedCache,
    StartupTimeout,
    LeaveTimeout,
    Stalled,
    TimeLimit,
    OutOfMemory,
    FailedOutOfMemory,
    FailedDiskFull,
    WaitsForSpace,
    GoesOn,
    Alive,
    Resumed,
    OtherClasses,
    SlotLeft,
    SlotJoined,
    TrialAdded,
    SpaceFreed,
    NextSpawnFails,
    FailedForAShortage,
    FailedGpuLost,
    Short,
    Rested,
    Interrupt,
}

const DEEDS: [Deed; 36] = [
    Deed::Ready,
    Deed::Progress,
    Deed::Finished,
    Deed::Failed,
    Deed::FailedForGood,
    Deed::FailedNotFinite,
    Deed::AllFailed,
    Deed::Stopped,
    Deed::Foreign,
    Deed::Garbage,
    Deed::Exit,
    Deed::Killed,
    Deed::LostPages,
    Deed::FailedCache,
    Deed::StartupTimeout,
    Deed::LeaveTimeout,
    Deed::Stalled,
    Deed::TimeLimit,
    Deed::OutOfMemory,
    Deed::FailedOutOfMemory,
    Deed::FailedDiskFull,
    Deed::WaitsForSpace,
    Deed::GoesOn,
    Deed::Alive,
    Deed::Resumed,
    Deed::OtherClasses,
    Deed::SlotLeft,
    Deed::SlotJoined,
    Deed::TrialAdded,
    Deed::SpaceFreed,
    Deed::NextSpawnFails,
    Deed::FailedForAShortage,
    Deed::FailedGpuLost,
    Deed::Short,
    Deed::Rested,
    Deed::Interrupt,
];

/// What stands around the scheduler: processes, and a check of all that it asks for.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct World {
    scheduler: Scheduler,
    /// A process for each slot, with the trials that it has.
    processes: Vec<Option<Vec<TrialId>>>,
    /// Processes that were asked to leave.
    doomed: BTreeSet<Slot>,
    /// Processes that wait for space.
    full: BTreeSet<Slot>,
    awaits_space: bool,
    /// Slots that rest.
    resting: BTreeSet<Slot>,
    /// Whether the process that does something has not had any trial.
    is_starting: bool,
    /// The process that has its pool for itself, by pool.
    alone: Vec<(MemoryPool, Slot)>,
    /// What the latest start was like.
    started: (Option<usize>, bool),
    /// Trials of the plan when the run began, and now.
    planned: u32,
    trials: u32,
    together_max: usize,
    attempts: BTreeMap<TrialId, u32>,
    /// Attempts that say nothing about the trial: a full disk ended them, or a slot that left.
    uncounted: BTreeMap<TrialId, u32>,
    micro_batches: BTreeMap<TrialId, usize>,
    terminal: BTreeMap<TrialId, u32>,
    /// How often the latest attempt was interrupted.
    interrupted: BTreeMap<TrialId, u32>,
    next_spawn_fails: bool,
    ended: bool,
}

impl World {
    fn new(slots: usize, trials: u32, together_max: usize) -> Self {
        // Every second trial starts from the checkpoint of the one after it, if there is one.
        let after = |id: u32| id.is_multiple_of(2).then_some(TrialId(id + 1));
        let all: Vec<PendingTrial> =
            (1..=trials).map(|id| PendingTrial { prefix: after(id), ..of_its_shape(id) }).collect();
        let fuse = Fuse::Groups(NonZeroUsize::new(together_max).unwrap());
        let retries = Retries { non_finite: 1, ..terms(trials).retries };
        let mut world = Self {
            scheduler: with_slots(devices(slots), &all, Terms { retries, fuse, ..terms(trials) }),
            processes: vec![None; slots],
            doomed: BTreeSet::new(),
            full: BTreeSet::new(),
            awaits_space: false,
            resting: BTreeSet::new(),
            is_starting: false,
            alone: Vec::new(),
            started: (None, false),
            planned: trials,
            trials,
            together_max,
            attempts: BTreeMap::new(),
            uncounted: BTreeMap::new(),
            micro_batches: BTreeMap::new(),
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
            Action::Spawn { slot, device, .. } => self.spawn(slot, device),
            Action::Run { slot, trials } => {
                assert!((1..=self.together_max).contains(&trials.len()));
                self.check_together(&trials);
                assert_eq!(self.processes[slot.0], Some(Vec::new()));
                self.check_alone(slot);
                for GivenTrial { trial, micro_batch, .. } in trials {
                    let held = self.processes.iter().flatten().flatten();
                    assert!(!held.into_iter().any(|held| *held == trial), "{trial} runs twice");
                    assert_eq!(micro_batch, self.micro_batches.get(&trial).copied());
                    self.processes[slot.0].as_mut().unwrap().push(trial);
                }
            }
            Action::Stop(slot, _) | Action::Leave(slot) | Action::Terminate(slot) | Action::Kill(slot) => {
                assert!(self.processes[slot.0].is_some(), "nobody is there to hear");
                if matches!(action, Action::Leave(_) | Action::Kill(_)) {
                    self.doomed.insert(slot);
                    self.full.remove(&slot);
                }
            }
            Action::Rest(slot, _) => {
                assert_eq!(self.processes[slot.0], None);
                assert!(self.resting.insert(slot), "it rests already");
            }
            Action::AwaitSpace(_) => {
                assert!(!std::mem::replace(&mut self.awaits_space, true), "it asks already");
            }
            Action::Log(Some(trial), event) => self.logged(trial, &event),
            Action::Log(None, _)
            | Action::Show(..)
            | Action::ShowFull(..)
            | Action::ShowFreed
            | Action::ShowLost(..) => {}
            Action::Pack { .. } => panic!("nothing was said of memory"),
            Action::Free(slot) => self.give(Input::Freed(slot)),
            Action::End => {
                assert!(self.processes.iter().all(Option::is_none), "a process was left behind");
                self.ended = true;
            }
        }
    }

    fn spawn(&mut self, slot: Slot, device: Device) {
        assert_eq!(self.processes[slot.0], None, "a device was given away while held");
        let pool = MemoryPool::of(device, Host::LOCAL);
        assert!(self.alone.iter().all(|(taken, _)| *taken != pool), "alone means alone");
        assert!(!self.resting.contains(&slot), "it rests");
        assert!(!self.awaits_space && self.full.is_empty(), "a start on a full disk");
        if std::mem::take(&mut self.next_spawn_fails) {
            self.give(Input::SpawnFailed(slot, "no".to_owned()));
        } else {
            self.processes[slot.0] = Some(Vec::new());
        }
    }

    /// Notes that the process in `slot` has its pool for itself, if the trials that it is given are to be alone.
    fn check_alone(&mut self, slot: Slot) {
        let pool = MemoryPool::of(self.devices()[slot.0], Host::LOCAL);
        if self.started.1 {
            let mut others = (0..self.processes.len()).filter(|index| {
                *index != slot.0 && MemoryPool::of(self.devices()[*index], Host::LOCAL) == pool
            });
            assert!(others.all(|index| self.processes[index].is_none()), "alone means alone");
            self.alone.push((pool, slot));
        }
    }

    /// Trials together are of one shape, and on their first attempt.
    fn check_together(&self, trials: &[GivenTrial]) {
        if let [first, _, ..] = trials {
            for given in trials {
                let shape = of_its_shape(given.trial.0).shape;
                assert!(shape.is_some() && shape == of_its_shape(first.trial.0).shape);
                assert_eq!((self.attempts[&given.trial], given.micro_batch), (1, None));
            }
        }
    }

    fn join(&mut self, slot: Slot) {
        let device = self.devices()[slot.0];
        self.give(Input::SlotJoined(slot, device));
    }

    fn devices(&self) -> Vec<Device> {
        devices(self.processes.len())
    }

    fn logged(&mut self, trial: TrialId, event: &Event) {
        let count = match event {
            Event::Started { attempt, micro_batch, alone, .. } => {
                let prefix = TrialId(trial.0 + 1);
                let waits = trial.0.is_multiple_of(2) && prefix.0 <= self.planned;
                assert!(!waits || self.terminal.contains_key(&prefix), "{trial} did not wait");
                assert!(!self.terminal.contains_key(&trial), "{trial} has ended");
                assert!(!self.scheduler.is_stopping(), "{trial} starts although the run ends");
                // A slot that leaves has its worker stop: another one goes on with the trial.
                let stopped = self.interrupted.remove(&trial).unwrap_or(0);
                assert!(stopped <= 1, "{trial} was interrupted twice");
                *self.uncounted.entry(trial).or_default() += stopped;
                let is_full = self.awaits_space || !self.full.is_empty();
                assert!(self.is_starting || !is_full, "{trial} starts on a full disk");
                self.started = (*micro_batch, *alone);
                let before = micro_batch.and_then(|size| self.micro_batches.insert(trial, size));
                let before = before.unwrap_or(BATCH);
                assert!(
                    micro_batch.is_none_or(|size| size == before || size == before / 2),
                    "{micro_batch:?}"
                );
                let count = self.attempts.entry(trial).or_default();
                *count += 1;
                assert_eq!(*attempt, *count);
                let most = ATTEMPTS_MAX + self.uncounted.get(&trial).copied().unwrap_or(0);
                assert!(*count <= most, "{trial} is tried too often");
                return;
            }
            Event::Failed {
                failure:
                    Failure {
                        kind: FailureKind::DiskFull | FailureKind::Shortage | FailureKind::DeviceLost, ..
                    },
                retry,
            } => {
                assert!(retry, "a full disk, a shortage and a lost GPU fail nothing");
                &mut self.uncounted
            }
            Event::Finished(_) | Event::Failed { retry: false, .. } => &mut self.terminal,
            Event::Interrupted => &mut self.interrupted,
            _ => return,
        };
        *count.entry(trial).or_default() += 1;
    }

    /// The process of a slot is gone.
    fn gone(&mut self, slot: Slot) {
        self.processes[slot.0] = None;
        self.doomed.remove(&slot);
        self.full.remove(&slot);
        self.alone.retain(|(_, own)| *own != slot);
    }

    fn deed(&mut self, slot: Slot, deed: Deed) {
        match deed {
            Deed::Interrupt => return self.give(Input::Interrupt),
            Deed::SpaceFreed => {
                self.awaits_space = false;
                return self.give(Input::SpaceFreed);
            }
            Deed::NextSpawnFails => return self.next_spawn_fails = true,
            Deed::Rested if self.resting.remove(&slot) => return self.give(Input::Rested(slot)),
            Deed::Rested => return,
            Deed::SlotLeft | Deed::SlotJoined | Deed::TrialAdded if self.ended => return,
            Deed::SlotLeft => return self.give(Input::SlotLeft(slot)),
            Deed::SlotJoined => return self.join(slot),
            Deed::TrialAdded => {
                self.trials += 1;
                let added = of_its_shape(self.trials);
                return self.give(Input::TrialAdded(added));
            }
            _ => {}
        }
        let Some(held) = &mut self.processes[slot.0] else { return };
        let own = held.first().copied().unwrap_or(TrialId(99));
        self.is_starting = held.is_empty();
        match deed {
            Deed::Finished | Deed::Stopped => {
                held.retain(|trial| *trial != own);
                self.full.remove(&slot);
            }
            Deed::FailedNotFinite if held.len() > 1 => {
                held.retain(|trial| *trial != own);
                self.full.remove(&slot);
            }
            // A process leaves after a failure of another kind.
            Deed::FailedNotFinite
            | Deed::AllFailed
            | Deed::Failed
            | Deed::FailedForGood
            | Deed::FailedOutOfMemory
            | Deed::FailedDiskFull
            | Deed::FailedForAShortage
            | Deed::FailedGpuLost
            | Deed::FailedCache => {
                held.clear();
                self.full.remove(&slot);
            }
            Deed::Exit | Deed::Killed | Deed::LostPages | Deed::OutOfMemory => self.gone(slot),
            Deed::WaitsForSpace if !held.is_empty() && !self.doomed.contains(&slot) => {
                self.full.insert(slot);
            }
            Deed::GoesOn => _ = self.full.remove(&slot),
            _ => {}
        }
        self.give(input(slot, own, deed));
        self.is_starting = false;
    }
}

/// What the scheduler hears of a deed of the process in `slot`, which has the trial `own`.
fn input(slot: Slot, own: TrialId, deed: Deed) -> Input {
    let line = |line| Input::Line(slot, line);
    let fails = |kind| line(WorkerLine::Failed(own, failure(kind)));
    let three = Scores::new(Confusion::new(3), 0.5, Target::Class(1));
    match deed {
        Deed::Ready => line(READY),
        Deed::Progress => {
            let progress = Progress { epoch: 1, epochs: 1, step: 1, steps: 1, train_loss: 0.1 };
            line(WorkerLine::Progress(own, progress))
        }
        Deed::Finished => line(WorkerLine::Finished(own, outcome())),
        Deed::Failed => fails(FailureKind::Panic),
        Deed::FailedForGood => fails(FailureKind::Data),
        Deed::FailedNotFinite => fails(FailureKind::NonFinite { step: 1 }),
        Deed::AllFailed => line(WorkerLine::AllFailed(failure(FailureKind::Panic))),
        Deed::FailedOutOfMemory => fails(FailureKind::OutOfMemory(Memory::Gpu)),
        Deed::FailedDiskFull => fails(FailureKind::DiskFull),
        Deed::FailedForAShortage => fails(FailureKind::Shortage),
        Deed::FailedGpuLost => fails(FailureKind::DeviceLost),
        Deed::Short => Input::Short(slot, "no file".to_owned()),
        Deed::FailedCache => fails(FailureKind::Cache),
        Deed::Stopped => line(WorkerLine::Stopped(own)),
        Deed::Foreign => line(WorkerLine::Finished(TrialId(own.0 + 1), outcome())),
        Deed::OtherClasses => line(WorkerLine::Finished(own, Outcome { test: three, ..outcome() })),
        Deed::WaitsForSpace => line(WorkerLine::DiskFull(own, "/full".into())),
        Deed::GoesOn => line(WorkerLine::DiskFreed(own)),
        Deed::Alive => line(WorkerLine::Alive(own)),
        Deed::Resumed => line(WorkerLine::Event(own, Event::Resumed { step: 1, epoch: 0.5, from: None })),
        Deed::Garbage => Input::Garbage(slot, "noise".to_owned()),
        Deed::Exit => Input::Exited(slot, WorkerExit::Code(1)),
        Deed::Killed => Input::Exited(slot, WorkerExit::Signal(9)),
        Deed::LostPages => Input::Exited(slot, WorkerExit::Signal(rustix::process::Signal::BUS.as_raw())),
        Deed::OutOfMemory => Input::Exited(slot, WorkerExit::OutOfMemory(Memory::Host)),
        Deed::StartupTimeout => Input::StartupTimeout(slot),
        Deed::Stalled => Input::Stalled(slot),
        Deed::TimeLimit => Input::TimeLimit(slot, own),
        Deed::LeaveTimeout => Input::LeaveTimeout(slot),
        Deed::SpaceFreed => Input::SpaceFreed,
        Deed::SlotLeft
        | Deed::SlotJoined
        | Deed::TrialAdded
        | Deed::NextSpawnFails
        | Deed::Rested
        | Deed::Interrupt => Input::Interrupt,
    }
}

/// The trial of this number: of one of two shapes, or of none.
fn of_its_shape(id: u32) -> PendingTrial {
    let shape = [Some(0), Some(0), Some(1), None][id as usize % 4];
    PendingTrial { pass_examples: BATCH, shape, ..pending(TrialId(id)) }
}

/// Processor slots, and two that share a GPU.
fn devices(slots: usize) -> Vec<Device> {
    let mut devices = cpu(slots);
    devices.iter_mut().skip(2).for_each(|device| *device = Device::gpu(GpuBackend::Cuda, 0));
    devices
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn whatever_happens_no_trial_is_lost_and_every_device_is_freed(
        slots in 1_usize..5,
        trials in 0_u32..6,
        together_max in 1_usize..4,
        may_interrupt in any::<bool>(),
        deeds in prop::collection::vec((0_usize..4, prop::sample::select(&DEEDS[..])), 0..120),
    ) {
        let mut world = World::new(slots, trials, together_max);
        for (slot, deed) in deeds {
            if may_interrupt || !matches!(deed, Deed::Interrupt) {
                world.deed(Slot(slot % slots), deed);
            }
        }
        // From here on every process only gets ready and dies: the run must come to its end by itself.
        let left_slots = world.ended && !world.scheduler.is_stopping();
        for slot in (0..slots).map(Slot) {
            if !world.ended {
                world.join(slot);
            }
        }
        let trials = world.trials;
        for _ in 0..=(ATTEMPTS_MAX as usize + 120) * trials as usize + slots {
            if world.awaits_space {
                world.deed(SLOT, Deed::SpaceFreed);
            }
            for slot in (0..slots).map(Slot) {
                world.deed(slot, Deed::Rested);
                if world.processes[slot.0].as_ref().is_some_and(Vec::is_empty) {
                    world.deed(slot, Deed::Ready);
                }
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
            if left_slots && terminal == 0 {
                // Every slot had left: the next run takes it up.
                prop_assert!(world.scheduler.queue.waiting.contains(&trial), "{} was lost", trial);
            } else if !world.scheduler.is_stopping() {
                prop_assert_eq!(terminal, 1, "{} was lost", trial);
            } else if terminal + interrupted == 0 {
                // It never began, or waits for its second attempt: the next run takes it up.
                prop_assert!(world.scheduler.queue.waiting.contains(&trial), "{} was lost", trial);
                prop_assert!(world.scheduler.was_interrupted());
            }
        }
    }
}
