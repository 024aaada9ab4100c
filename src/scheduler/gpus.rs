//! What the scheduler decides about GPUs: how many trials one has at once, and when one is set aside.

use super::{
    messages::{Action, Slot},
    state::Scheduler,
};
use crate::{
    system::device::Device,
    trial::{Failure, FailureKind, TrialId},
};

/// How often in a row a GPU may be lost before it is set aside. Once may be the fault of a process; a fresh process on a
/// GPU that is really lost does not come far.
const LOSSES_MAX: u32 = 2;
/// Of ten parts of a GPU's memory, those that are filled. The largest trial may take more than the first one.
const FILLED_TENTHS: u64 = 9;

impl Scheduler {
    /// Gives a GPU as many slots as fit, once a trial on it has shown what it takes.
    pub(super) fn pack(&mut self, slot: Slot, bytes: u64, out: &mut Vec<Action>) {
        let Some(device) = self.slots.device(slot) else { return };
        let Some(room) = self.terms.packing.room.remove(&device) else { return };
        let fitting = room / 10 * FILLED_TENTHS / bytes.max(1);
        let slots = usize::try_from(fitting).unwrap_or(usize::MAX).min(self.terms.packing.slots_max);
        if slots > 1 {
            out.push(Action::Pack { device, slots, bytes });
        }
    }

    /// Notes that a trial has finished in this slot: its device works.
    pub(super) fn note_success(&mut self, slot: Slot) {
        if let Some(device) = self.slots.device(slot) {
            self.losses.remove(&(self.slots.host(slot), device));
        }
    }

    /// Counts that a slot's device was lost under a trial, and sets the device aside if that was once too often. For
    /// several trials of one process it counts once.
    pub(super) fn note_loss(&mut self, slot: Slot, trial: TrialId, why: &str, out: &mut Vec<Action>) {
        let Some(device) = self.slots.device(slot) else { return };
        if self.slots.trials(slot).first() != Some(&trial) {
            return;
        }
        let losses = self.losses.entry((self.slots.host(slot), device)).or_default();
        *losses += 1;
        // The other workers of a device that is set aside report their own loss.
        if *losses >= LOSSES_MAX && self.slots.is_any_in_use(&self.slots.beside(slot)) {
            self.set_aside(slot, device, why, out);
        }
    }

    /// Gives no slot of the device any more work, and ends the workers of all slots but `slot`, which ends by itself.
    fn set_aside(&mut self, slot: Slot, device: Device, why: &str, out: &mut Vec<Action>) {
        out.push(Action::ShowLost(device, why.to_owned()));
        let slots = self.slots.beside(slot);
        for slot in &slots {
            self.slots.retire(*slot);
        }
        let message = format!("{device} was set aside: {why}");
        let failure = Failure { kind: FailureKind::DeviceLost, message };
        for other in slots.into_iter().filter(|other| *other != slot) {
            self.kill(other, &failure, None, out);
        }
    }
}
