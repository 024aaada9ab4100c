//! AdamW with PyTorch's arithmetic (`torch/optim/adamw.py`; Loshchilov & Hutter 2019).
//!
//! Biases and LayerNorm are not decayed. Where tensors live in this process's
//! memory the update is one loop over each parameter; elsewhere it is tensor
//! operations.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};

use super::{backend::Compute, model::Classifier, ops::RowSink, state::Moments};
use crate::settings::{Freeze, Settings};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
/// PyTorch's; burn's own AdamW has 1e-5.
const EPSILON: f64 = 1e-8;

/// The word embeddings' path in [`Classifier`].
const WORDS: &str = "encoder.words.weight";

/// A gradient or moment.
enum Field<B: AutodiffBackend> {
    Host(Vec<f32>),
    /// Flat.
    Device(Tensor<B::InnerBackend, 1>),
}

impl<B: AutodiffBackend> Field<B> {
    fn on_host(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Host(values) => Cow::Borrowed(values),
            Self::Device(tensor) => Cow::Owned(super::model::values(tensor.clone())),
        }
    }
}

/// Gradients summed over the micro-batches of one step, by parameter name.
pub(crate) struct Gradients<B: AutodiffBackend> {
    fields: HashMap<String, Field<B>>,
    /// Those of the word embeddings' rows that the step has read, where they came row by row.
    rows: BTreeMap<u32, Vec<f32>>,
}

/// The optimiser's state.
pub(crate) struct AdamW<B: AutodiffBackend> {
    moments: HashMap<String, [Field<B>; 2]>,
    /// Whether a row of the word embeddings has had a gradient; the moments of others are zero.
    touched: Vec<bool>,
    steps: i32,
    weight_decay: f64,
    rates: Rates,
}

/// Each parameter's learning rate as a factor on the one that the schedule gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Of the head.
    head: f64,
    /// From a layer to the one below it (Sun et al. 2019, section 5.3.3; arXiv 1905.05583).
    decay: f64,
    layers: usize,
}

impl Rates {
    /// For an encoder of so many layers.
    pub(crate) fn new(settings: &Settings, layers: usize) -> Self {
        let head = match settings.head_learning_rate {
            rate if rate > 0.0 => rate / settings.learning_rate,
            _ => 1.0,
        };
        Self { head, decay: settings.layer_decay, layers }
    }

    /// Of `name`, a path in [`Classifier`]: 1 for the top layer, less below it, least for the embeddings.
    fn factor(&self, name: &str) -> f64 {
        let Some(inner) = name.strip_prefix("encoder.") else { return self.head };
        let below = layer(inner).map_or(self.layers, |layer| (self.layers - 1).saturating_sub(layer));
        self.decay.powi(i32::try_from(below).unwrap_or(i32::MAX))
    }
}

/// The layer in which a parameter of the encoder stands; `None`: the embeddings.
fn layer(inner: &str) -> Option<usize> {
    inner.strip_prefix("layers.")?.split('.').next()?.parse().ok()
}

/// Whether `name`, a path in [`Classifier`], learns.
fn learns(name: &str, freeze: Freeze) -> bool {
    let Some(inner) = name.strip_prefix("encoder.") else { return true };
    match freeze {
        Freeze::Encoder => false,
        Freeze::Layers(0) => true,
        Freeze::Layers(layers) => layer(inner).is_some_and(|layer| layer >= layers),
    }
}

fn decays(name: &str) -> bool {
    let own = name.rsplit('.').next();
    !matches!(own, Some("bias" | "gamma" | "beta"))
}

/// The path of the parameter that a walk has come to.
#[derive(Default)]
struct Walk {
    path: Vec<String>,
}

impl Walk {
    fn name(&self) -> String {
        self.path.join(".")
    }
}

impl<B: Compute> Gradients<B> {
    pub(crate) fn new() -> Self {
        Self { fields: HashMap::new(), rows: BTreeMap::new() }
    }

