//! One optimiser step of several trials whose parameters live side by side in a device's memory.
//!
//! A step costs the launches of one trial, and one read from the device: the logits, from which the losses
//! come, and the norms of the gradients.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::{
    group::Group,
    member::Member,
    pass::{Pass, Stepped, add_losses},
    resident::Resident,
    step::totals,
};
use crate::train::{backend::Compute, learning::adamw::stacked::StackedUpdate, tensors::values};

/// The gradients of each parameter, `[trials, rows, columns]`, by its path.
type StackedGradients<B> = BTreeMap<&'static str, Tensor<B, 3>>;

impl<'a, C: Compute> Group<'a, C> {
    /// A step of trials whose parameters live in `resident`.
    pub(super) fn resident_step(
        &mut self,
        resident: &mut Resident<C>,
        mut members: Vec<Member<'a, C>>,
        micro_batches: &[Vec<Vec<usize>>],
    ) -> Vec<Stepped<'a, C>> {
        let (mut gradients, mut logits, mut passes) = (StackedGradients::new(), Vec::new(), Vec::new());
        let totals = totals(&members, micro_batches);
        for pass in Pass::all(micro_batches) {
            let stack =
                resident.stack.copy().map::<C>(&mut |_, value| Tensor::from_inner(value).require_grad());
            let (own, weighted) = self.forward(&stack, &members, &totals, &pass);
            logits.push(own.inner());
            let mut backward = weighted.sum().backward();
            for (name, parameter) in stack.parameters() {
                let Some(gradient) = parameter.grad_remove(&mut backward) else { continue };
                let sum = match gradients.remove(name) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                gradients.insert(name, sum);
            }
            passes.push(pass);
        }
        let squares = squares(&gradients);
        self.update(resident, &mut members, gradients, squares.clone());
        let (losses, norms) = read(logits, squares, &members, &passes);
        let steps = members.into_iter().zip(losses).zip(norms).zip(micro_batches);
        steps
            .map(|(((member, loss), norm), batch)| {
                let documents = batch.iter().map(Vec::len).sum();
                member.with_learner(|_, mut learner| {
                    learner.step += 1;
                    learner.take_loss(learner.step, loss, norm, documents)?;
                    Ok(learner)
                })
            })
            .collect()
    }

    /// Updates all parameters, with gradients that are clipped. `squares`: of the norms, `[trials, 1, 1]`.
    fn update(
        &self,
        resident: &mut Resident<C>,
        members: &mut [Member<'a, C>],
        mut gradients: StackedGradients<C::InnerBackend>,
        squares: Tensor<C::InnerBackend, 3>,
    ) {
        let scales = self.scales(members, squares);
        let optimizers = members.iter_mut().map(|member| {
            let rate = member.rate.at(member.learner.step);
            (&mut member.learner.optimizer, rate)
        });
        let update = StackedUpdate::next(optimizers, scales, self.device);
        let Resident { stack, moments, .. } = resident;
        *stack = stack.copy().map(&mut |name, value| match gradients.remove(name) {
            Some(gradient) => moments.step(name, value, gradient, &update),
            None => value,
        });
    }

    /// The factor of clipping of each trial, `[trials, 1, 1]`, from the squares of the norms of its gradients.
    //
    // As for a trial alone: min(1, norm_max / (norm + 1e-6)). Without clipping norm_max is infinite.
    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn scales(
        &self,
        members: &[Member<'a, C>],
        squares: Tensor<C::InnerBackend, 3>,
    ) -> Option<Tensor<C::InnerBackend, 3>> {
        let clip = |member: &Member<'a, C>| member.trial.settings().gradient_clip;
        if members.iter().all(|member| clip(member) <= 0.0) {
            return None;
        }
        let bound = |member| if clip(member) > 0.0 { clip(member) as f32 } else { f32::MAX };
        let bounds: Vec<f32> = members.iter().map(bound).collect();
        let bounds = Tensor::from_data(TensorData::new(bounds, [members.len(), 1, 1]), self.device);
        Some((bounds / (squares.sqrt() + 1e-6)).clamp_max(1.0))
    }
}

/// The squares of the norms of each trial's gradients as one vector, `[trials, 1, 1]`.
fn squares<B: Backend>(gradients: &BTreeMap<&'static str, Tensor<B, 3>>) -> Tensor<B, 3> {
    let square = |gradient: &Tensor<B, 3>| gradient.clone().powi_scalar(2).sum_dim(2).sum_dim(1);
    let mut all = gradients.values().map(square);
    let first = all.next().unwrap_or_else(|| unreachable!("a classifier learns"));
    all.fold(first, |sum, own| sum + own)
}

/// Reads the logits of all passes and the squares of the norms at once. Returns the loss, summed over documents, and the
/// norm of each trial.
fn read<C: Compute>(
    logits: Vec<Tensor<C::InnerBackend, 3>>,
    squares: Tensor<C::InnerBackend, 3>,
    members: &[Member<'_, C>],
    passes: &[Pass<'_>],
) -> (Vec<f64>, Vec<f64>) {
    let lengths: Vec<usize> = logits.iter().map(|own| own.shape().num_elements()).collect();
    let all = logits.into_iter().chain([squares]).map(|tensor| tensor.flatten::<1>(0, 2)).collect();
    let all = values(Tensor::cat(all, 0));
    let mut rest = all.as_slice();
    let mut losses = vec![0.0; members.len()];
    for (length, pass) in lengths.into_iter().zip(passes) {
        let (own, others) = rest.split_at(length);
        add_losses(&mut losses, own, members, pass);
        rest = others;
    }
    (losses, rest.iter().map(|square| f64::from(*square).sqrt()).collect())
}
