//! One optimiser step of several trials at once.

use burn::{
    module::AutodiffModule,
    tensor::{Tensor, TensorData, activation::log_softmax},
};

use super::{
    group::Group,
    input::{Part, StackedInput},
    member::Member,
    pass::{Pass, Stepped, add_losses},
    resident::{Parameters, Resident},
};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        encoder::model::stacked::StackedHead,
        learning::{aggregate::aggregate_stacked, gradients::Gradients},
        masks::{Dropout, Masks},
        recipe::{frozen::FrozenInput, step::StepLoss},
        tensors::values,
    },
};

impl<'a, C: Compute> Group<'a, C> {
    /// Makes one step of each of `members`. Returns those whose loss and gradients are finite; the others leave.
    pub(super) fn step(&mut self, mut members: Vec<Member<'a, C>>) -> Vec<Member<'a, C>> {
        let micro_batches: Vec<Vec<Vec<usize>>> = members.iter_mut().map(Member::micro_batches).collect();
        let stepped = if let Parameters::Resident(resident) = &mut self.parameters {
            let mut resident = Resident::of(resident.take(), &mut members);
            let stepped = self.resident_step(&mut resident, members, &micro_batches);
            self.parameters = Parameters::Resident(Some(resident));
            stepped
        } else {
            self.step_by_trial(members, &micro_batches)
        };
        let mut left = Vec::with_capacity(stepped.len());
        for member in stepped {
            match member {
                Ok(member) => left.push(member),
                Err((place, error)) => self.leave(place, error.into()),
            }
        }
        left
    }

    /// A step of trials whose parameters are their own: they are put side by side for each pass, and each trial's
    /// optimiser updates them, as it does for a trial alone.
    fn step_by_trial(
        &mut self,
        members: Vec<Member<'a, C>>,
        micro_batches: &[Vec<Vec<usize>>],
    ) -> Vec<Stepped<'a, C>> {
        let mut gradients: Vec<Gradients<C>> = members.iter().map(|_| Gradients::new()).collect();
        let mut losses = vec![0.0; members.len()];
        for pass in Pass::all(micro_batches) {
            // A backward pass consumes its graph, of which this is a part.
            let stack = StackedHead::of(&members.iter().map(|member| &member.learner.model).collect::<Vec<_>>());
            let (logits, weighted) = self.forward(&stack, &members, micro_batches, &pass);
            add_losses(&mut losses, &values(logits.inner()), &members, &pass);
            let mut backward = weighted.sum().backward();
            for (trial, (own, member)) in gradients.iter_mut().zip(&members).enumerate() {
                if pass.has(trial) {
                    own.take_from(&member.learner.model, &mut backward);
                }
            }
        }
        let steps = members.into_iter().zip(gradients).zip(losses).zip(micro_batches);
        steps
            .map(|(((member, gradients), sum), batch)| {
                let loss = StepLoss { sum, documents: batch.iter().map(Vec::len).sum() };
                let rate = member.rate.at(member.learner.step);
                member.with_learner(|trial, learner| trial.update(learner, gradients, loss, rate))
            })
            .collect()
    }

    /// The logits of a pass, `[trials, documents, classes]`, and the terms of its losses, of the same shape, whose sum has
    /// the gradients of each trial's own loss.
    pub(super) fn forward(
        &mut self,
        stack: &StackedHead<C>,
        members: &[Member<'a, C>],
        micro_batches: &[Vec<Vec<usize>>],
        pass: &Pass<'_>,
    ) -> (Tensor<C, 3>, Tensor<C, 3>) {
        let models: Vec<_> = members.iter().map(|member| || member.learner.model.valid()).collect();
        let parts: Vec<Part<'_, C::InnerBackend>> = members
            .iter()
            .zip(&pass.documents)
            .zip(&models)
            .map(|((Member { trial, .. }, documents), model)| {
                let input: FrozenInput<'_> = trial.frozen.input(trial.corpus, SplitName::Train);
                Part { input, documents, model }
            })
            .collect();
        let uploaded = match self.parameters {
            Parameters::ByTrial => None,
            Parameters::Resident(_) => Some((&mut self.uploaded, SplitName::Train)),
        };
        let input = StackedInput::gather(&parts, uploaded, self.device);
        let lengths: Vec<usize> = parts.iter().map(|part| chunk_count(part.input, part.documents)).collect();
        let masks: Vec<Masks> =
            members.iter().map(|member| member.trial.masks(member.learner.step, pass.number)).collect();
        let chunks = Tensor::from_inner(input.chunks);
        let logits = stack.classify(chunks, &mut |chunks| drop(chunks, &masks, &lengths));
        let logits = aggregate_stacked(logits, &input.ranges, members[0].trial.settings().aggregate);
        let targets = targets(members, micro_batches, pass, logits.dims());
        let targets = Tensor::from_data(TensorData::new(targets, logits.dims()), self.device);
        (logits.clone(), log_softmax(logits, 2) * targets)
    }
}

fn chunk_count(input: FrozenInput<'_>, documents: &[usize]) -> usize {
    documents.iter().map(|&document| input.split().chunk_range(document).len()).sum()
}

/// Applies each trial's dropout at the next place to its slice of `tensor`, `[trials, rows, width]`, or `[1, rows, width]`
/// where it is the same for all. `lengths`: by trial the number of rows that mean something.
fn drop<C: Compute>(tensor: Tensor<C, 3>, masks: &[Masks], lengths: &[usize]) -> Tensor<C, 3> {
    let drops: Vec<Dropout> = masks.iter().map(Masks::next).collect();
    if drops.iter().all(|drop| drop.is_off()) {
        return tensor;
    }
    let [_, rows, width] = tensor.dims();
    let mut mask = vec![0.0; drops.len() * rows * width];
    for ((drop, length), mask) in drops.iter().zip(lengths).zip(mask.chunks_exact_mut(rows * width)) {
        drop.fill(&mut mask[..length * width], 0);
    }
    let device = tensor.device();
    tensor.mul(Tensor::from_data(TensorData::new(mask, [drops.len(), rows, width]), &device))
}

/// What the logarithms of the probabilities are multiplied by: each trial's own targets over the total of its batch, and
/// zero where it has no document.
#[expect(clippy::cast_possible_truncation, reason = "losses are f32")]
fn targets<C: Compute>(
    members: &[Member<'_, C>],
    micro_batches: &[Vec<Vec<usize>>],
    pass: &Pass<'_>,
    [_, documents, classes]: [usize; 3],
) -> Vec<f32> {
    let mut all = vec![0.0; members.len() * documents * classes];
    for (trial, (Member { trial: running, .. }, slab)) in
        members.iter().zip(all.chunks_exact_mut(documents * classes)).enumerate()
    {
        let label = |&document: &usize| running.corpus.train.label(document);
        let total = running.objective.total(micro_batches[trial].iter().flatten().map(label));
        let labels: Vec<usize> = pass.documents[trial].iter().map(label).collect();
        let share = 1.0 / total as f32;
        for (own, target) in slab.iter_mut().zip(running.objective.targets(&labels)) {
            *own = share * target;
        }
    }
    all
}
