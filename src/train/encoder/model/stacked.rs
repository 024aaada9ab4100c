//! The models of several trials as one, for devices.
//!
//! Each parameter that learns has the values of one trial after the other (see [`crate::train::ops::fused`]); the
//! others are those of the first trial, and are not used: what they compute is the same for a trial in each step, and is
//! computed by its own model. Nothing of one trial reaches another, a value that is not finite included.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, backend::Backend},
};

use super::classifier::Classifier;

/// Which parameters learn, in the order of a walk over the model.
pub(crate) type Learning = Vec<bool>;

/// The values of parameters, flat, by their number in a walk over the model.
type Values<B> = BTreeMap<usize, Tensor<B, 1>>;

impl<B: Backend> Classifier<B> {
    /// Which parameters learn.
    pub(crate) fn learning(&self) -> Learning {
        let mut walk = Ask(Vec::new());
        self.visit(&mut walk);
        walk.0
    }

    /// `models`, at least one, of one shape and family, as one. `learning`: which of their parameters learn.
    pub(crate) fn side_by_side(models: &[&Self], learning: &Learning) -> Self {
        let all: Vec<Values<B>> = models.iter().map(|model| model.learning_values(learning)).collect();
        models[0].clone().map(&mut Replace {
            place: 0,
            change: |place: usize| {
                let parts: Vec<Tensor<B, 1>> =
                    all.iter().filter_map(|own| own.get(&place).cloned()).collect();
                (!parts.is_empty()).then(|| Tensor::cat(parts, 0))
            },
        })
    }

    /// The model with what learns of the trial at `place` of `trials` trials side by side, `all`.
    pub(crate) fn with_trial_of(self, all: &Self, learning: &Learning, [place, trials]: [usize; 2]) -> Self {
        let values = all.learning_values(learning);
        self.map(&mut Replace {
            place: 0,
            change: |number: usize| {
                let all = values.get(&number)?;
                let own = all.shape().num_elements() / trials;
                // A tensor of its own: a view would keep those of all trials in memory.
                Some(all.clone().narrow(0, place * own, own).mul_scalar(1.0))
            },
        })
    }

    fn learning_values(&self, learning: &Learning) -> Values<B> {
        let mut collect = Collect { learning, place: 0, values: Values::new() };
        self.visit(&mut collect);
        collect.values
    }

    /// The model with the encoder of `other` in place of its own, which has the same values: they take memory once.
    pub(crate) fn sharing_encoder(self, other: &Self) -> Self {
        Self { encoder: other.encoder.clone(), ..self }
    }
}

/// A walk over a model that asks each parameter whether it learns.
struct Ask(Learning);

impl<B: Backend> ModuleVisitor<B> for Ask {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push(param.is_require_grad());
    }
}

/// A walk over a model that collects the values of what learns.
struct Collect<'a, B: Backend> {
    learning: &'a Learning,
    place: usize,
    values: Values<B>,
}

impl<B: Backend> ModuleVisitor<B> for Collect<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.learning[self.place] {
            // Burn keeps the mark that it learns when it detaches a tensor.
            let values = param.val().detach().set_require_grad(false);
            self.values.insert(self.place, values.flatten(0, D - 1));
        }
        self.place += 1;
    }
}

/// A walk over a model that replaces the values of some parameters.
struct Replace<F> {
    /// The number of the next parameter.
    place: usize,
    change: F,
}

impl<B: Backend, F: FnMut(usize) -> Option<Tensor<B, 1>>> ModuleMapper<B> for Replace<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let changed = (self.change)(self.place);
        self.place += 1;
        let Some(values) = changed else { return param };
        let (id, tensor, mapper) = param.consume();
        let mut shape = tensor.dims();
        // The first dimension is that along which trials stand one after another.
        shape[0] = values.shape().num_elements() / shape[1..].iter().product::<usize>();
        let values = values.reshape(shape).set_require_grad(tensor.is_require_grad());
        Param::from_mapped_value(id, values, mapper)
    }
}
