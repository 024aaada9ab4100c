//! Attention of each sequence's first token alone, straight from the hidden states, and its gradient.
//!
//! Keys and values of single tokens are never computed: see `Layer::attend_first` in
//! `encoder/model/layers.rs` for the derivation and the saving. For one sequence with the
//! hidden states X `[length, width]`, the projected queries U `[heads, width]` (each head's
//! `Wk q`, scaled), and a mask M `[heads, length]` of dropout factors, all products by
//! element but those of matrices:
//!
//! ```text
//! P = softmax(U Xᵀ) by rows     W = P · M     A = W X     n = Σ W by rows
//! ```
//!
//! The result is A and n side by side, `[heads, width + 1]`: with dropout the weights of a
//! head do not add up to 1, and the bias of the values counts n times. Backward, with D
//! `[heads, width]` and d `[heads]` the gradients by A and n:
//!
//! ```text
//! by W:       D Xᵀ + d              by P:  G = (D Xᵀ + d) · M
//! by U Xᵀ:    S = P · (G − Σ G · P), the sum over a row
//! by X:       Wᵀ D + Sᵀ U           by U:  S X
//! ```
//!
//! X counts in two ways, through A and through the scores: the two products of its gradient
//! are one, of W over S and D over U stacked.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    attention::{NumberedDropout, softmax},
    inputs::Attention,
    kernels::dot,
    product::{Multiply, PaddedMatrix},
};

/// The result of CLS attention, and what its gradient needs.
pub(super) struct ClsOutput {
    /// `[heads · sequences, width + 1]`
    pub(super) output: Vec<f32>,
    /// The probabilities before dropout, by sequence, head, token.
    pub(super) probabilities: Vec<f32>,
}

/// The inputs of [`cls_attention`], as slices.
#[derive(Clone, Copy)]
pub(super) struct ClsInput<'a> {
    /// `[tokens, width]`
    pub(super) hidden: &'a [f32],
    /// `[heads · sequences, width]`
    pub(super) projected_queries: &'a [f32],
    pub(super) width: usize,
}

/// The gradients of [`cls_attention`] by its inputs.
pub(super) struct ClsGradient {
    /// `[tokens, width]`
    pub(super) hidden: Vec<f32>,
    /// `[heads · sequences, width]`
    pub(super) projected_queries: Vec<f32>,
}

/// See [`super::fused::Fused::cls_attention`].
pub(super) fn cls_attention(input: ClsInput<'_>, attention: &Attention) -> ClsOutput {
    let width = input.width;
    let (heads, sequences) = (attention.heads, attention.packing.sequences());
    let run = |scratch: &mut ClsScratch, index: usize| {
        let sequence = Sequence::new(input, attention, index);
        scratch.forward(&sequence)
    };
    let found: Vec<(Vec<f32>, Vec<f32>)> =
        (0..sequences).into_par_iter().map_init(ClsScratch::default, run).collect();
    let mut output = vec![0.0; heads * sequences * (width + 1)];
    let mut probabilities = Vec::with_capacity(heads * attention.packing.rows());
    for (index, (kept, rows)) in found.iter().enumerate() {
        probabilities.extend_from_slice(kept);
        HeadRows { width: width + 1, sequences, index }.write(rows, &mut output);
    }
    ClsOutput { output, probabilities }
}

/// Returns the gradients of [`cls_attention`]. `gradient`, by the result: `[heads · sequences, width + 1]`.
pub(super) fn cls_attention_backward(
    input: ClsInput<'_>,
    probabilities: &[f32],
    attention: &Attention,
    gradient: &[f32],
) -> ClsGradient {
    let width = input.width;
    let (heads, sequences) = (attention.heads, attention.packing.sequences());
    let mut by_hidden = vec![0.0; input.hidden.len()];
    let mut tasks = Vec::with_capacity(sequences);
    let mut rest = by_hidden.as_mut_slice();
    for index in 0..sequences {
        let (_, length) = attention.packing.sequence(index);
        let (result, later) = rest.split_at_mut(length * width);
        rest = later;
        tasks.push((index, result));
    }
    let run = |scratch: &mut ClsScratch, (index, by_hidden): (usize, &mut [f32])| {
        let sequence = Sequence::new(input, attention, index);
        let probabilities = &probabilities[sequence.first..][..heads * sequence.length];
        (index, scratch.backward(&sequence, probabilities, gradient, by_hidden))
    };
    let found: Vec<(usize, Vec<f32>)> = tasks.into_par_iter().map_init(ClsScratch::default, run).collect();
    let mut by_queries = vec![0.0; input.projected_queries.len()];
    for (index, rows) in &found {
        HeadRows { width, sequences, index: *index }.write(rows, &mut by_queries);
    }
    ClsGradient { hidden: by_hidden, projected_queries: by_queries }
}

