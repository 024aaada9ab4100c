//! Softmax attention within each sequence of a packed batch, and its gradient.
//!
//! Each head of a sequence is a handful of small matrix products out of the
//! cache. Probabilities are kept for the gradient; dropout masks are drawn again.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    Attention,
    kernels::{dot, exp, highest, sum},
    product::{Matrix, Multiply},
};
use crate::train::masks::Drop;

/// What it gives: its result, and what its gradient needs.
pub(super) struct AttentionOutput {
    /// `[rows, width]`
    pub(super) output: Vec<f32>,
    /// Queries, keys and values with their bias, `[rows, 3 · width]`.
    pub(super) projected: Vec<f32>,
    /// Before dropout, by sequence, head, query, key.
    pub(super) probabilities: Vec<f32>,
}

/// See [`super::Fused::packed_attention`].
pub(super) fn attention(mut projected: Vec<f32>, bias: &[f32], attention: &Attention) -> AttentionOutput {
    let width = bias.len() / 3;
    for row in projected.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
    let firsts = attention.firsts();
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
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (index, output, probabilities)| {
        let (start, length) = attention.packing.sequence(index);
        let sequence = Sequence { width, length, size: width / attention.heads };
        let projected = &projected[start * 3 * width..(start + length) * 3 * width];
        for head in 0..attention.heads {
            let elements = length * length;
            let probabilities = &mut probabilities[head * elements..(head + 1) * elements];
            let first = firsts[index] + head * elements;
            scratch.forward((sequence, projected), head, attention, first, probabilities, output);
        }
    });
    AttentionOutput { output, projected, probabilities }
}

/// The gradients of [`attention`] by projections and bias; the first takes the place of the biased projections.
pub(super) fn attention_backward(
    mut projected: Vec<f32>,
    probabilities: &[f32],
    width: usize,
    attention: &Attention,
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let firsts = attention.firsts();
    let mut tasks = Vec::with_capacity(attention.packing.sequences());
    let (mut places, mut gradients) = (projected.as_mut_slice(), gradient);
    for index in 0..attention.packing.sequences() {
        let (_, length) = attention.packing.sequence(index);
        let sequence = Sequence { width, length, size: width / attention.heads };
        let (place, later) = places.split_at_mut(length * 3 * width);
        let (gradient, rest) = gradients.split_at(length * width);
        (places, gradients) = (later, rest);
        tasks.push((index, sequence, place, gradient));
    }
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (index, sequence, place, gradient)| {
        for head in 0..attention.heads {
            let elements = sequence.length * sequence.length;
            let first = firsts[index] + head * elements;
            let probabilities = &probabilities[first..first + elements];
            scratch.backward(sequence, head, attention, first, probabilities, gradient, place);
        }
    });
    let mut bias = vec![0.0; 3 * width];
    for row in projected.chunks_exact(3 * width) {
        bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    (projected, bias)
}

/// One sequence.
#[derive(Clone, Copy)]
struct Sequence {
    width: usize,
    length: usize,
    /// Of a head.
    size: usize,
}