    /// Adds the gradients of one backward pass, of the parameters that learn.
    pub(crate) fn add(&mut self, model: &Classifier<B>, mut gradients: B::Gradients) {
        let mut visitor = Collect { walk: Walk::default(), sums: self, gradients: &mut gradients };
        model.visit(&mut visitor);
    }

    /// Adds the gradients of the word embeddings that a backward pass has left in `sink`.
    pub(crate) fn add_rows(&mut self, sink: &RowSink) {
        for found in sink.take() {
            let width = found.values.len() / found.rows.len().max(1);
            for (&row, values) in found.rows.iter().zip(found.values.chunks_exact(width.max(1))) {
                let sums = self.rows.entry(row).or_insert_with(|| vec![0.0; width]);
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
    }

    /// The gradients under Hugging Face's names: those of a model whose parameters they are.
    #[cfg(test)]
    pub(crate) fn as_weights(&self, model: &Classifier<B>) -> super::weights::Weights {
        struct Replace<'a, B: AutodiffBackend>(Walk, &'a Gradients<B>);
        impl<B: Compute> ModuleMapper<B> for Replace<'_, B> {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.0.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.0.path.pop();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
                let name = self.0.name();
                let values = match self.1.fields.get(&name) {
                    Some(Field::Host(values)) => values.clone(),
                    _ if name == WORDS => {
                        let [_, width] = param.val().dims()[..] else { return param };
                        let mut values = vec![0.0; param.val().shape().num_elements()];
                        for (&row, gradient) in &self.1.rows {
                            values[row as usize * width..][..width].copy_from_slice(gradient);
                        }
                        values
                    }
                    _ => return param,
                };
                let (shape, device) = (param.val().shape(), param.val().device());
                Param::from_data(TensorData::new(values, shape), &device)
            }
        }
        model.clone().map(&mut Replace(Walk::default(), self)).weights()
    }

    /// The norm of all gradients as one vector.
    pub(crate) fn norm(&self) -> f64 {
        let mut names: Vec<&String> = self.fields.keys().collect();
        // A fixed order: sums of floats depend on it.
        names.sort();
        let square = |name: &String| match &self.fields[name] {
            Field::Host(values) => squares(values),
            Field::Device(tensor) => f64::from(tensor.clone().powi_scalar(2).sum().into_scalar()),
        };
        let rows = self.rows.values().map(|values| squares(values)).sum::<f64>();
        (names.into_iter().map(square).sum::<f64>() + rows).sqrt()
    }
}

/// The sum of squares: 16 sums side by side over each 4096 values, so that the compiler can use vectors.
fn squares(values: &[f32]) -> f64 {
    let of_chunk = |chunk: &[f32]| {
        let (wide, rest) = chunk.as_chunks::<16>();
        let mut lanes = [0.0_f32; 16];
        for values in wide {
            lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value * value);
        }
        f64::from(lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>())
    };
    values.chunks(4096).map(of_chunk).sum()
}

struct Collect<'a, B: AutodiffBackend> {
    walk: Walk,
    sums: &'a mut Gradients<B>,
    gradients: &'a mut B::Gradients,
}

impl<B: Compute> ModuleVisitor<B> for Collect<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.walk.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.walk.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.walk.name();
        let Some(gradient) = param.val().grad_remove(self.gradients) else { return };
        let sums = &mut self.sums.fields;
        if B::ON_HOST {
            let values = super::model::values(gradient);
            match sums.get_mut(&name) {
                Some(Field::Host(sum)) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                _ => drop(sums.insert(name, Field::Host(values))),
            }
        } else {
            let flat = gradient.flatten::<1>(0, D - 1);
            let sum = match sums.remove(&name) {
                Some(Field::Device(sum)) => sum + flat,
                _ => flat,
            };
            sums.insert(name, Field::Device(sum));
        }
    }
}

/// Marks what does not learn, so that no gradient is computed for it.
pub(crate) struct Freezer {
    walk: Walk,
    freeze: Freeze,
}

