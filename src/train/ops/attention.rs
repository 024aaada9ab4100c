//! Softmax attention within each sequence of a packed batch, and its gradient.
//!
//! Each head of a sequence is a handful of small matrix products whose factors stay in the
//! cache. Probabilities are kept for the gradient; dropout masks are computed again.
//!
//! Forward, for one head of size s with Q, K, V `[length, s]`, biases included, and a mask M
//! of dropout factors (0 or 1 / (1 − rate)), all products by element but those of matrices:
//!
//! ```text
//! P = softmax(Q Kᵀ / √s) by rows     W = P · M     O = W V
//! ```
//!
//! Backward, with D the gradient of the loss by O, `[length, s]`:
//!
//! ```text
//! by V:  Wᵀ D
//! by W:  D Vᵀ                        by P:  G = (D Vᵀ) · M
//! by the scores Q Kᵀ / √s:           S = P · (G − Σ G · P), the sum over a row
//! by Q:  S K / √s                    by K:  Sᵀ Q / √s
//! ```
//!
//! The sum in S is the derivative of softmax: ∂pᵢ/∂zⱼ = pᵢ (δᵢⱼ − pⱼ). These are the
//! gradients that automatic differentiation gives for the plain form; tests compare both.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    inputs::Attention,
    kernels::{dot, exp, highest, sum},
    product::{Multiply, PaddedMatrix},
};
use crate::{numbers::small_count, train::masks::Dropout};

/// The result of attention, and what its gradient needs.
pub(super) struct AttentionOutput {
    /// `[rows, width]`
    pub(super) output: Vec<f32>,
    /// Queries, keys and values with their bias, `[rows, 3 · width]`.
    pub(super) projected: Vec<f32>,
    /// The probabilities before dropout, by sequence, head, query, key.
    pub(super) probabilities: Vec<f32>,
}

/// See [`super::fused::Fused::packed_attention`].
pub(super) fn attention(mut projected: Vec<f32>, bias: &[f32], attention: &Attention) -> AttentionOutput {
    let width = bias.len() / 3;
    for row in projected.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
    let firsts = attention.first_elements();
    let sequences = attention.packing.sequences();
    let mut probabilities = vec![0.0; firsts[sequences]];
    let mut output = vec![0.0; attention.packing.rows() * width];
    let sizes =
        |index: usize| (attention.packing.sequence(index).1 * width, firsts[index + 1] - firsts[index]);
    let mut tasks = Vec::with_capacity(sequences);
    let (mut outputs, mut rest) = (output.as_mut_slice(), probabilities.as_mut_slice());
    for index in 0..sequences {
        let (rows, elements) = sizes(index);
        let (output, later) = outputs.split_at_mut(rows);
        let (probabilities, rest_later) = rest.split_at_mut(elements);
        (outputs, rest) = (later, rest_later);
        tasks.push((index, output, probabilities));
    }
    let run = |scratch: &mut AttentionScratch,
               (index, output, probabilities): (usize, &mut [f32], &mut [f32])| {
        let (start, length) = attention.packing.sequence(index);
        let projected = &projected[start * 3 * width..(start + length) * 3 * width];
        let elements = length * length;
        for head in 0..attention.heads {
            let first = firsts[index] + head * elements;
            let dropout = NumberedDropout { dropout: attention.drop.alone(), first };
            let head = SequenceHead { width, length, head, size: width / attention.heads, dropout };
            let probabilities = &mut probabilities[head.head * elements..][..elements];
            scratch.forward(head, projected, probabilities, output);
        }
    };
    tasks.into_par_iter().for_each_init(AttentionScratch::default, run);
    AttentionOutput { output, projected, probabilities }
}

