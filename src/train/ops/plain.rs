//! The operations in plain tensor operations, for any backend.

use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

use super::inputs::{AdamWTensors, Attention, Norm, Packing, UpdateNumbers};
use crate::numbers::{count, small_count};

/// Added to the scores of padding. The exponential of such a score underflows, so that its probability is exactly 0.
const MASKED: f32 = -1e9;

/// See [`super::fused::Fused::bias_gelu`].
pub(super) fn gelu<B: Backend>(input: Tensor<B, 2>, bias: Tensor<B, 1>) -> Tensor<B, 2> {
    activation::gelu(input + bias.unsqueeze())
}

/// See [`super::fused::Fused::residual_norm`].
// The variance is the mean of squares, without Bessel's correction, as in `torch.nn.LayerNorm`.
pub(super) fn norm<B: Backend>(norm: Norm<B>) -> Tensor<B, 2> {
    let sum = norm.before.alone().apply(norm.input + norm.bias.unsqueeze()) + norm.residual;
    let centred = sum.clone() - sum.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let normal = centred / (variance + norm.epsilon).sqrt();
    norm.after.alone().apply(normal * norm.gamma.unsqueeze() + norm.beta.unsqueeze())
}

/// See [`super::fused::Fused::packed_attention`]. Pads every sequence to the longest one, and takes the padding out
/// again.
// softmax(Q Kᵀ / √s) V by head, with heads of size s (Vaswani et al. 2017, arXiv 1706.03762, section 3.2).
pub(super) fn attention<B: Backend>(
    projected: Tensor<B, 2>,
    bias: Tensor<B, 1>,
    attention: &Attention,
) -> Tensor<B, 2> {
    let device = projected.device();
    let [_, columns] = projected.dims();
    let (heads, width) = (attention.heads, columns / 3);
    let size = width / heads;
    let (sequences, longest) = (attention.packing.sequences(), attention.packing.longest());
    let map = PaddingMap::new(&attention.packing);
    let padded = (projected + bias.unsqueeze()).select(0, indices(&map.padded, &device));
    let padded = padded.reshape([sequences, longest, 3 * heads, size]).swap_dims(1, 2);
    let part = |index: usize| padded.clone().narrow(1, index * heads, heads);
    let scale = 1.0 / count(size).sqrt();
    let scores = TensorData::new(map.scores, [sequences, 1, 1, longest]);
    let logits =
        part(0).mul_scalar(scale).matmul(part(1).swap_dims(2, 3)) + Tensor::from_data(scores, &device);
    let probabilities = activation::softmax(logits, 3);
    let firsts = attention.first_elements();
    // Elements of padding have the numbers of other elements. Their probabilities are 0 or not read, so any mask does.
    let probabilities =
        attention.drop.alone().apply_numbered(probabilities, |[sequence, head, query, key]| {
            let (_, length) = attention.packing.sequence(sequence);
            firsts[sequence] + (head * length + query) * length + key
        });
    let attended = probabilities.matmul(part(2)).swap_dims(1, 2).reshape([sequences * longest, width]);
    attended.select(0, indices(&map.packed, &device))
}

/// See [`super::fused::Fused::cls_attention`]. Pads as [`attention`] does.
pub(super) fn cls_attention<B: Backend>(
    hidden: Tensor<B, 2>,
    projected_queries: Tensor<B, 2>,
    attention: &Attention,
) -> Tensor<B, 2> {
    let device = hidden.device();
    let [_, width] = hidden.dims();
    let heads = attention.heads;
    let (sequences, longest) = (attention.packing.sequences(), attention.packing.longest());
    let map = PaddingMap::new(&attention.packing);
    let padded = hidden.select(0, indices(&map.padded, &device)).reshape([sequences, longest, width]);
    let queries = projected_queries.reshape([heads, sequences, width]).swap_dims(0, 1);
    let scores = TensorData::new(map.scores, [sequences, 1, longest]);
    let logits = queries.matmul(padded.clone().swap_dims(1, 2)) + Tensor::from_data(scores, &device);
    let probabilities = activation::softmax(logits, 2).reshape([sequences, heads, 1, longest]);
    let probabilities = attention.drop.alone().apply_numbered(probabilities, |[sequence, head, _, key]| {
        let (_, length) = attention.packing.sequence(sequence);
        attention.first_cls_element(sequence) + head * length + key
    });
    let probabilities = probabilities.reshape([sequences, heads, longest]);
    let sums = probabilities.clone().sum_dim(2);
    let sums = Tensor::cat(vec![probabilities.matmul(padded), sums], 2);
    sums.swap_dims(0, 1).reshape([heads * sequences, width + 1])
}

/// The matrix `[sequences, rows]` whose product with hidden states is each sequence's mean: the element of a sequence and
/// one of its rows is 1 / (the sequence's length), all others are 0.
pub(super) fn mean_matrix<B: Backend>(packing: &Packing, device: &B::Device) -> Tensor<B, 2> {
    let (sequences, rows) = (packing.sequences(), packing.rows());
    let mut shares = vec![0.0_f32; sequences * rows];
    for sequence in 0..sequences {
        let (start, length) = packing.sequence(sequence);
        shares[sequence * rows + start..][..length].fill(1.0 / small_count(length));
    }
    Tensor::from_data(TensorData::new(shares, [sequences, rows]), device)
}

