//! Slots that cannot start a worker, or whose worker found the machine short of something: they rest, and
//! no trial fails for it. A run without any worker is given up after a while.

use tokio::time::Instant;

use super::{
    error::ExecutorError,
    observer::Notice,
    rests::{Follows, Trouble},
    state::Loop,
};
use crate::{
    scheduler::{Input, Slot},
    system::shortage::Shortage,
};

impl Loop<'_> {
    /// Lets a slot rest, and tells the user. Returns the wish to stop if the run is given up.
    pub(super) fn rest(&mut self, slot: Slot, why: String) -> Vec<Input> {
        let Some(device) = self.run.devices.get(slot.0).copied() else { return Vec::new() };
        let words = self.rests.last_words.remove(&slot).unwrap_or_default();
        let why = match words.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) if Shortage::in_last_words(&why).is_none() => format!("{why}: {}", line.trim()),
            Some(_) | None => why,
        };
        let trouble = Trouble { slot, device, why, has_company: !self.workers.is_empty() };
        match self.rests.begin(&trouble, Instant::now()) {
            Follows::Nothing => {}
            Follows::Warning(text) => self.notify(&Notice::Warning(text)),
            // What was not begun is left to the next run.
            Follows::GiveUp => return vec![Input::Interrupt],
        }
        Vec::new()
    }

    /// Takes the slots that have rested into use again.
    pub(super) async fn wake(&mut self) -> Result<(), ExecutorError> {
        for slot in self.rests.take_rested(Instant::now()) {
            self.handle(Input::Rested(slot)).await?;
        }
        Ok(())
    }

    /// Notes that a worker gets on with its trial.
    pub(super) fn note_work(&mut self) {
        if let Some(text) = self.rests.on_work() {
            self.notify(&Notice::Resolved(text.to_owned()));
        }
    }
}
