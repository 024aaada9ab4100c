//! The slots of a run: what each one holds, and which of them share their memory.

use std::collections::BTreeMap;

use super::messages::{Host, RemoteSlot, Slot};
use crate::{
    event::RemotePlace,
    system::device::{Device, GpuBackend},
    trial::TrialId,
};

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// No process.
    Empty,
    /// A process that has not reported ready, and the trials that wait for it.
    Starting(Vec<TrialId>),
    /// A process at work on these trials.
    Busy(Vec<TrialId>),
    /// A process that ends, and what is done once it has been reaped.
    Ending(Vec<AfterExit>),
}

/// What is done about a trial once the process that had it has been reaped. Not before: until then
/// that process may write into the trial's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterExit {
    /// It is tried again, after the trials that wait.
    Retry(TrialId),
    /// It is tried again, before all others.
    Resume(TrialId),
    /// It is logged as interrupted.
    PutBack(TrialId),
}

/// Memory that several slots may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemoryPool {
    /// The machine's.
    Host(Host),
    /// That of this GPU of it.
    Gpu(Host, GpuBackend, usize),
}

impl MemoryPool {
    pub(super) const fn of(device: Device, host: Host) -> Self {
        match device {
            Device::Cpu { .. } => Self::Host(host),
            Device::Gpu { backend, index } => Self::Gpu(host, backend, index),
        }
    }
}

/// What is known of a slot.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct SlotRecord {
    device: Device,
    host: Host,
    /// What the log says of a slot of another machine.
    place: Option<Box<RemotePlace>>,
    /// It takes one trial, and no other after it.
    is_for_one: bool,
    state: SlotState,
    /// Its process has the memory pool for itself.
    is_alone: bool,
    /// Its process was given several trials to train together.
    is_fused: bool,
    /// It is given no more work in this run.
    is_retired: bool,
    /// Its worker waits for space on the disk.
    is_full: bool,
    /// Nothing is started in it for a while.
    is_resting: bool,
    /// What its worker found the machine short of.
    shortage: Option<String>,
}

impl SlotRecord {
    const fn pool(&self) -> MemoryPool {
        MemoryPool::of(self.device, self.host)
    }
}

/// The slots of a run.
#[derive(Debug, Default)]
pub(super) struct Slots(BTreeMap<Slot, SlotRecord>);

impl Slots {
    /// Adds a slot, or takes a retired one into use again.
    pub(super) fn join(&mut self, slot: Slot, device: Device) {
        let new = || SlotRecord {
            device,
            host: Host::LOCAL,
            place: None,
            is_for_one: false,
            state: SlotState::Empty,
            is_alone: false,
            is_fused: false,
            is_retired: false,
            is_full: false,
            is_resting: false,
            shortage: None,
        };
        let record = self.0.entry(slot).or_insert_with(new);
        (record.device, record.is_retired) = (device, false);
    }

    /// Adds a slot of another machine.
    pub(super) fn join_remote(&mut self, slot: Slot, device: Device, remote: RemoteSlot) {
        self.join(slot, device);
        if let Some(record) = self.0.get_mut(&slot) {
            let RemoteSlot { host, place, is_for_one } = remote;
            (record.host, record.place, record.is_for_one) = (host, Some(Box::new(place)), is_for_one);
        }
    }

    /// What the log says of a slot of another machine.
    pub(super) fn place(&self, slot: Slot) -> Option<Box<RemotePlace>> {
        self.0.get(&slot)?.place.clone()
    }

