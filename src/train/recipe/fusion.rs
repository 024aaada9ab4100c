//! Trials of one shape that are trained together, on a device as one model.
//!
//! Each trial has its own parameters, moments, order of batches, dropout, learning rate, clipping, early stopping,
//! figures and checkpoints: all that [`RunningTrial`] and [`Learner`] hold. A trial that is over leaves, and
//! the others go on without it. All steps of a pass have the same number: after an interruption those that are
//! behind go first, until they have caught up.
//!
//! On a device with a memory of its own, parameters and moments stand side by side (`resident`), and a step of all trials
//! costs the launches of one. They go back to their trial when it is measured or saved. In this process's memory
//! launches cost nothing: there each trial makes its own step, to the byte the one that it makes alone.

mod group;
mod measure;
mod member;
mod resident;
mod step;

use self::measure::Wanted;
pub(super) use self::{group::Group, member::Member};
#[cfg(doc)]
use super::{learner::Learner, running_trial::RunningTrial};
use crate::train::{
    backend::Compute,
    error::Unfinished,
    observe::{Ending, Report},
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
            let is_read = |member: &Member<'a, C>| {
                let is_pause = member.trial.pause_due(&member.learner, member.planned).is_some();
                member.learner.over || member.is_evaluation_due() || is_pause
            };
            if members.iter().any(is_read) {
                members = self.read_losses(members);
            }
            members = self.evaluate(members);
            members = self.conclude(members);
            members = self.pause(members);
            let Some(step) = members.iter().map(|member| member.learner.step).min() else { return };
            members = self.regroup(members, step);
            let (behind, mut others): (Vec<_>, Vec<_>) =
                members.into_iter().partition(|member| member.learner.step == step);
            if !behind.is_empty() {
                let stepped = self.step(behind);
                others.extend(self.after_step(stepped));
                others.sort_by_key(|member| member.place);
            }
            members = others;
        }
    }

    /// Reports a step of each of `members`, and saves those whose time it is or which are to stop.
    fn after_step(&mut self, mut members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let mut stopped = Vec::new();
        for Member { place, trial, learner, planned, .. } in &members {
            let observe = &mut |report| self.listener.on_report(*place, report);
            if trial.report_step(learner, *planned, observe).is_err() {
                stopped.push(*place);
            }
        }
        let is_due = |member: &Member<'a, C>| {
            stopped.contains(&member.place) || member.trial.is_save_due(&member.learner)
        };
        if members.iter().any(is_due) {
            members = self.read_losses(members);
        }
        self.each(members, |group, member| {
            if is_due(member) {
                group.bring_home(member);
                let observe = &mut |report| group.listener.on_report(member.place, report);
                member.trial.save(&mut member.learner, false, observe)?;
                group.keep_moments(member);
            }
            if stopped.contains(&member.place) { Err(Unfinished::Stopped) } else { Ok(()) }
        })
    }

    /// Evaluates those whose time it is, all at once.
    fn evaluate(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let (mut due, mut others): (Vec<_>, Vec<_>) =
            members.into_iter().partition(Member::is_evaluation_due);
        for member in &mut due {
            self.bring_home(member);
        }
        let measured = self.measure(&due, Wanted::Current);
        let mut scores = measured.into_iter().map(|measured| measured.scores);
        others.extend(self.each(due, |group, member| {
            let Member { place, planned, .. } = *member;
            let Some(scores) = scores.next() else { return Ok(()) };
            let last_rate = member.rate.at(member.learner.step - 1);
            let observe = &mut |report| group.listener.on_report(place, report);
            member.trial.judge(&mut member.learner, scores, last_rate, planned, observe)?;
            group.keep_moments(member);
            Ok(())
        }));
        others.sort_by_key(|member| member.place);
        others
    }

    /// Lets those go that pause here. Returns the others.
    fn pause(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let mut others = Vec::with_capacity(members.len());
        for mut member in members {
            let Some(epochs) = member.trial.pause_due(&member.learner, member.planned) else {
                others.push(member);
                continue;
            };
            self.bring_home(&mut member);
            let Member { place, .. } = member;
            let observe = &mut |report| self.listener.on_report(place, report);
            let why = member.trial.pause(&mut member.learner, epochs, observe);
            self.leave(place, why);
        }
        others
    }

    /// Measures those whose training is over, all at once. Returns the others.
    fn conclude(&mut self, members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let (over, others): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.learner.over);
        let measured = self.final_figures(&over);
        for (member, figures) in over.into_iter().zip(measured) {
            let Member { place, trial, learner, planned, .. } = member;
            let observe = &mut |report| self.listener.on_report(place, report);
            match trial.conclude(&learner, planned, figures, observe) {
                Ok(outcome) => self.listener.on_end(place, Ok(Ending::Complete(Box::new(outcome)))),
                Err(why) => self.leave(place, why),
            }
        }
        others
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
