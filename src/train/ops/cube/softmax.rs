//! The softmax over the keys of each sequence, with dropout, and its gradient.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, empty, flat, units, word},
    masks::{MaskNumbers, argument, factor, trial_mask},
    packing::Layout,
    reduction::{cube_max, cube_sum},
};
use crate::train::masks::Drops;
#[cfg(doc)]
use crate::train::ops::inputs::Attention;

/// The number of the first probability of a query, among those of its trial; see [`Attention::drop`].
#[cube]
fn first_number(
    places: &Array<u32>,
    place: &QueryPlace,
    heads: u32,
    sequences: u32,
    #[comptime] only_first: bool,
) -> u32 {
    let length = places[(sequences + place.sequence) as usize];
    if comptime!(only_first) {
        heads * places[(3u32 * sequences + place.sequence) as usize] + place.head * length
    } else {
        let squares = places[(2u32 * sequences + place.sequence) as usize];
        heads * squares + (place.head * length + place.query) * length
    }
}

/// Which query a cube has.
#[derive(CubeType)]
struct QueryPlace {
    sequence: u32,
    head: u32,
    query: u32,
}

/// The place of the query that a cube has.
#[cube]
fn query_place(row: u32, queries: u32, heads: u32) -> QueryPlace {
    QueryPlace { sequence: row / (queries * heads), head: (row / queries) % heads, query: row % queries }
}

/// The largest of `length` scores from `first` on, and the sum of their exponentials over it.
#[cube]
fn normalisers(scores: &Array<f32>, first: u32, length: u32, #[comptime] units: u32) -> (f32, f32) {
    let mut highest = f32::new(-3.0e38);
    let mut key = UNIT_POS;
    while key < length {
        highest = f32::max(highest, scores[(first + key) as usize]);
        key += units;
    }
    let highest = cube_max(highest, units);
    let mut sum = f32::new(0.0);
    let mut key = UNIT_POS;
    while key < length {
        sum += f32::exp(scores[(first + key) as usize] - highest);
        key += units;
    }
    (highest, cube_sum(sum, units))
}

/// A cube has the scores of one query, over the keys of its sequence.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn softmax_kernel(
    scores: &Array<f32>,
    places: &Array<u32>,
    probabilities: &mut Array<f32>,
    weights: &mut Array<f32>,
    mask: &MaskNumbers,
    heads: u32,
    queries: u32,
    longest: u32,
    sequences: u32,
    own_sequences: u32,
    #[comptime] only_first: bool,
    #[comptime] masked: bool,
    #[comptime] units: u32,
) {
    let row = CUBE_POS as u32;
    if row < probabilities.len() as u32 / longest {
        let place = query_place(row, queries, heads);
        let mut length = places[(sequences + place.sequence) as usize];
        let number = first_number(places, &place, heads, sequences, only_first);
        let mask = trial_mask(mask, place.sequence / own_sequences, masked);
        if place.query >= length {
            // The query is padding.
            length = 0u32;
        }
        let first = row * longest;
        let (highest, total) = normalisers(scores, first, length, units);
        let mut key = UNIT_POS;
        while key < longest {
            let mut probability = f32::new(0.0);
            if key < length {
                probability = f32::exp(scores[(first + key) as usize] - highest) / total;
            }
            probabilities[(first + key) as usize] = probability;
            if comptime!(masked) {
                weights[(first + key) as usize] = probability * factor(&mask, number + key);
            }
            key += units;
        }
    }
}

/// How the rows of scores are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) heads: usize,
    /// Whether each sequence has its first token as the only query.
    pub(super) only_first: bool,
    pub(super) drop: &'a Drops,
}

