//! Attention of each sequence's first token alone, straight from the hidden states, and its gradient.
//!
//! Nothing is projected for each token. A head's score is `(x Wk) · q = x · (Wk q)`, and its
//! result is `(Σ p x) Wv`, so the matrices meet one row a sequence and head instead of one a token. The bias of the keys adds
//! the same to all scores of a head, which softmax takes out again.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    Attention,
    attention::softmax,
    kernels::dot,
    product::{Matrix, Multiply},
};
use crate::train::masks::Drop;

/// What it gives: its result, and what its gradient needs.
pub(super) struct FirstOutput {
    /// `[heads · sequences, width + 1]`
    pub(super) output: Vec<f32>,
    /// Before dropout, by sequence, head, token.
    pub(super) probabilities: Vec<f32>,
}

/// The gradients by its inputs.
pub(super) struct FirstGradient {
    /// `[tokens, width]`
    pub(super) hidden: Vec<f32>,
    /// `[heads · sequences, width]`
    pub(super) asked: Vec<f32>,
}

/// See [`super::Fused::first_attention`].
pub(super) fn first_attention(
    hidden: &[f32],
    asked: &[f32],
    width: usize,
    attention: &Attention,
) -> FirstOutput {
    let heads = attention.heads;
    let sequences = attention.packing.sequences();
    let run = |scratch: &mut Scratch, index: usize| {
        let sequence = Sequence::new(hidden, width, attention, index);
        scratch.ask(sequence, asked, sequences);
        let length = sequence.length;
        let mut probabilities = vec![0.0; heads * length];
        let mut output = vec![0.0; heads * (width + 1)];
        let arch = Arch::new();
        let (a, b, c) = (&scratch.tokens, &scratch.turned, &mut scratch.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: width });
        scratch.weights.reset(heads, length);
        scratch.mask.resize(length, 1.0);
        scratch.turned.transpose(&scratch.scores, length, heads);
        weigh_first(
            &scratch.turned,
            &mut scratch.weights,
            &mut probabilities,
            &mut scratch.mask,
            attention.drop,
            sequence.first,
        );
        let (a, b, c) = (&scratch.weights, &scratch.tokens, &mut scratch.result);
        arch.dispatch(Multiply { a, b, c, rows: heads, depth: length });
        for (head, output) in output.chunks_exact_mut(width + 1).enumerate() {
            output[..width].copy_from_slice(&scratch.result.row(head)[..width]);
            output[width] = scratch.weights.row(head)[..length].iter().sum();
        }
        (probabilities, output)
    };
    let found: Vec<(Vec<f32>, Vec<f32>)> =
        (0..sequences).into_par_iter().map_init(Scratch::default, run).collect();
    let mut output = vec![0.0; heads * sequences * (width + 1)];
    let mut probabilities = Vec::with_capacity(heads * attention.packing.rows());
    for (index, (kept, rows)) in found.iter().enumerate() {
        probabilities.extend_from_slice(kept);
        spread(rows, &mut output, [width + 1, sequences, index]);
    }
    FirstOutput { output, probabilities }
}

/// The gradients of [`first_attention`].
pub(super) fn first_attention_backward(
    (hidden, asked, probabilities): (&[f32], &[f32], &[f32]),
    width: usize,
    attention: &Attention,
    gradient: &[f32],
) -> FirstGradient {
    let heads = attention.heads;
    let sequences = attention.packing.sequences();
    let mut result = vec![0.0; hidden.len()];
    let mut tasks = Vec::with_capacity(sequences);
    let mut rest = result.as_mut_slice();
    for index in 0..sequences {
        let (_, length) = attention.packing.sequence(index);
        let (result, later) = rest.split_at_mut(length * width);
        rest = later;
        tasks.push((index, result));
    }
    let run = |scratch: &mut Scratch, (index, result): (usize, &mut [f32])| {
        let sequence = Sequence::new(hidden, width, attention, index);
        let length = sequence.length;
        let probabilities = &probabilities[sequence.first..][..heads * length];
        let arch = Arch::new();
        // The gradient by the dropped-out probabilities: token by head.
        scratch.ask(sequence, asked, sequences);
        scratch.incoming.reset(heads, width);
        for head in 0..heads {
            let row = &gradient[(head * sequences + index) * (width + 1)..][..width];
            scratch.incoming.row_mut(head)[..width].copy_from_slice(row);
        }
        scratch.turned.transpose(&scratch.incoming, heads, width);
        let (a, b, c) = (&scratch.tokens, &scratch.turned, &mut scratch.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: width });
        // Both ways by which a token's state counts, side by side: heads by tokens, twice.
        scratch.weights.reset(2 * heads, length);
        scratch.mask.resize(length, 1.0);
        scratch.slopes.clear();
        for head in 0..heads {
            scratch.slopes.push(gradient[(head * sequences + index) * (width + 1) + width]);
        }
        scratch.turned.transpose(&scratch.scores, length, heads);
        let (slopes, weights) = (&mut scratch.turned, &mut scratch.weights);
        let (mask, of_sums) = (&mut scratch.mask, &scratch.slopes);
        weigh_first_backward(slopes, weights, probabilities, of_sums, mask, attention.drop, sequence.first);
        scratch.scores.transpose(&scratch.weights, 2 * heads, length);
        // Under the incoming rows stand those that asked.
        scratch.incoming.reset(2 * heads, width);
        for head in 0..heads {
            let row = head * sequences + index;
            let incoming = &gradient[row * (width + 1)..][..width];
            scratch.incoming.row_mut(head)[..width].copy_from_slice(incoming);
            scratch.incoming.row_mut(heads + head)[..width].copy_from_slice(&asked[row * width..][..width]);
        }
        let (a, b, c) = (&scratch.scores, &scratch.incoming, &mut scratch.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: 2 * heads });
        for (token, result) in result.chunks_exact_mut(width).enumerate() {
            result.copy_from_slice(&scratch.result.row(token)[..width]);
        }
        // Of the lower half of the weights.
        scratch.scores.reset(heads, length);
        for head in 0..heads {
            let slopes = &scratch.weights.row(heads + head)[..length];
            scratch.scores.row_mut(head)[..length].copy_from_slice(slopes);
        }
        let (a, b, c) = (&scratch.scores, &scratch.tokens, &mut scratch.result);
        arch.dispatch(Multiply { a, b, c, rows: heads, depth: length });
        let rows: Vec<f32> =
            (0..heads).flat_map(|head| &scratch.result.row(head)[..width]).copied().collect();
        (index, rows)
    };
    let found: Vec<(usize, Vec<f32>)> = tasks.into_par_iter().map_init(Scratch::default, run).collect();
    let mut by_asked = vec![0.0; asked.len()];
    for (index, rows) in &found {
        spread(rows, &mut by_asked, [width, sequences, *index]);
    }
    FirstGradient { hidden: result, asked: by_asked }
}