impl Freezer {
    pub(crate) fn new(freeze: Freeze) -> Self {
        Self { walk: Walk::default(), freeze }
    }
}

impl<B: Compute> ModuleMapper<B> for Freezer {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.walk.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.walk.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let learns = learns(&self.walk.name(), self.freeze);
        param.set_require_grad(learns)
    }
}

impl<B: Compute> AdamW<B> {
    pub(crate) fn new(weight_decay: f64, rates: Rates) -> Self {
        Self { moments: HashMap::new(), touched: Vec::new(), steps: 0, weight_decay, rates }
    }

    /// The moments, and the updates that they have seen: all of it that a resumed trial needs.
    pub(crate) fn moments(&self) -> (Moments<'_>, i32) {
        let moments = self.moments.iter().map(|(name, [first, second])| {
            (Cow::Borrowed(name.as_str()), [first.on_host(), second.on_host()])
        });
        (moments.collect(), self.steps)
    }

    /// Goes on from the moments of another one.
    pub(crate) fn resume(&mut self, moments: Moments<'static>, updates: i32) {
        self.steps = updates;
        self.touched = Vec::new();
        let field = |values: Cow<'static, [f32]>| Field::Host(values.into_owned());
        self.moments = moments.into_iter().map(|(name, pair)| (name.into_owned(), pair.map(field))).collect();
    }

    /// One step at `rate` with `gradients` times `scale` (for clipping).
    pub(crate) fn step(
        &mut self,
        model: Classifier<B>,
        gradients: Gradients<B>,
        rate: f64,
        scale: f64,
    ) -> Classifier<B> {
        self.steps += 1;
        let update = Update {
            rate,
            scale,
            correction_1: 1.0 - BETA_1.powi(self.steps),
            correction_2: 1.0 - BETA_2.powi(self.steps),
        };
        model.map(&mut Apply { walk: Walk::default(), optimizer: self, gradients, update })
    }
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Update {
    rate: f64,
    scale: f64,
    correction_1: f64,
    correction_2: f64,
}

struct Apply<'a, B: AutodiffBackend> {
    walk: Walk,
    optimizer: &'a mut AdamW<B>,
    gradients: Gradients<B>,
    update: Update,
}

impl<B: Compute> ModuleMapper<B> for Apply<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.walk.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.walk.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.walk.name();
        let rows = if name == WORDS { std::mem::take(&mut self.gradients.rows) } else { BTreeMap::new() };
        let gradient = match self.gradients.fields.remove(&name) {
            Some(gradient) => gradient,
            None if !rows.is_empty() => Field::Host(Vec::new()),
            None => return param,
        };
        let rate = self.update.rate * self.optimizer.rates.factor(&name);
        let update = Update { rate, ..self.update };
        let decay = if decays(&name) { rate * self.optimizer.weight_decay } else { 0.0 };
        let (id, tensor, mapper) = param.consume();
        let device = tensor.device();
        let shape = tensor.shape();
        let inner = tensor.inner();
        let updated = match gradient {
            Field::Host(gradient) => {
                let mut values = super::model::values(inner);
                let touched = &mut self.optimizer.touched;
                let moments = self.optimizer.moments.entry(name).or_insert_with(|| {
                    if let Some(row) = rows.values().next() {
                        *touched = vec![false; values.len() / row.len()];
                    }
                    [Field::Host(vec![0.0; values.len()]), Field::Host(vec![0.0; values.len()])]
                });
                if let [Field::Host(first), Field::Host(second)] = moments {
                    if rows.is_empty() {
                        on_host(&mut values, &gradient, first, second, update, decay);
                    } else {
                        by_rows(&mut values, &rows, touched, [first, second], update, decay);
                    }
                }
                Tensor::from_data(TensorData::new(values, shape), &device)
            }
            Field::Device(gradient) => {
                let moments = self
                    .optimizer
                    .moments
                    .remove(&name)
                    .unwrap_or_else(|| [0, 1].map(|_| Field::Device(gradient.zeros_like())));
                let (updated, moments) = on_device(inner.flatten(0, D - 1), gradient, moments, update, decay);
                self.optimizer.moments.insert(name, moments);
                updated.reshape(shape)
            }
        };
        let updated = Tensor::from_inner(updated).require_grad();
        Param::from_mapped_value(id, updated, mapper)
    }
}

