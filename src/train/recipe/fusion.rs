//! Trials over frozen encoders that are trained together, as one model with a leading axis of trials.
//!
//! Each trial has its own parameters, moments, order of batches, dropout, learning rate, clipping, early stopping,
//! figures and checkpoints: all that [`RunningTrial`] and [`Learner`] hold. What is done at once is the
//! forward and backward pass of a step (`step`), and measuring a split (`measure`). A trial that is over leaves, and
//! the others go on without it. All steps of a pass have the same number: after an interruption those that are
//! behind go first, until they have caught up.
//!
//! In this process's memory the parameters stay with their trials, and are put side by side for each pass. On a
//! device with a memory of its own, parameters and moments stay side by side (`resident`) and go back to their
//! trial when it is measured or saved, since each tensor costs a launch there, however small it is.

mod group;
mod input;
mod measure;
mod member;
mod pass;
mod resident;
mod resident_step;
mod step;

pub(super) use self::{group::Group, member::Member, resident::Parameters};
#[cfg(doc)]
use super::{learner::Learner, running_trial::RunningTrial};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        error::Unfinished,
        observe::{Ending, Report},
    },
};

impl<'a, C: Compute> Group<'a, C> {
    /// Trains `members` until each of them is over.
    pub(super) fn run(mut self, members: Vec<Member<'a, C>>) {
        let mut members = self.each(members, |group, member| {
            let observe = &mut |report| group.listener.on_report(member.place, report);
            observe(Report::Prepared(member.trial.prepared(&member.learner, member.planned)))?;
            member.trial.report_past(&member.learner, observe)
        });
        loop {
            // What is done in one round takes the time of all that are there when it begins.
            for member in &members {
                member.trial.clock.share(members.len());
            }
            members = self.evaluate(members);
            members = self.conclude(members);
            let Some(step) = members.iter().map(|member| member.learner.step).min() else { return };
            let (behind, mut others): (Vec<_>, Vec<_>) =
                members.into_iter().partition(|member| member.learner.step == step);
            let stepped = self.step(behind);
            others.extend(self.each(stepped, Self::after_step));
            others.sort_by_key(|member| member.place);
            members = others;
        }
    }

    /// Reports a step, and saves it if it is time or if the trial is to stop.
    fn after_step(&mut self, member: &mut Member<'a, C>) -> Result<(), Unfinished> {
        let Member { place, planned, .. } = *member;
        let go_on = member
            .trial
            .report_step(&member.learner, planned, &mut |report| self.listener.on_report(place, report));
        if go_on.is_err() || member.trial.is_save_due(&member.learner) {
            self.parameters.bring_home(member);
            let observe = &mut |report| self.listener.on_report(place, report);
            member.trial.save(&mut member.learner, false, observe)?;
        }
        Ok(go_on?)
    }

    /// Evaluates those whose time it is, all at once.
    fn evaluate(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let is_due = |member: &Member<'a, C>| member.trial.is_evaluation_due(&member.learner, member.planned);
        let (mut due, mut others): (Vec<_>, Vec<_>) = members.into_iter().partition(is_due);
        for member in &mut due {
            self.parameters.bring_home(member);
        }
        let measured = self.measure(&due, SplitName::Validation);
        let mut scores = measured.into_iter().map(|measured| measured.scores);
        others.extend(self.each(due, |group, member| {
            let Member { place, planned, .. } = *member;
            let Some(scores) = scores.next() else { return Ok(()) };
            let last_rate = member.rate.at(member.learner.step - 1);
            let observe = &mut |report| group.listener.on_report(place, report);
            member.trial.judge(&mut member.learner, scores, last_rate, planned, observe)
        }));
        others.sort_by_key(|member| member.place);
        others
    }

    /// Measures the test set for those whose training is over, all at once. Returns the others.
    fn conclude(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let (over, others): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.learner.over);
        let measured = self.measure(&over, SplitName::Test);
        for (member, test) in over.into_iter().zip(measured) {
            let Member { place, trial, learner, planned, .. } = member;
            let observe = &mut |report| self.listener.on_report(place, report);
            match trial.conclude(&learner, planned, test, observe) {
                Ok(outcome) => self.listener.on_end(place, Ok(Ending::Complete(Box::new(outcome)))),
                Err(why) => self.leave(place, why),
            }
        }
        others
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
