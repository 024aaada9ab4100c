//! The parameters and moments of several trials side by side in a device's memory.

use super::member::Member;
use crate::train::{
    backend::Compute,
    encoder::model::{classifier::Classifier, stacked::Learning},
    error::TrainError,
    learning::adamw::AdamW,
    recipe::{
        device_step::{self, StepSums, TrialStep},
        learner::STEPS_READ_TOGETHER,
    },
    tensors::values_together,
};

/// The parameters and moments of several trials in a device's memory. While they are there, those of the
/// trials themselves are out of date.
pub(in crate::train::recipe) struct Resident<C: Compute> {
    /// The places of the trials, in the order in which they stand.
    places: Vec<usize>,
    model: Classifier<C>,
    optimizer: AdamW<C>,
    learning: Learning,
    /// The latest steps, whose sums are still on the device.
    unread: Vec<UnreadStep<C>>,
}

/// A step whose sums are still on the device.
struct UnreadStep<C: Compute> {
    /// By trial: the step's number, from 1, and the documents of its batch.
    trials: Vec<(u64, usize)>,
    sums: StepSums<C>,
}

impl<C: Compute> Resident<C> {
    /// Brings the parameters and moments of `members` together.
    pub(super) fn of(members: &mut [Member<'_, C>], device: &C::Device) -> Self {
        let models: Vec<&Classifier<C>> = members.iter().map(|member| &member.learner.model).collect();
        let learning = models[0].learning();
        let model = Classifier::side_by_side(&models, &learning);
        let optimizers: Vec<_> = members.iter().map(|member| &member.learner.optimizer).collect();
        let optimizer = AdamW::side_by_side(&optimizers, device);
        for member in members.iter_mut() {
            member.learner.optimizer.drop_moments();
        }
        let places = members.iter().map(|member| member.place).collect();
        Self { places, model, optimizer, learning, unread: Vec::new() }
    }

    /// Whether these are the parameters of just `members`, in this order.
    pub(super) fn is_of<'m>(&self, members: impl IntoIterator<Item = &'m Member<'m, C>>) -> bool
    where
        C: 'm,
    {
        members.into_iter().map(|member| member.place).eq(self.places.iter().copied())
    }

    /// Whether a member has its parameters and moments here.
    pub(super) fn has(&self, member: &Member<'_, C>) -> bool {
        self.places.contains(&member.place)
    }

    /// The model of all trials.
    pub(super) fn model(&self) -> &Classifier<C> {
        &self.model
    }

    /// Gives a member its parameters and moments, if it has a place here.
    pub(super) fn bring_home(&self, member: &mut Member<'_, C>) {
        let Some(place) = self.places.iter().position(|own| *own == member.place) else { return };
        let model = member.learner.model.clone();
        let places = [place, self.places.len()];
        member.learner.model = model.with_trial_of(&self.model, &self.learning, places);
        member.learner.optimizer.take_trial_of(&self.optimizer, place);
    }

    /// Makes a step of each of `members`, whose parameters these are.
    pub(super) fn step(mut self, members: &mut [Member<'_, C>], device: &C::Device) -> Self {
        let micro_batches: Vec<Vec<Vec<usize>>> = members.iter_mut().map(Member::micro_batches).collect();
        let step = |(member, micro_batches)| {
            let Member { trial, learner, .. }: &Member<'_, C> = member;
            TrialStep { trial, model: &learner.model, micro_batches, step: learner.step, rate: member.rate() }
        };
        let steps: Vec<TrialStep<'_, C>> =
            members.iter().zip(micro_batches.iter().map(Vec::as_slice)).map(step).collect();
        let (model, sums) = device_step::step(self.model, &mut self.optimizer, &steps, device);
        drop(steps);
        let mut trials = Vec::with_capacity(members.len());
        for (member, micro_batches) in members.iter_mut().zip(&micro_batches) {
            member.learner.step += 1;
            trials.push((member.learner.step, micro_batches.iter().map(Vec::len).sum()));
        }
        self.unread.push(UnreadStep { trials, sums });
        Self { model, ..self }
    }

    /// Whether so many steps were made that their losses are to be read.
    pub(super) fn is_reading_due(&self) -> bool {
        self.unread.len() >= STEPS_READ_TOGETHER
    }

    /// Reads the losses that are still on the device, and adds them to those of their trials. Returns the place of each trial
    /// that has a loss without a number, and its error.
    pub(super) fn read_losses(&mut self, members: &mut [Member<'_, C>]) -> Vec<(usize, TrainError)> {
        let unread = std::mem::take(&mut self.unread);
        let mut failed: Vec<(usize, TrainError)> = Vec::new();
        let all = values_together(unread.iter().map(|step| step.sums.clone()).collect()).concat();
        let steps = unread.iter().flat_map(|step| self.places.iter().zip(&step.trials));
        for ((&place, &(step, documents)), sums) in steps.zip(all.chunks_exact(3)) {
            let member = members.iter_mut().find(|member| member.place == place);
            let is_over = failed.iter().any(|(over, _)| *over == place);
            let Some(member) = member.filter(|_| !is_over) else { continue };
            let [norm, _, loss] = [0, 1, 2].map(|index| f64::from(sums[index]));
            if let Err(error) = member.learner.take_loss(step, loss, norm, documents) {
                failed.push((place, error));
            }
        }
        failed
    }
}