/// The probabilities of `scores`, `[…, longest]`, over the keys of each sequence, and the same after dropout.
pub(super) fn softmax<R: CubeRuntime>(
    scores: CubeTensor<R>,
    layout: &Layout<R>,
    Rows { heads, only_first, drop }: Rows<'_>,
) -> [CubeTensor<R>; 2] {
    let scores = flat(scores);
    let probabilities = empty(&scores, scores.meta.shape().clone());
    let masked = !drop.is_off();
    let queries = if only_first { 1 } else { word(layout.longest) };
    let weights = if masked { empty(&scores, scores.meta.shape().clone()) } else { probabilities.clone() };
    let client = scores.client.clone();
    // Without dropout nothing is written to the weights, and no second buffer is needed.
    let room = if masked { weights.clone() } else { empty(&scores, [1]) };
    let mask = argument(drop, &scores);
    softmax_kernel::launch(
        &client,
        cubes(scores.meta.num_elements() / layout.longest),
        units(),
        scores.into_array_arg(),
        layout.places.clone().into_array_arg(),
        probabilities.clone().into_array_arg(),
        room.into_array_arg(),
        mask,
        word(heads),
        queries,
        word(layout.longest),
        word(layout.sequences),
        word(layout.sequences / layout.trials),
        only_first,
        masked,
        UNITS,
    );
    [probabilities, weights]
}

/// A cube has the probabilities of one query.
// With p the probabilities, w = p · mask the weights and G the gradient by w: d = G · mask by p, and p (d − Σ d p) by
// the scores.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn softmax_backward_kernel(
    probabilities: &Array<f32>,
    gradient: &Array<f32>,
    places: &Array<u32>,
    by_scores: &mut Array<f32>,
    weights: &mut Array<f32>,
    mask: &MaskNumbers,
    heads: u32,
    queries: u32,
    longest: u32,
    sequences: u32,
    own_sequences: u32,
    #[comptime] only_first: bool,
    #[comptime] masked: bool,
    #[comptime] units: u32,
) {
    let row = CUBE_POS as u32;
    if row < probabilities.len() as u32 / longest {
        let place = query_place(row, queries, heads);
        let number = first_number(places, &place, heads, sequences, only_first);
        let mask = trial_mask(mask, place.sequence / own_sequences, masked);
        let first = row * longest;
        let mut along = f32::new(0.0);
        let mut key = UNIT_POS;
        while key < longest {
            let mut slope = gradient[(first + key) as usize];
            if comptime!(masked) {
                slope *= factor(&mask, number + key);
            }
            along += slope * probabilities[(first + key) as usize];
            key += units;
        }
        let along = cube_sum(along, units);
        let mut key = UNIT_POS;
        while key < longest {
            let probability = probabilities[(first + key) as usize];
            let mut slope = gradient[(first + key) as usize];
            if comptime!(masked) {
                let own = factor(&mask, number + key);
                slope *= own;
                weights[(first + key) as usize] = probability * own;
            }
            by_scores[(first + key) as usize] = probability * (slope - along);
            key += units;
        }
    }
}

/// The gradient of [`softmax`] by the scores, from the one by the weights, and the weights again.
pub(super) fn softmax_backward<R: CubeRuntime>(
    probabilities: CubeTensor<R>,
    gradient: CubeTensor<R>,
    layout: &Layout<R>,
    Rows { heads, only_first, drop }: Rows<'_>,
) -> [CubeTensor<R>; 2] {
    let by_scores = empty(&probabilities, probabilities.meta.shape().clone());
    let masked = !drop.is_off();
    let queries = if only_first { 1 } else { word(layout.longest) };
    let room = if masked {
        empty(&probabilities, probabilities.meta.shape().clone())
    } else {
        empty(&probabilities, [1])
    };
    let weights = if masked { room.clone() } else { probabilities.clone() };
    let mask = argument(drop, &by_scores);
    softmax_backward_kernel::launch(
        &by_scores.client,
        cubes(probabilities.meta.num_elements() / layout.longest),
        units(),
        probabilities.into_array_arg(),
        flat(gradient).into_array_arg(),
        layout.places.clone().into_array_arg(),
        by_scores.clone().into_array_arg(),
        room.into_array_arg(),
        mask,
        word(heads),
        queries,
        word(layout.longest),
        word(layout.sequences),
        word(layout.sequences / layout.trials),
        only_first,
        masked,
        UNITS,
    );
    [by_scores, weights]
}
