//! What the loop does about GPUs: further slots for those with room, and a word about those that are lost.

use super::{observer::Notice, state::Loop};
use crate::{
    plan::size,
    scheduler::{Input, Slot},
    system::device::Device,
};

impl Loop<'_> {
    /// Lets further slots of a GPU join, until it has this number of them.
    pub(super) fn pack(&mut self, device: Device, slots: usize, bytes: u64) -> Vec<Input> {
        let has = self.run.devices.iter().filter(|own| **own == device).count();
        let first = self.run.devices.len();
        let joined: Vec<Input> =
            (has..slots).enumerate().map(|(at, _)| Input::SlotJoined(Slot(first + at), device)).collect();
        self.run.devices.extend(joined.iter().map(|_| device));
        let takes = size(bytes);
        self.notify(&Notice::Note(format!(
            "{device}: a trial takes {takes} of its memory; {slots} run there at once from here on"
        )));
        joined
    }

    /// Says that a device is set aside.
    pub(super) fn show_lost(&mut self, device: Device, why: &str) {
        self.notify(&Notice::Warning(format!(
            "{device} is set aside: it was lost twice in a row ({why}). No trial fails for that: others take its trials. \
             Look at `dmesg` and at `nvidia-smi`; the GPU may need a reset"
        )));
        self.lost = Some(format!("{device}: {why}"));
    }
}