vectorised! {
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32, as in PyTorch")]
fn on_host<'a>(
    values: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    update: Update,
    decay: f64,
) {
    let (beta_1, beta_2, epsilon) = (BETA_1 as f32, BETA_2 as f32, EPSILON as f32);
    let (rest_1, rest_2) = ((1.0 - BETA_1) as f32, (1.0 - BETA_2) as f32);
    let keep = (1.0 - decay) as f32;
    let scale = update.scale as f32;
    let step_size = (update.rate / update.correction_1) as f32;
    let root = update.correction_2.sqrt() as f32;
    let moments = first.iter_mut().zip(second.iter_mut());
    for ((value, &gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * scale;
        *first = beta_1 * *first + rest_1 * gradient;
        *second = beta_2 * *second + rest_2 * gradient * gradient;
        *value = *value * keep - step_size * *first / (second.sqrt() / root + epsilon);
    }
}
}

/// As [`on_host`] over a matrix whose gradient is zero but for `rows`. Rows that never had one only decay,
/// which is all that the rule gives for them; their moments are not looked at.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32, as in PyTorch")]
fn by_rows(
    values: &mut [f32],
    rows: &BTreeMap<u32, Vec<f32>>,
    touched: &mut Vec<bool>,
    [first, second]: [&mut [f32]; 2],
    update: Update,
    decay: f64,
) {
    let Some(width) = rows.values().next().map(Vec::len) else { return };
    let count = values.len() / width;
    if touched.len() != count {
        // Going on from the moments of an earlier run.
        let is_zero = |row: &[f32]| row.iter().all(|value| value.to_bits() == 0);
        let known = first.chunks_exact(width).zip(second.chunks_exact(width));
        *touched = known.map(|(first, second)| !is_zero(first) || !is_zero(second)).collect();
    }
    let (keep, none) = ((1.0 - decay) as f32, vec![0.0; width]);
    let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
    let mut gradients = rows.iter().peekable();
    for (row, ((values, (first, second)), touched)) in
        values.chunks_exact_mut(width).zip(moments).zip(touched).enumerate()
    {
        let gradient = gradients.next_if(|(next, _)| **next as usize == row).map(|(_, gradient)| gradient);
        *touched |= gradient.is_some();
        if *touched {
            on_host(values, gradient.unwrap_or(&none), first, second, update, decay);
        } else if decay > 0.0 {
            for value in values {
                *value *= keep;
            }
        }
    }
}

type OnDevice<B> = Tensor<<B as AutodiffBackend>::InnerBackend, 1>;

fn on_device<B: Compute>(
    value: OnDevice<B>,
    gradient: OnDevice<B>,
    moments: [Field<B>; 2],
    update: Update,
    decay: f64,
) -> (OnDevice<B>, [Field<B>; 2]) {
    let gradient = gradient * update.scale;
    let [first, second] = moments.map(|field| match field {
        Field::Device(tensor) => tensor,
        Field::Host(values) => Tensor::from_data(TensorData::from(values.as_slice()), &value.device()),
    });
    let first = first * BETA_1 + gradient.clone() * (1.0 - BETA_1);
    let second = second * BETA_2 + gradient.clone() * gradient * (1.0 - BETA_2);
    let root = second.clone().sqrt() / update.correction_2.sqrt() + EPSILON;
    let value = value * (1.0 - decay) - first.clone() / root * (update.rate / update.correction_1);
    (value, [Field::Device(first), Field::Device(second)])
}

#[cfg(test)]
mod tests;
