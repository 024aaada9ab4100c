//! The trials that are trained together, as a whole.

use super::{member::Member, resident::Resident};
use crate::train::{backend::Compute, error::Unfinished, together::Listener};

/// Trials that are trained together.
pub(in crate::train::recipe) struct Group<'a, C: Compute> {
    pub(super) listener: &'a mut dyn Listener,
    pub(super) device: &'a C::Device,
    /// What the trials of the last step have side by side, on a device with a memory of its own.
    pub(super) resident: Option<Resident<C>>,
}

impl<'a, C: Compute> Group<'a, C> {
    pub(in crate::train::recipe) fn new(listener: &'a mut dyn Listener, device: &'a C::Device) -> Self {
        Self { listener, device, resident: None }
    }

    /// Does something for each of `members`. Returns those that are not over by it.
    pub(super) fn each(
        &mut self,
        members: Vec<Member<'a, C>>,
        mut deed: impl FnMut(&mut Self, &mut Member<'a, C>) -> Result<(), Unfinished>,
    ) -> Vec<Member<'a, C>> {
        let mut left = Vec::with_capacity(members.len());
        for mut member in members {
            match deed(self, &mut member) {
                Ok(()) => left.push(member),
                Err(why) => self.leave(member.place, why),
            }
        }
        left
    }

    /// Tells that the trial at `place` was over before it was complete.
    pub(super) fn leave(&mut self, place: usize, why: Unfinished) {
        self.listener.on_end(place, why.ending());
    }
}
