//! One optimiser step of several trials at once.

use burn::{
    module::AutodiffModule,
    tensor::{Tensor, TensorData, activation::log_softmax},
};

use super::{
    group::Group,
    input::{Part, StackedInput},
    member::Member,
    pass::{Pass, PassPart, Stepped, add_losses},
    resident::{Parameters, Resident},
};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        encoder::model::{classifier::Classifier, stacked::StackedHead},
        learning::{aggregate::aggregate_stacked, gradients::Gradients},
        masks::{Dropout, Masks},
        recipe::frozen::FrozenInput,
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
                Err(failed) => {
                    let (place, error) = *failed;
                    self.leave(place, error.into());
                }
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
        let totals = totals(&members, micro_batches);
        let passes = Pass::all(micro_batches).flat_map(|pass| pass.by_shape(&members));
        for pass in passes {
            let own = |part: &PassPart<'_>| &members[part.trial].learner.model;
            // A backward pass consumes its graph, of which this is a part.
            let stack = StackedHead::of(&pass.parts.iter().map(own).collect::<Vec<_>>());
            let (logits, weighted) = self.forward(&stack, &members, &totals, &pass);
            add_losses(&mut losses, &values(logits.inner()), &members, &pass);
            let mut backward = weighted.sum().backward();
            for part in &pass.parts {
                gradients[part.trial].take_from(own(part), &mut backward);
            }
        }
        let steps = members.into_iter().zip(gradients).zip(losses).zip(micro_batches);
        steps
            .map(|(((member, gradients), loss), batch)| {
                let documents = batch.iter().map(Vec::len).sum();
                let rate = member.rate.at(member.learner.step);
                member.with_learner(|trial, learner| trial.update(learner, gradients, loss, documents, rate))
            })
            .collect()
    }

    /// The logits of a pass, `[trials, documents, classes]`, and the terms of its losses, of the same shape, whose sum has
    /// the gradients of each trial's own loss. `totals`: by trial what the sum of its losses is divided by.
    pub(super) fn forward(
        &mut self,
        stack: &StackedHead<C>,
        members: &[Member<'a, C>],
        totals: &[f64],
        pass: &Pass<'_>,
    ) -> (Tensor<C, 3>, Tensor<C, 3>) {
        let of = |part: &PassPart<'_>| &members[part.trial];
        let models: Vec<_> = pass.parts.iter().map(|part| || of(part).learner.model.valid()).collect();
        let part = |(part, model)| {
            let &PassPart { trial, documents } = part;
            let running = &members[trial].trial;
            Part { input: running.frozen.input(running.corpus, SplitName::Train), documents, model }
        };
        let models = models.iter().map(|model| model as &dyn Fn() -> Classifier<C::InnerBackend>);
        let parts: Vec<Part<'_, C::InnerBackend>> = pass.parts.iter().zip(models).map(part).collect();
        let uploaded = match self.parameters {
            Parameters::ByTrial => None,
            Parameters::Resident(_) => Some((&mut self.uploaded, SplitName::Train)),
        };
        let input = StackedInput::gather(&parts, uploaded, self.device);
        let lengths: Vec<usize> = parts.iter().map(|part| chunk_count(part.input, part.documents)).collect();
        let mask = |part| of(part).trial.masks(of(part).learner.step, pass.number);
        let masks: Vec<Masks> = pass.parts.iter().map(mask).collect();
        let chunks = Tensor::from_inner(input.chunks);
        let logits = stack.classify(chunks, &mut |chunks| drop(chunks, &masks, &lengths));
        let logits = aggregate_stacked(logits, &input.ranges, members[0].trial.settings().aggregate);
        let targets = targets(members, totals, pass, logits.dims());
        let targets = Tensor::from_data(TensorData::new(targets, logits.dims()), self.device);
        (logits.clone(), log_softmax(logits, 2) * targets)
    }
}

/// By trial: what the sum of the losses of its batch is divided by.
pub(super) fn totals<C: Compute>(members: &[Member<'_, C>], micro_batches: &[Vec<Vec<usize>>]) -> Vec<f64> {
    let total = |(Member { trial, .. }, batch): (&Member<'_, C>, &Vec<Vec<usize>>)| {
        trial.objective.total(batch.iter().flatten().map(|&document| trial.corpus.train.label(document)))
    };
    members.iter().zip(micro_batches).map(total).collect()
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
    totals: &[f64],
    pass: &Pass<'_>,
    [_, documents, classes]: [usize; 3],
) -> Vec<f32> {
    let mut all = vec![0.0; pass.parts.len() * documents * classes];
    for (part, slab) in pass.parts.iter().zip(all.chunks_exact_mut(documents * classes)) {
        let Member { trial, .. } = &members[part.trial];
        let labels: Vec<usize> =
            part.documents.iter().map(|&document| trial.corpus.train.label(document)).collect();
        let share = 1.0 / totals[part.trial] as f32;
        for (own, target) in slab.iter_mut().zip(trial.objective.target_values(&labels)) {
            *own = share * target;
        }
    }
    all
}
