//! What the device slots hold, and which of them share their memory.

use super::messages::Slot;
use crate::{system::device::Device, trial::TrialId};

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// No process.
    Nothing,
    /// A process that has not reported ready, and the trial that waits for it.
    Starting(TrialId),
    /// A process at work.
    Busy(TrialId),
    /// A process that ends, and what is done once it was reaped.
    Ending(Then),
}

/// What is done about a trial once the process that had it was reaped. Not before: until then that
/// process may write into the trial's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing is left to do.
    Nothing,
    /// It is tried again, after those that wait.
    Retry(TrialId),
    /// It is tried again, before all others.
    GoOn(TrialId),
    /// It is logged as interrupted.
    PutBack(TrialId),
}

/// Devices that share one memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// The machine's.
    Host,
    /// That of the GPU with this index.
    Gpu(usize),
}

impl Pool {
    pub(super) const fn of(device: Device) -> Self {
        match device {
            Device::Cpu { .. } => Self::Host,
            Device::Cuda { index } => Self::Gpu(index),
        }
    }
}

/// A device slot.
#[derive(Clone, Debug)]
struct Place {
    device: Device,
    held: Held,
    /// Its process has the pool for itself.
    is_alone: bool,
    /// It is given no more work in this run.
    is_retired: bool,
    /// Its worker waits for space on the disk.
    is_full: bool,
}

/// The device slots of a run.
#[derive(Debug)]
pub(super) struct Slots(Vec<Place>);

impl Slots {
    pub(super) fn new(devices: Vec<Device>) -> Self {
        let place = |device| Place {
            device,
            held: Held::Nothing,
            is_alone: false,
            is_retired: false,
            is_full: false,
        };
        Self(devices.into_iter().map(place).collect())
    }

    pub(super) fn devices(&self) -> Vec<Device> {
        self.0.iter().map(|place| place.device).collect()
    }

    /// Every slot.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.0.len()).map(Slot)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn held(&self, slot: Slot) -> Held {
        self.0.get(slot.0).map_or(Held::Nothing, |place| place.held)
    }

    pub(super) fn hold(&mut self, slot: Slot, held: Held) {
        if let Some(place) = self.0.get_mut(slot.0) {
            place.held = held;
        }
    }

    /// The device of a slot that may start a process.
    pub(super) fn free(&self, slot: Slot) -> Option<Device> {
        let place = self.0.get(slot.0).filter(|place| place.held == Held::Nothing && !place.is_retired)?;
        Some(place.device)
    }

    pub(super) fn device(&self, slot: Slot) -> Option<Device> {
        self.0.get(slot.0).map(|place| place.device)
    }

    /// Whether no slot has a process.
    pub(super) fn are_idle(&self) -> bool {
        self.0.iter().all(|place| place.held == Held::Nothing)
    }

    fn of(&self, pool: Pool) -> impl Iterator<Item = &Place> {
        self.0.iter().filter(move |place| Pool::of(place.device) == pool)
    }

    /// Whether no slot of `pool` has a process.
    pub(super) fn is_idle(&self, pool: Pool) -> bool {
        self.of(pool).all(|place| place.held == Held::Nothing)
    }

    /// Whether some process has `pool` for itself.
    pub(super) fn is_taken(&self, pool: Pool) -> bool {
        self.of(pool).any(|place| place.is_alone)
    }

    /// Whether `pool` has more than one slot.
    pub(super) fn are_shared(&self, pool: Pool) -> bool {
        self.of(pool).count() > 1
    }

    /// Whether the slot's worker, once it is done with a trial, may be given another.
    pub(super) fn may_go_on(&self, slot: Slot) -> bool {
        self.0.get(slot.0).is_some_and(|place| !place.is_alone && !place.is_retired)
    }

    /// Says whether the process that starts in `slot` has its pool for itself.
    pub(super) fn set_alone(&mut self, slot: Slot, is_alone: bool) {
        if let Some(place) = self.0.get_mut(slot.0) {
            place.is_alone = is_alone;
        }
    }

    /// The pool of `slot`, if processes of other slots may take memory of it too.
    pub(super) fn company(&self, slot: Slot) -> Option<Pool> {
        let pool = self.device(slot).map(Pool::of)?;
        let mut others = self.0.iter().enumerate().filter(|(index, place)| {
            *index != slot.0
                && Pool::of(place.device) == pool
                && !(place.is_retired && place.held == Held::Nothing)
        });
        others.next().map(|_| pool)
    }

    /// Gives one slot fewer of those that share the pool of `slot` more work; one stays in any case.
    pub(super) fn retire_beside(&mut self, slot: Slot) {
        let Some(pool) = self.device(slot).map(Pool::of) else { return };
        if self.of(pool).filter(|place| !place.is_retired).count() < 2 {
            return;
        }
        let mut others =
            self.0.iter_mut().enumerate().rev().filter(|(index, place)| {
                *index != slot.0 && Pool::of(place.device) == pool && !place.is_retired
            });
        if let Some((_, place)) = others.next() {
            place.is_retired = true;
        }
    }

    /// The slot's process was reaped.
    pub(super) fn vacate(&mut self, slot: Slot) {
        if let Some(place) = self.0.get_mut(slot.0) {
            (place.held, place.is_alone) = (Held::Nothing, false);
        }
    }

    /// Notes whether the slot's worker waits for space; the answer is whether it did.
    pub(super) fn set_full(&mut self, slot: Slot, is_full: bool) -> bool {
        self.0.get_mut(slot.0).is_some_and(|place| std::mem::replace(&mut place.is_full, is_full))
    }

    /// Whether any worker waits for space.
    pub(super) fn is_any_full(&self) -> bool {
        self.0.iter().any(|place| place.is_full)
    }
}

impl Held {
    pub(super) fn describe(self) -> String {
        match self {
            Self::Nothing => "nothing runs".to_owned(),
            Self::Starting(_) => "it starts".to_owned(),
            Self::Busy(trial) => format!("it has trial {trial}"),
            Self::Ending(_) => "it ends".to_owned(),
        }
    }
}
