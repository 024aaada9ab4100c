//! One optimiser step of several trials at once, and the losses of steps.

use super::{group::Group, member::Member, resident::Resident};
use crate::train::backend::Compute;

impl<'a, C: Compute> Group<'a, C> {
    /// Makes one step of each of `members`. Returns those that go on; trials whose loss or gradients are not finite leave,
    /// on a device as soon as that is known.
    pub(super) fn step(&mut self, mut members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        if C::ON_HOST {
            return self.step_one_by_one(members);
        }
        let resident = self.resident.take().filter(|resident| resident.is_of(&members));
        let resident = resident.unwrap_or_else(|| Resident::of(&mut members, self.device));
        let resident = resident.step(&mut members, self.device);
        let is_reading_due = resident.is_reading_due();
        self.resident = Some(resident);
        if is_reading_due { self.read_losses(members) } else { members }
    }

    /// In this process's memory a step costs no launch, so that nothing is gained by several steps at once. Each trial
    /// makes the step that it makes alone.
    fn step_one_by_one(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let mut left = Vec::with_capacity(members.len());
        for mut member in members {
            let (batch, rate) = (member.batch(), member.rate());
            match member.with_learner(|trial, learner| trial.step(learner, &batch, rate)) {
                Ok(member) => left.push(member),
                Err(failed) => {
                    let (place, error) = *failed;
                    self.leave(place, error.into());
                }
            }
        }
        left
    }

    /// Adds the losses that are still on the device to those of their trials. `members`: all that have made a step together.
    /// Returns those whose losses are finite; the others leave.
    pub(super) fn read_losses(&mut self, mut members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let Some(resident) = &mut self.resident else { return members };
        for (place, error) in resident.read_losses(&mut members) {
            members.retain(|member| member.place != place);
            self.leave(place, error.into());
        }
        members
    }

    /// Gives a member its parameters and moments, where they are not with it.
    pub(super) fn bring_home(&self, member: &mut Member<'a, C>) {
        if let Some(resident) = &self.resident {
            resident.bring_home(member);
        }
    }

    /// Drops a member's moments again after [`Self::bring_home`], if they stay where they are.
    pub(super) fn keep_moments(&self, member: &mut Member<'a, C>) {
        if self.resident.as_ref().is_some_and(|resident| resident.has(member)) {
            member.learner.optimizer.drop_moments();
        }
    }

    /// Prepares for the next step, which those of `members` make that are at the step `number`: if others were in the last
    /// one, all get back what is theirs.
    pub(super) fn regroup(&mut self, members: Vec<Member<'a, C>>, number: u64) -> Vec<Member<'a, C>> {
        let behind = members.iter().filter(|member| member.learner.step == number);
        if self.resident.as_ref().is_none_or(|resident| resident.is_of(behind)) {
            return members;
        }
        let mut members = self.read_losses(members);
        for member in &mut members {
            self.bring_home(member);
        }
        self.resident = None;
        members
    }
}