impl Sequence {
    /// A head's part of the queries (0), keys (1) or values (2) of `projected`, times `factor`.
    fn part(self, projected: &[f32], which: usize, head: usize, factor: f32, into: &mut Matrix) {
        into.reset(self.length, self.size);
        let column = which * self.width + head * self.size;
        for row in 0..self.length {
            let source = &projected[row * 3 * self.width + column..][..self.size];
            into.row_mut(row).iter_mut().zip(source).for_each(|(place, value)| *place = value * factor);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a head's size is small")]
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// Matrices that are used again and again.
#[derive(Default)]
struct Scratch {
    queries: Matrix,
    keys: Matrix,
    values: Matrix,
    turned: Matrix,
    scores: Matrix,
    result: Matrix,
    gradient: Matrix,
    mask: Vec<f32>,
}

impl Scratch {
    fn forward(
        &mut self,
        (sequence, projected): (Sequence, &[f32]),
        head: usize,
        attention: &Attention,
        first: usize,
        probabilities: &mut [f32],
        output: &mut [f32],
    ) {
        let arch = Arch::new();
        let Sequence { length, size, width, .. } = sequence;
        sequence.part(projected, 0, head, sequence.scale(), &mut self.queries);
        sequence.part(projected, 1, head, 1.0, &mut self.keys);
        sequence.part(projected, 2, head, 1.0, &mut self.values);
        self.turned.transpose(&self.keys, length, size);
        let (a, b, c) = (&self.queries, &self.turned, &mut self.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: size });
        self.mask.resize(length, 1.0);
        weigh(&mut self.scores, probabilities, &mut self.mask, attention.drop, first);
        let (a, b, c) = (&self.scores, &self.values, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        for row in 0..length {
            output[row * width + head * size..][..size].copy_from_slice(&self.result.row(row)[..size]);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "slices of one head, each used once")]
    fn backward(
        &mut self,
        sequence: Sequence,
        head: usize,
        attention: &Attention,
        first: usize,
        probabilities: &[f32],
        gradient: &[f32],
        projected: &mut [f32],
    ) {
        let arch = Arch::new();
        let Sequence { length, size, width, .. } = sequence;
        // A part is read before its gradient takes its place.
        let put = |projected: &mut [f32], which: usize, factor: f32, from: &Matrix| {
            for row in 0..length {
                let place = &mut projected[row * 3 * width + which * width + head * size..][..size];
                place.iter_mut().zip(from.row(row)).for_each(|(place, value)| *place = value * factor);
            }
        };
        self.gradient.reset(length, size);
        for row in 0..length {
            let source = &gradient[row * width + head * size..][..size];
            self.gradient.row_mut(row)[..size].copy_from_slice(source);
        }
        // By the probabilities after dropout.
        sequence.part(projected, 2, head, 1.0, &mut self.values);
        self.turned.transpose(&self.values, length, size);
        let (a, b, c) = (&self.gradient, &self.turned, &mut self.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: size });
        // `keys` holds the dropped-out probabilities, `scores` becomes the gradient by the scores.
        self.keys.reset(length, length);
        self.mask.resize(length, 1.0);
        weigh_backward(
            &mut self.scores,
            &mut self.keys,
            probabilities,
            &mut self.mask,
            attention.drop,
            first,
        );
        self.turned.transpose(&self.keys, length, length);
        let (a, b, c) = (&self.turned, &self.gradient, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        put(projected, 2, 1.0, &self.result);
        sequence.part(projected, 1, head, 1.0, &mut self.keys);
        let (a, b, c) = (&self.scores, &self.keys, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        sequence.part(projected, 0, head, sequence.scale(), &mut self.queries);
        put(projected, 0, sequence.scale(), &self.result);
        self.turned.transpose(&self.scores, length, length);
        let (a, b, c) = (&self.turned, &self.queries, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: length });
        put(projected, 1, 1.0, &self.result);
    }
}

vectorised! {
    /// Makes rows of scores those of the weights: their softmax, which is kept, with dropout. `mask` is as long
    /// as a row; `first` is the first element's number.
    fn weigh<'a>(
        scores: &'a mut Matrix,
        probabilities: &'a mut [f32],
        mask: &'a mut [f32],
        drop: Drop,
        first: usize,
    ) {
        let length = mask.len();
        for (row, kept) in probabilities.chunks_exact_mut(length).enumerate() {
            let scores = &mut scores.row_mut(row)[..length];
            softmax(scores);
            kept.copy_from_slice(scores);
            if !drop.is_off() {
                drop.fill(mask, first + row * length);
                scores.iter_mut().zip(&*mask).for_each(|(score, mask)| *score *= mask);
            }
        }
    }
}

vectorised! {
    /// From the gradient by the weights, in `scores`, the gradient by the scores; the weights go to `dropped`.
    fn weigh_backward<'a>(
        scores: &'a mut Matrix,
        dropped: &'a mut Matrix,
        probabilities: &'a [f32],
        mask: &'a mut [f32],
        drop: Drop,
        first: usize,
    ) {
        let length = mask.len();
        for (row, probabilities) in probabilities.chunks_exact(length).enumerate() {
            drop.fill(mask, first + row * length);
            let (scores, dropped) = (&mut scores.row_mut(row)[..length], dropped.row_mut(row));
            for (((score, dropped), probability), mask) in
                scores.iter_mut().zip(dropped).zip(probabilities).zip(&*mask)
            {
                *dropped = probability * mask;
                *score *= mask;
            }
            let along = dot(scores, probabilities);
            for (score, probability) in scores.iter_mut().zip(probabilities) {
                *score = probability * (*score - along);
            }
        }
    }
}

/// In place.
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
