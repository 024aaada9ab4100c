//! The operations in plain tensor operations, for any backend.

use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

use super::{Attention, Norm, Packing};

/// Added to the scores of padding: its probability becomes exactly 0.
const MASKED: f32 = -1e9;

pub(super) fn gelu<B: Backend>(input: Tensor<B, 2>, bias: Tensor<B, 1>) -> Tensor<B, 2> {
    activation::gelu(input + bias.unsqueeze())
}

pub(super) fn norm<B: Backend>(norm: Norm<B>) -> Tensor<B, 2> {
    let sum = norm.before.apply(norm.input + norm.bias.unsqueeze()) + norm.residual;
    let centred = sum.clone() - sum.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let normal = centred / (variance + norm.epsilon).sqrt();
    norm.after.apply(normal * norm.gamma.unsqueeze() + norm.beta.unsqueeze())
}

/// Pads every sequence to the longest, and takes the padding out again.
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
    let places = Places::new(&attention.packing);
    let padded = (projected + bias.unsqueeze()).select(0, indices(&places.padded, &device));
    let padded = padded.reshape([sequences, longest, 3 * heads, size]).swap_dims(1, 2);
    let part = |index: usize| padded.clone().narrow(1, index * heads, heads);
    #[expect(clippy::cast_precision_loss, reason = "a head's size is small")]
    let scale = 1.0 / (size as f64).sqrt();
    let scores = TensorData::new(places.scores, [sequences, 1, 1, longest]);
    let logits =
        part(0).mul_scalar(scale).matmul(part(1).swap_dims(2, 3)) + Tensor::from_data(scores, &device);
    let probabilities = activation::softmax(logits, 3);
    let firsts = attention.firsts();
    // Those of padding are those of others, which does no harm.
    let probabilities = attention.drop.apply_numbered(probabilities, |[sequence, head, query, key]| {
        let (_, length) = attention.packing.sequence(sequence);
        firsts[sequence] + (head * length + query) * length + key
    });
    let attended = probabilities.matmul(part(2)).swap_dims(1, 2).reshape([sequences * longest, width]);
    attended.select(0, indices(&places.packed, &device))
}

/// Pads as [`attention`] does.
pub(super) fn first_attention<B: Backend>(
    hidden: Tensor<B, 2>,
    asked: Tensor<B, 2>,
    attention: &Attention,
) -> Tensor<B, 2> {
    let device = hidden.device();
    let [_, width] = hidden.dims();
    let heads = attention.heads;
    let (sequences, longest) = (attention.packing.sequences(), attention.packing.longest());
    let places = Places::new(&attention.packing);
    let padded = hidden.select(0, indices(&places.padded, &device)).reshape([sequences, longest, width]);
    let asked = asked.reshape([heads, sequences, width]).swap_dims(0, 1);
    let scores = TensorData::new(places.scores, [sequences, 1, longest]);
    let logits = asked.matmul(padded.clone().swap_dims(1, 2)) + Tensor::from_data(scores, &device);
    let probabilities = activation::softmax(logits, 2).reshape([sequences, heads, 1, longest]);
    let probabilities = attention.drop.apply_numbered(probabilities, |[sequence, head, _, key]| {
        let (_, length) = attention.packing.sequence(sequence);
        attention.first_of_one(sequence) + head * length + key
    });
    let probabilities = probabilities.reshape([sequences, heads, longest]);
    let sums = probabilities.clone().sum_dim(2);
    let found = Tensor::cat(vec![probabilities.matmul(padded), sums], 2);
    found.swap_dims(0, 1).reshape([heads * sequences, width + 1])
}

fn indices<B: Backend>(places: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let places: Vec<i32> = places.iter().map(|&place| i32::try_from(place).unwrap_or(i32::MAX)).collect();
    Tensor::from_data(TensorData::from(places.as_slice()), device)
}

/// Where rows go when sequences are padded, and come from when they are not any more.
struct Places {
    /// For each padded row, the packed row in it; padding repeats its sequence's first row.
    padded: Vec<usize>,
    /// 0, or [`MASKED`] for padding, for each padded row.
    scores: Vec<f32>,
    /// For each packed row of output, its padded row.
    packed: Vec<usize>,
}

impl Places {
    fn new(packing: &Packing) -> Self {
        let longest = packing.longest();
        let mut places = Self { padded: Vec::new(), scores: Vec::new(), packed: Vec::new() };
        for sequence in 0..packing.sequences() {
            let (start, length) = packing.sequence(sequence);
            for place in 0..longest {
                places.padded.push(if place < length { start + place } else { start });
                places.scores.push(if place < length { 0.0 } else { MASKED });
            }
            places.packed.extend((0..length).map(|place| sequence * longest + place));
        }
        places
    }
}