/// Returns the gradients of [`attention`] by projections and bias. `gradient`, by the result: `[rows, width]`.
///
/// The gradient by the projections overwrites `projected`, the biased projections.
pub(super) fn attention_backward(
    mut projected: Vec<f32>,
    probabilities: &[f32],
    width: usize,
    attention: &Attention,
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let firsts = attention.first_elements();
    let mut tasks = Vec::with_capacity(attention.packing.sequences());
    let (mut places, mut gradients) = (projected.as_mut_slice(), gradient);
    for index in 0..attention.packing.sequences() {
        let (_, length) = attention.packing.sequence(index);
        let (place, later) = places.split_at_mut(length * 3 * width);
        let (gradient, rest) = gradients.split_at(length * width);
        (places, gradients) = (later, rest);
        tasks.push((index, place, gradient));
    }
    let run = |scratch: &mut AttentionScratch, (index, place, gradient): (usize, &mut [f32], &[f32])| {
        let (_, length) = attention.packing.sequence(index);
        let elements = length * length;
        for head in 0..attention.heads {
            let first = firsts[index] + head * elements;
            let dropout = NumberedDropout { dropout: attention.drop.alone(), first };
            let head = SequenceHead { width, length, head, size: width / attention.heads, dropout };
            let probabilities = &probabilities[first..first + elements];
            scratch.backward(head, place, probabilities, gradient);
        }
    };
    tasks.into_par_iter().for_each_init(AttentionScratch::default, run);
    let mut bias = vec![0.0; 3 * width];
    for row in projected.chunks_exact(3 * width) {
        bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    (projected, bias)
}

/// The dropout of a row of elements that begins with the element `first`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberedDropout {
    pub(super) dropout: Dropout,
    pub(super) first: usize,
}

impl NumberedDropout {
    /// Writes the factors of the elements from `first` + `offset` on into `mask`.
    #[inline(always)]
    pub(super) fn fill(self, mask: &mut [f32], offset: usize) {
        self.dropout.fill(mask, self.first + offset);
    }
}

/// A part of the projections, which stand side by side.
#[derive(Clone, Copy)]
enum ProjectionPart {
    Queries = 0,
    Keys = 1,
    Values = 2,
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct SequenceHead {
    width: usize,
    length: usize,
    /// The head's index.
    head: usize,
    /// The width of a head.
    size: usize,
    /// Dropout on the head's probabilities.
    dropout: NumberedDropout,
}

impl SequenceHead {
    /// The first column of this head's part of the projections.
    const fn column(self, part: ProjectionPart) -> usize {
        part as usize * self.width + self.head * self.size
    }

    /// Copies this head's part of `projected`, times `factor`, into `into`: `[length, size]`.
    fn read(self, projected: &[f32], part: ProjectionPart, factor: f32, into: &mut PaddedMatrix) {
        into.reset(self.length, self.size);
        let column = self.column(part);
        for row in 0..self.length {
            let source = &projected[row * 3 * self.width + column..][..self.size];
            into.row_mut(row).iter_mut().zip(source).for_each(|(place, value)| *place = value * factor);
        }
    }

    /// Copies `from`, `[length, size]`, times `factor`, over this head's part of `projected`.
    fn write(self, from: &PaddedMatrix, part: ProjectionPart, factor: f32, projected: &mut [f32]) {
        let column = self.column(part);
        for row in 0..self.length {
            let place = &mut projected[row * 3 * self.width + column..][..self.size];
            place.iter_mut().zip(from.row(row)).for_each(|(place, value)| *place = value * factor);
        }
    }

    /// 1 / √s.
    fn scale(self) -> f32 {
        1.0 / small_count(self.size).sqrt()
    }
}

/// A thread's matrices, which are used for one head after another.
#[derive(Default)]
struct AttentionScratch {
    queries: PaddedMatrix,
    keys: PaddedMatrix,
    values: PaddedMatrix,
    weights: PaddedMatrix,
    transposed: PaddedMatrix,
    scores: PaddedMatrix,
    result: PaddedMatrix,
    gradient: PaddedMatrix,
    mask: Vec<f32>,
}

impl AttentionScratch {
    /// Computes one head's part of `output`, `[length, width]`, and its `probabilities`, `[length, length]`.
    fn forward(
        &mut self,
        head: SequenceHead,
        projected: &[f32],
        probabilities: &mut [f32],
        output: &mut [f32],
    ) {
        let arch = Arch::new();
        let SequenceHead { length, size, width, .. } = head;
        // The scale goes to the queries, which are smaller than the scores.
        head.read(projected, ProjectionPart::Queries, head.scale(), &mut self.queries);
        head.read(projected, ProjectionPart::Keys, 1.0, &mut self.keys);
        head.read(projected, ProjectionPart::Values, 1.0, &mut self.values);
        self.transposed.transpose(&self.keys, length, size);
        let (a, b, c) = (&self.queries, &self.transposed, &mut self.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: size });
        self.mask.resize(length, 1.0);
        weigh(&mut self.scores, probabilities, &mut self.mask, head.dropout);
        let (a, b, c) = (&self.scores, &self.values, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        for row in 0..length {
            output[row * width + head.head * size..][..size].copy_from_slice(&self.result.row(row)[..size]);
        }
    }

