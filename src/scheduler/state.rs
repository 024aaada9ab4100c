//! The state of one run: what the scheduler remembers between two inputs.

use std::collections::BTreeMap;

use super::{
    attempts::Attempts,
    messages::{Action, Host, PendingTrial, Slot, Terms},
    queue::Queue,
    shapes::Shapes,
    slots::Slots,
};
use crate::{event::Event, system::device::Device, trial::TrialId};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first slots join.
    Joining,
    /// Trials are given out.
    Running,
    /// The end has been logged.
    Ended,
}

/// The state of one run.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) slots: Slots,
    pub(super) queue: Queue,
    pub(super) attempts: Attempts,
    pub(super) shapes: Shapes,
    pub(super) terms: Terms,
    /// A trial found its disk full, and the executor asks for space.
    pub(super) awaits_space: bool,
    pub(super) interrupts: u32,
    pub(super) interrupted: bool,
    pub(super) phase: Phase,
    /// How often each device was lost since a trial on it finished.
    pub(super) losses: BTreeMap<(Host, Device), u32>,
}

impl Scheduler {
    /// A run of the trials `pending`. It starts nothing before slots have joined and the run has begun.
    #[must_use]
    pub fn new(pending: &[PendingTrial], terms: Terms) -> Self {
        Self {
            slots: Slots::default(),
            queue: Queue::new(pending),
            attempts: Attempts::new(pending, terms.retries),
            shapes: Shapes::new(pending),
            terms,
            awaits_space: false,
            interrupts: 0,
            interrupted: false,
            phase: Phase::Joining,
            losses: BTreeMap::new(),
        }
    }

    /// Notes that a worker does not wait for space any more, if it did.
    pub(super) fn not_full(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if self.slots.set_full(slot, false) && !self.slots.is_any_full() && !self.awaits_space {
            out.push(Action::ShowFreed);
        }
    }

    /// Logs that an attempt was stopped as the user wished; the next run takes the trial up.
    pub(super) fn put_back(&mut self, trial: TrialId, out: &mut Vec<Action>) {
        self.interrupted = true;
        out.push(Action::Log(Some(trial), Event::Interrupted));
    }

    /// Whether the user has asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.interrupts > 0
    }

    /// Whether trials are left and no slot to run them in.
    #[must_use]
    pub fn is_without_device(&self) -> bool {
        self.interrupts == 0
            && !self.queue.is_empty()
            && !self.terms.awaits_slots
            && self.slots.are_all_retired()
    }

    /// Whether trials were left undone at the user's wish, or for want of a device.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted
    }
}
