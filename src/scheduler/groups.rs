//! Which waiting trials are trained together.
//!
//! Trials of one shape are, on their first attempt of a run: after a failure each trial has a process of its own. As
//! many as the terms allow and as fit into a GPU's memory, but no more than a slot's share of those that wait, so that no slot stays idle for it.

use super::{messages::Slot, slots::MemoryPool, state::Scheduler};
use crate::{system::device::Device, trial::TrialId};

impl Scheduler {
    /// Whether the trial may have a process together with others, or after others. A further attempt
    /// needs a fresh process of its own: the old process may be what the last attempt failed of.
    pub(super) fn is_sociable(&self, trial: TrialId) -> bool {
        !self.attempts.has_begun(trial) && self.attempts.measures(trial).alone.is_none()
    }

    /// Whether the trial may use the memory of `pool`.
    pub(super) fn may_use(&self, trial: TrialId, pool: MemoryPool) -> bool {
        self.attempts.measures(trial).alone.is_none_or(|own| own == pool)
    }

    /// Whether the trial can be trained together with another one of its shape.
    fn is_fusible(&self, trial: TrialId, shape: usize) -> bool {
        // Passes are cut for one trial after its memory ran out.
        let is_whole = self.attempts.measures(trial).micro_batch.is_none();
        is_whole && self.is_sociable(trial) && self.shapes.of(trial) == Some(shape)
    }

    /// Takes the next trials for a worker in `slot`, the first of which is `first`. `takers`: the slots that share what
    /// waits, this one included.
    pub(super) fn take(&mut self, first: TrialId, slot: Slot, takers: usize) -> Vec<TrialId> {
        let (Some(device), Some(pool)) = (self.slots.device(slot), self.slots.pool(slot)) else {
            self.queue.take(first);
            return vec![first];
        };
        let fitting = self.terms.packing.fused_max.get(&device).copied().unwrap_or(usize::MAX).max(1);
        let count_max = self.terms.fuse.trials_max(!matches!(device, Device::Cpu { .. })).min(fitting);
        let shape = self.shapes.of(first).filter(|shape| count_max > 1 && self.is_fusible(first, *shape));
        let mut trials = vec![first];
        if let Some(shape) = shape {
            let others = self
                .queue
                .all(|trial| trial != first && self.may_use(trial, pool) && self.is_fusible(trial, shape));
            let count = (others.len() + 1).div_ceil(takers.max(1)).min(count_max);
            trials.extend(others.into_iter().take(count - 1));
        }
        for trial in &trials {
            self.queue.take(*trial);
        }
        trials
    }

    /// The number of slots in which a process may be started now.
    pub(super) fn free_slots(&self) -> usize {
        self.slots.all().into_iter().filter(|slot| self.slots.free_device(*slot).is_some()).count()
    }

    /// The number of slots that are given work.
    pub(super) fn working_slots(&self) -> usize {
        self.slots.all().into_iter().filter(|slot: &Slot| !self.slots.is_retired(*slot)).count()
    }
}