vectorised! {
    /// Computes P, which is kept in `probabilities`, and W from the scores, `[heads, length]`.
    fn weigh_cls<'a>(
        scores: &'a PaddedMatrix,
        weights: &'a mut PaddedMatrix,
        probabilities: &'a mut [f32],
        mask: &'a mut [f32],
        dropout: NumberedDropout,
    ) {
        let length = mask.len();
        for (head, kept) in probabilities.chunks_exact_mut(length).enumerate() {
            kept.copy_from_slice(&scores.row(head)[..length]);
            softmax(kept);
            dropout.fill(mask, head * length);
            for ((weight, kept), mask) in weights.row_mut(head).iter_mut().zip(kept).zip(&*mask) {
                *weight = *kept * mask;
            }
        }
    }
}

/// The gradient of CLS attention by its weights W, which is D Xᵀ + d.
struct ClsWeightGradient<'a> {
    /// D Xᵀ, `[heads, length]`
    slopes: &'a mut PaddedMatrix,
    /// d, `[heads]`
    by_sums: &'a [f32],
}

vectorised! {
    /// Computes W, and below it S, `[2 · heads, length]`.
    fn weigh_cls_backward<'a>(
        gradient: ClsWeightGradient<'a>,
        weights: &'a mut PaddedMatrix,
        probabilities: &'a [f32],
        mask: &'a mut [f32],
        dropout: NumberedDropout,
    ) {
        let ClsWeightGradient { slopes, by_sums } = gradient;
        let (length, heads) = (mask.len(), by_sums.len());
        for (head, (kept, by_sum)) in probabilities.chunks_exact(length).zip(by_sums).enumerate() {
            dropout.fill(mask, head * length);
            let slopes = &mut slopes.row_mut(head)[..length];
            for (slope, mask) in slopes.iter_mut().zip(&*mask) {
                *slope = (*slope + by_sum) * mask;
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

/// The rows of one sequence in a matrix that has, head by head, one row for each sequence.
#[derive(Clone, Copy)]
struct HeadRows {
    width: usize,
    sequences: usize,
    /// The sequence's index.
    index: usize,
}

impl HeadRows {
    /// The sequence's row for `head`.
    fn row(self, all: &[f32], head: usize) -> &[f32] {
        &all[(head * self.sequences + self.index) * self.width..][..self.width]
    }

    /// Writes `rows`, one for each head, into `all`.
    fn write(self, rows: &[f32], all: &mut [f32]) {
        for (head, row) in rows.chunks_exact(self.width).enumerate() {
            all[(head * self.sequences + self.index) * self.width..][..self.width].copy_from_slice(row);
        }
    }
}

/// One sequence.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    /// Its tokens' hidden states, `[length, width]`.
    hidden: &'a [f32],
    /// The projected queries of all sequences.
    projected_queries: &'a [f32],
    width: usize,
    length: usize,
    heads: usize,
    sequences: usize,
    index: usize,
    /// The index of the sequence's first probability among those of all sequences.
    first: usize,
    /// Dropout on the sequence's probabilities.
    dropout: NumberedDropout,
}

impl<'a> Sequence<'a> {
    fn new(input: ClsInput<'a>, attention: &Attention, index: usize) -> Self {
        let ClsInput { hidden, projected_queries, width } = input;
        let (start, length) = attention.packing.sequence(index);
        let first = attention.first_cls_element(index);
        Self {
            hidden: &hidden[start * width..(start + length) * width],
            projected_queries,
            width,
            length,
            heads: attention.heads,
            sequences: attention.packing.sequences(),
            index,
            first,
            dropout: NumberedDropout { dropout: attention.drop.alone(), first },
        }
    }

    /// The projected query of a head, `[width]`.
    fn query(&self, head: usize) -> &'a [f32] {
        let Self { projected_queries, width, sequences, index, .. } = *self;
        HeadRows { width, sequences, index }.row(projected_queries, head)
    }

    /// From the gradient by the result of all sequences: that by a head's row of A, and that by its n.
    fn incoming<'b>(&self, gradient: &'b [f32], head: usize) -> (&'b [f32], f32) {
        let rows = HeadRows { width: self.width + 1, sequences: self.sequences, index: self.index };
        let row = rows.row(gradient, head);
        (&row[..self.width], row[self.width])
    }
}

/// A thread's matrices, which are used for one sequence after another.
#[derive(Default)]
struct ClsScratch {
    /// X
    tokens: PaddedMatrix,
    /// Rows by head: U, or D, or D over U.
    by_head: PaddedMatrix,
    transposed: PaddedMatrix,
    scores: PaddedMatrix,
    /// W, or W over S.
    weights: PaddedMatrix,
    result: PaddedMatrix,
    mask: Vec<f32>,
    /// d
    by_sums: Vec<f32>,
}