    /// Replaces one head's part of `projected` by its gradient. The names of the steps are those of the file's header.
    fn backward(
        &mut self,
        head: SequenceHead,
        projected: &mut [f32],
        probabilities: &[f32],
        gradient: &[f32],
    ) {
        let arch = Arch::new();
        let SequenceHead { length, size, width, .. } = head;
        self.gradient.reset(length, size);
        for row in 0..length {
            let source = &gradient[row * width + head.head * size..][..size];
            self.gradient.row_mut(row)[..size].copy_from_slice(source);
        }
        // D Vᵀ. Each part of `projected` is read before its gradient is written over it.
        head.read(projected, ProjectionPart::Values, 1.0, &mut self.values);
        self.transposed.transpose(&self.values, length, size);
        let (a, b, c) = (&self.gradient, &self.transposed, &mut self.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: size });
        // `scores` becomes S, and `weights` W.
        self.weights.reset(length, length);
        self.mask.resize(length, 1.0);
        weigh_backward(&mut self.scores, &mut self.weights, probabilities, &mut self.mask, head.dropout);
        // Wᵀ D
        self.transposed.transpose(&self.weights, length, length);
        let (a, b, c) = (&self.transposed, &self.gradient, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        head.write(&self.result, ProjectionPart::Values, 1.0, projected);
        // S K / √s
        head.read(projected, ProjectionPart::Keys, 1.0, &mut self.keys);
        let (a, b, c) = (&self.scores, &self.keys, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        head.read(projected, ProjectionPart::Queries, head.scale(), &mut self.queries);
        head.write(&self.result, ProjectionPart::Queries, head.scale(), projected);
        // Sᵀ Q / √s, where `queries` holds Q / √s.
        self.transposed.transpose(&self.scores, length, length);
        let (a, b, c) = (&self.transposed, &self.queries, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        head.write(&self.result, ProjectionPart::Keys, 1.0, projected);
    }
}

vectorised! {
    /// Turns rows of scores into weights: their softmax, which is kept in `probabilities`, with dropout. `mask` is as
    /// long as a row.
    fn weigh<'a>(
        scores: &'a mut PaddedMatrix,
        probabilities: &'a mut [f32],
        mask: &'a mut [f32],
        dropout: NumberedDropout,
    ) {
        let length = mask.len();
        for (row, kept) in probabilities.chunks_exact_mut(length).enumerate() {
            let scores = &mut scores.row_mut(row)[..length];
            softmax(scores);
            kept.copy_from_slice(scores);
            if !dropout.dropout.is_off() {
                dropout.fill(mask, row * length);
                scores.iter_mut().zip(&*mask).for_each(|(score, mask)| *score *= mask);
            }
        }
    }
}

vectorised! {
    /// Turns the gradient by the weights, in `scores`, into the gradient by the scores, and computes the weights again.
    fn weigh_backward<'a>(
        scores: &'a mut PaddedMatrix,
        weights: &'a mut PaddedMatrix,
        probabilities: &'a [f32],
        mask: &'a mut [f32],
        dropout: NumberedDropout,
    ) {
        let length = mask.len();
        for (row, probabilities) in probabilities.chunks_exact(length).enumerate() {
            dropout.fill(mask, row * length);
            let (scores, weights) = (&mut scores.row_mut(row)[..length], weights.row_mut(row));
            for (((score, weight), probability), mask) in
                scores.iter_mut().zip(weights).zip(probabilities).zip(&*mask)
            {
                *weight = probability * mask;
                *score *= mask;
            }
            let along = dot(scores, probabilities);
            for (score, probability) in scores.iter_mut().zip(probabilities) {
                *score = probability * (*score - along);
            }
        }
    }
}

/// The softmax of `scores`, in place.
// The highest score is subtracted first: it changes no quotient, and no exponential overflows. `exp` is defined from
// −87 on, where the exponential is about 1.6e-38; lower scores get that value in the place of a smaller one.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) {
    let highest = highest(scores);
    for score in &mut *scores {
        *score = exp((*score - highest).max(-87.0));
    }
    let inverse = 1.0 / sum(scores);
    for score in scores {
        *score *= inverse;
    }
}