    /// Whether the slot takes one trial, and no other after it.
    pub(super) fn is_for_one(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|record| record.is_for_one)
    }

    /// The memory that the slot's process uses.
    pub(super) fn pool(&self, slot: Slot) -> Option<MemoryPool> {
        self.0.get(&slot).map(SlotRecord::pool)
    }

    /// Gives the slot no more work.
    pub(super) fn retire(&mut self, slot: Slot) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.is_retired = true;
        }
    }

    pub(super) fn devices(&self) -> Vec<Device> {
        self.0.values().map(|record| record.device).collect()
    }

    /// Every slot, by number.
    pub(super) fn all(&self) -> Vec<Slot> {
        self.0.keys().copied().collect()
    }

    /// The slots that use the same device as this one, itself included.
    pub(super) fn beside(&self, slot: Slot) -> Vec<Slot> {
        let of = |record: &SlotRecord| (record.host, record.device);
        let own = self.0.get(&slot).map(of);
        self.0.iter().filter(|(_, record)| Some(of(record)) == own).map(|(slot, _)| *slot).collect()
    }

    /// Whether one of these slots is given work.
    pub(super) fn is_any_in_use(&self, slots: &[Slot]) -> bool {
        slots.iter().any(|slot| self.0.get(slot).is_some_and(|record| !record.is_retired))
    }

    /// The machine of a slot.
    pub(super) fn host(&self, slot: Slot) -> Host {
        self.0.get(&slot).map_or(Host::LOCAL, |record| record.host)
    }

    /// Whether no slot is given any work.
    pub(super) fn are_all_retired(&self) -> bool {
        self.0.values().all(|record| record.is_retired)
    }

    /// What the slot holds; an unknown slot is empty.
    pub(super) fn state(&self, slot: Slot) -> &SlotState {
        self.0.get(&slot).map_or(&SlotState::Empty, |record| &record.state)
    }

    /// The trials that the slot's process has, or will have once it is ready.
    pub(super) fn trials(&self, slot: Slot) -> Vec<TrialId> {
        match self.state(slot) {
            SlotState::Starting(trials) | SlotState::Busy(trials) => trials.clone(),
            SlotState::Empty | SlotState::Ending(_) => Vec::new(),
        }
    }

    pub(super) fn set_state(&mut self, slot: Slot, state: SlotState) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.state = state;
        }
    }

    /// Notes that a busy slot's worker is done with `trial`. Returns whether it has no other.
    pub(super) fn done_with(&mut self, slot: Slot, trial: TrialId) -> bool {
        match self.0.get_mut(&slot).map(|record| &mut record.state) {
            Some(SlotState::Busy(trials)) => {
                trials.retain(|held| *held != trial);
                trials.is_empty()
            }
            _ => false,
        }
    }

    /// The device of a slot in which a process may be started.
    pub(super) fn free_device(&self, slot: Slot) -> Option<Device> {
        let record = self.0.get(&slot)?;
        let is_free = record.state == SlotState::Empty && !record.is_retired && !record.is_resting;
        is_free.then_some(record.device)
    }

    pub(super) fn device(&self, slot: Slot) -> Option<Device> {
        self.0.get(&slot).map(|record| record.device)
    }

    /// Whether no slot has a process.
    pub(super) fn are_empty(&self) -> bool {
        self.0.values().all(|record| record.state == SlotState::Empty)
    }

    fn of(&self, pool: MemoryPool) -> impl Iterator<Item = &SlotRecord> {
        self.0.values().filter(move |record| record.pool() == pool)
    }

    /// Whether no slot of `pool` has a process.
    pub(super) fn is_idle(&self, pool: MemoryPool) -> bool {
        self.of(pool).all(|record| record.state == SlotState::Empty)
    }

    /// Whether some process has `pool` for itself.
    pub(super) fn is_taken(&self, pool: MemoryPool) -> bool {
        self.of(pool).any(|record| record.is_alone)
    }

    /// Whether `pool` has more than one slot.
    pub(super) fn is_shared(&self, pool: MemoryPool) -> bool {
        self.of(pool).count() > 1
    }

    /// Whether the slot's worker, once it is done with its trials, may be given others.
    pub(super) fn may_continue(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|record| !record.is_alone && !record.is_retired)
    }

    /// Notes whether the process that starts in `slot` has its memory pool for itself.
    pub(super) fn set_alone(&mut self, slot: Slot, is_alone: bool) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.is_alone = is_alone;
        }
    }

    /// The memory pool of `slot`, if processes of other slots may use it too.
    pub(super) fn company(&self, slot: Slot) -> Option<MemoryPool> {
        let pool = self.pool(slot)?;
        let mut others = self.0.iter().filter(|(other, record)| {
            **other != slot
                && record.pool() == pool
                && !(record.is_retired && record.state == SlotState::Empty)
        });
        others.next().map(|_| pool)
    }

    /// Retires one other slot that shares the memory pool of `slot`; one slot of the pool stays in any case.
    pub(super) fn retire_beside(&mut self, slot: Slot) {
        let Some(pool) = self.pool(slot) else { return };
        if self.of(pool).filter(|record| !record.is_retired).count() < 2 {
            return;
        }
        let mut others = self
            .0
            .iter_mut()
            .rev()
            .filter(|(other, record)| **other != slot && record.pool() == pool && !record.is_retired);
        if let Some((_, record)) = others.next() {
            record.is_retired = true;
        }
    }

    /// Notes whether the slot's process trains several trials together.
    pub(super) fn set_fused(&mut self, slot: Slot, is_fused: bool) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.is_fused = is_fused;
        }
    }

    /// Whether the slot's process trains several trials together, or will. It is so until the last of them is over.
    pub(super) fn is_fused(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|record| record.is_fused)
    }

    pub(super) fn is_retired(&self, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|record| record.is_retired)
    }

    /// Notes that the slot's process has been reaped.
    pub(super) fn vacate(&mut self, slot: Slot) {
        if let Some(record) = self.0.get_mut(&slot) {
            (record.state, record.is_alone, record.is_fused) = (SlotState::Empty, false, false);
        }
    }

    /// Notes whether nothing is started in the slot for a while.
    pub(super) fn set_resting(&mut self, slot: Slot, is_resting: bool) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.is_resting = is_resting;
        }
    }

    /// Notes what the slot's worker found the machine short of.
    pub(super) fn set_shortage(&mut self, slot: Slot, message: String) {
        if let Some(record) = self.0.get_mut(&slot) {
            record.shortage = Some(message);
        }
    }

    /// Takes what [`Self::set_shortage`] has noted.
    pub(super) fn take_shortage(&mut self, slot: Slot) -> Option<String> {
        self.0.get_mut(&slot).and_then(|record| record.shortage.take())
    }

    /// Notes whether the slot's worker waits for space. Returns whether it did before.
    pub(super) fn set_full(&mut self, slot: Slot, is_full: bool) -> bool {
        self.0.get_mut(&slot).is_some_and(|record| std::mem::replace(&mut record.is_full, is_full))
    }

    /// Whether any worker waits for space.
    pub(super) fn is_any_full(&self) -> bool {
        self.0.values().any(|record| record.is_full)
    }
}

impl SlotState {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Empty => "nothing runs".to_owned(),
            Self::Starting(_) => "it starts".to_owned(),
            Self::Busy(trials) => {
                let numbers: Vec<String> = trials.iter().map(ToString::to_string).collect();
                format!("it has trial {}", numbers.join(", "))
            }
            Self::Ending(_) => "it ends".to_owned(),
        }
    }
}