/// See [`super::fused::Fused::losses`].
pub(super) fn losses<B: Backend>(
    logits: Tensor<B, 2>,
    targets: Tensor<B, 2>,
    labels: &[Option<usize>],
    trials: usize,
) -> [Tensor<B, 1>; 2] {
    let [documents, classes] = logits.dims();
    let mut own = vec![0.0_f32; documents * classes];
    for (row, label) in labels.iter().enumerate().filter_map(|(row, label)| Some((row, (*label)?))) {
        own[row * classes + label] = -1.0;
    }
    let own = Tensor::from_data(TensorData::new(own, [documents, classes]), &logits.device());
    let shown = activation::log_softmax(logits.clone().detach(), 1) * own;
    let learnt = activation::log_softmax(logits, 1) * targets;
    [learnt, shown].map(|terms| by_trial(terms.flatten(0, 1), trials).sum_dim(1).flatten(0, 1))
}

/// The values of each trial as a row.
fn by_trial<B: Backend>(values: Tensor<B, 1>, trials: usize) -> Tensor<B, 2> {
    let own = values.shape().num_elements() / trials;
    values.reshape([trials, own])
}

/// See [`super::fused::Fused::clipping`].
pub(super) fn clipping<B: Backend>(
    gradients: Vec<Tensor<B, 1>>,
    beside: Tensor<B, 1>,
    norms_max: &[f32],
) -> Option<Tensor<B, 1>> {
    let trials = norms_max.len();
    let square = |gradient| by_trial::<B>(gradient, trials).powi_scalar(2).sum_dim(1);
    let squares: Vec<Tensor<B, 2>> = gradients.into_iter().map(square).collect();
    if squares.is_empty() {
        return None;
    }
    let norms = Tensor::cat(squares, 1).sum_dim(1).sqrt();
    // Without a bound it is so large that the factor is 1.
    let bounds: Vec<f32> =
        norms_max.iter().map(|&bound| if bound > 0.0 { bound } else { f32::MAX }).collect();
    let bounds = Tensor::from_data(TensorData::new(bounds, [trials, 1]), &norms.device());
    let factors = (bounds / (norms.clone() + 1e-6)).clamp_max(1.0);
    Some(Tensor::cat(vec![norms, factors, by_trial(beside, trials)], 1).flatten(0, 1))
}

/// See [`super::fused::Fused::adamw`].
pub(super) fn adamw<B: Backend>(
    tensors: AdamWTensors<Tensor<B, 1>>,
    clipping: Tensor<B, 1>,
    UpdateNumbers { table, first, trials }: UpdateNumbers<B>,
) -> AdamWTensors<Tensor<B, 1>> {
    let numbers = table.narrow(0, first, 3 * trials).reshape([trials, 3]);
    let [keep, step_size, root] = [0, 1, 2].map(|index| numbers.clone().narrow(1, index, 1));
    let factors = clipping.reshape([trials, 3]).narrow(1, 1, 1);
    let AdamWTensors { value, gradient, moments } = tensors;
    let [first, second] = moments.map(|moment| by_trial(moment, trials));
    let clipped = by_trial(gradient.clone(), trials) * factors;
    let first = first * 0.9 + clipped.clone() * 0.1;
    let second = second * 0.999 + clipped.clone() * clipped * 0.001;
    let slope = first.clone() / (second.clone().sqrt() / root + 1e-8);
    let value = by_trial(value, trials) * keep - slope * step_size;
    AdamWTensors {
        value: value.flatten(0, 1),
        gradient,
        moments: [first, second].map(|moment| moment.flatten(0, 1)),
    }
}

fn indices<B: Backend>(rows: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let rows: Vec<i32> = rows.iter().map(|&row| i32::try_from(row).unwrap_or(i32::MAX)).collect();
    Tensor::from_data(TensorData::from(rows.as_slice()), device)
}

/// Which packed row stands in which padded row.
struct PaddingMap {
    /// By padded row: the packed row in it. Padding repeats its sequence's first row.
    padded: Vec<usize>,
    /// By padded row: 0, or [`MASKED`] for padding.
    scores: Vec<f32>,
    /// By packed row: its padded row.
    packed: Vec<usize>,
}

impl PaddingMap {
    fn new(packing: &Packing) -> Self {
        let longest = packing.longest();
        let mut map = Self { padded: Vec::new(), scores: Vec::new(), packed: Vec::new() };
        for sequence in 0..packing.sequences() {
            let (start, length) = packing.sequence(sequence);
            for place in 0..longest {
                map.padded.push(if place < length { start + place } else { start });
                map.scores.push(if place < length { 0.0 } else { MASKED });
            }
            map.packed.extend((0..length).map(|place| sequence * longest + place));
        }
        map
    }
}