vectorised! {
    /// From scores, `[heads, length]`, their softmax, which is kept, and with dropout the weights.
    fn weigh_first<'a>(
        scores: &'a Matrix,
        weights: &'a mut Matrix,
        probabilities: &'a mut [f32],
        mask: &'a mut [f32],
        drop: Drop,
        first: usize,
    ) {
        let length = mask.len();
        for (head, kept) in probabilities.chunks_exact_mut(length).enumerate() {
            kept.copy_from_slice(&scores.row(head)[..length]);
            softmax(kept);
            drop.fill(mask, first + head * length);
            for ((weight, kept), mask) in weights.row_mut(head).iter_mut().zip(kept).zip(&*mask) {
                *weight = *kept * mask;
            }
        }
    }
}

vectorised! {
    /// From the gradients by the weights, `[heads, length]`, and by their sums, one a head: the weights, and
    /// below them the gradients by the scores.
    fn weigh_first_backward<'a>(
        slopes: &'a mut Matrix,
        weights: &'a mut Matrix,
        probabilities: &'a [f32],
        of_sums: &'a [f32],
        mask: &'a mut [f32],
        drop: Drop,
        first: usize,
    ) {
        let (length, heads) = (mask.len(), of_sums.len());
        for (head, (kept, of_sum)) in probabilities.chunks_exact(length).zip(of_sums).enumerate() {
            drop.fill(mask, first + head * length);
            let slopes = &mut slopes.row_mut(head)[..length];
            for (slope, mask) in slopes.iter_mut().zip(&*mask) {
                *slope = (*slope + of_sum) * mask;
            }
            let along = dot(slopes, kept);
            for ((weight, kept), mask) in weights.row_mut(head).iter_mut().zip(kept).zip(&*mask) {
                *weight = kept * mask;
            }
            for ((weight, kept), slope) in weights.row_mut(heads + head).iter_mut().zip(kept).zip(slopes) {
                *weight = kept * (*slope - along);
            }
        }
    }
}

/// Puts a sequence's rows, one a head, among those of all: head by head, and in it sequence by sequence.
fn spread(rows: &[f32], all: &mut [f32], [width, sequences, index]: [usize; 3]) {
    for (head, row) in rows.chunks_exact(width).enumerate() {
        all[(head * sequences + index) * width..][..width].copy_from_slice(row);
    }
}

/// One sequence.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    index: usize,
    /// Its tokens' states, `[length, width]`.
    hidden: &'a [f32],
    width: usize,
    length: usize,
    heads: usize,
    /// The number of its first probability.
    first: usize,
}

impl<'a> Sequence<'a> {
    fn new(hidden: &'a [f32], width: usize, attention: &Attention, index: usize) -> Self {
        let (start, length) = attention.packing.sequence(index);
        let hidden = &hidden[start * width..(start + length) * width];

        Self { index, hidden, width, length, heads: attention.heads, first: attention.first_of_one(index) }
    }
}

/// Matrices that are used again and again.
#[derive(Default)]
struct Scratch {
    /// `[length, width]`
    tokens: Matrix,
    incoming: Matrix,
    turned: Matrix,
    scores: Matrix,
    weights: Matrix,
    result: Matrix,
    mask: Vec<f32>,
    slopes: Vec<f32>,
}

impl Scratch {
    /// Takes up a sequence's tokens, and, turned, what its heads ask.
    fn ask(&mut self, sequence: Sequence<'_>, asked: &[f32], sequences: usize) {
        let Sequence { index, hidden, width, length, heads, .. } = sequence;
        self.tokens.reset(length, width);
        for (token, row) in hidden.chunks_exact(width).enumerate() {
            self.tokens.row_mut(token)[..width].copy_from_slice(row);
        }
        self.incoming.reset(heads, width);
        for head in 0..heads {
            let row = &asked[(head * sequences + index) * width..][..width];
            self.incoming.row_mut(head)[..width].copy_from_slice(row);
        }
        self.turned.transpose(&self.incoming, heads, width);
    }
}