impl ClsScratch {
    fn read_tokens(&mut self, sequence: &Sequence<'_>) {
        self.tokens.reset(sequence.length, sequence.width);
        for (token, row) in sequence.hidden.chunks_exact(sequence.width).enumerate() {
            self.tokens.row_mut(token)[..sequence.width].copy_from_slice(row);
        }
    }

    /// Returns P, `[heads, length]`, and the result, `[heads, width + 1]`.
    fn forward(&mut self, sequence: &Sequence<'_>) -> (Vec<f32>, Vec<f32>) {
        let Sequence { width, length, heads, dropout, .. } = *sequence;
        let arch = Arch::new();
        self.read_tokens(sequence);
        self.by_head.reset(heads, width);
        for head in 0..heads {
            self.by_head.row_mut(head)[..width].copy_from_slice(sequence.query(head));
        }
        // X Uᵀ, and its transpose.
        self.transposed.transpose(&self.by_head, heads, width);
        let (a, b, c) = (&self.tokens, &self.transposed, &mut self.scores);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: width });
        self.transposed.transpose(&self.scores, length, heads);
        let mut probabilities = vec![0.0; heads * length];
        self.weights.reset(heads, length);
        self.mask.resize(length, 1.0);
        weigh_cls(&self.transposed, &mut self.weights, &mut probabilities, &mut self.mask, dropout);
        // W X
        let (a, b, c) = (&self.weights, &self.tokens, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: heads, depth: length });
        let mut output = vec![0.0; heads * (width + 1)];
        for (head, output) in output.chunks_exact_mut(width + 1).enumerate() {
            output[..width].copy_from_slice(&self.result.row(head)[..width]);
            output[width] = self.weights.row(head)[..length].iter().sum();
        }
        (probabilities, output)
    }

    /// Writes the gradient by X, `[length, width]`, into `by_hidden`, and returns the one by U, `[heads, width]`.
    fn backward(
        &mut self,
        sequence: &Sequence<'_>,
        probabilities: &[f32],
        gradient: &[f32],
        by_hidden: &mut [f32],
    ) -> Vec<f32> {
        let Sequence { width, length, heads, .. } = *sequence;
        let arch = Arch::new();
        self.read_tokens(sequence);
        self.weigh_backward(sequence, probabilities, gradient);
        // Wᵀ D + Sᵀ U: the transpose of W over S, times D over U.
        self.scores.transpose(&self.weights, 2 * heads, length);
        self.by_head.reset(2 * heads, width);
        for head in 0..heads {
            self.by_head.row_mut(head)[..width].copy_from_slice(sequence.incoming(gradient, head).0);
            self.by_head.row_mut(heads + head)[..width].copy_from_slice(sequence.query(head));
        }
        let (a, b, c) = (&self.scores, &self.by_head, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: length, depth: 2 * heads });
        for (token, by_hidden) in by_hidden.chunks_exact_mut(width).enumerate() {
            by_hidden.copy_from_slice(&self.result.row(token)[..width]);
        }
        // S X
        self.scores.reset(heads, length);
        for head in 0..heads {
            let by_scores = &self.weights.row(heads + head)[..length];
            self.scores.row_mut(head)[..length].copy_from_slice(by_scores);
        }
        let (a, b, c) = (&self.scores, &self.tokens, &mut self.result);
        arch.dispatch(Multiply { a, b, c, rows: heads, depth: length });
        (0..heads).flat_map(|head| &self.result.row(head)[..width]).copied().collect()
    }

    /// Makes `weights` W over S, from X in `tokens`.
    fn weigh_backward(&mut self, sequence: &Sequence<'_>, probabilities: &[f32], gradient: &[f32]) {
        let Sequence { width, length, heads, dropout, .. } = *sequence;
        self.by_head.reset(heads, width);
        self.by_sums.clear();
        for head in 0..heads {
            let (by_attended, by_sum) = sequence.incoming(gradient, head);
            self.by_head.row_mut(head)[..width].copy_from_slice(by_attended);
            self.by_sums.push(by_sum);
        }
        // X Dᵀ, and its transpose.
        self.transposed.transpose(&self.by_head, heads, width);
        let (a, b, c) = (&self.tokens, &self.transposed, &mut self.scores);
        Arch::new().dispatch(Multiply { a, b, c, rows: length, depth: width });
        self.transposed.transpose(&self.scores, length, heads);
        self.weights.reset(2 * heads, length);
        self.mask.resize(length, 1.0);
        let gradient = ClsWeightGradient { slopes: &mut self.transposed, by_sums: &self.by_sums };
        weigh_cls_backward(gradient, &mut self.weights, probabilities, &mut self.mask, dropout);
    }
}
