//! Between packed and padded rows.
//!
//! Products of all sequences at once need sequences of one length. So packed rows, the tokens of
//! one sequence after the other, are brought to `[sequences, heads, longest, size]`, with zeros
//! for padding, and back again. Each of the two is the other's gradient.

use std::sync::Arc;

use burn::tensor::{DType, Shape};
use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::launch::{elements, empty, flat, units, word};
use crate::train::ops::inputs::Packing;

/// Padded lengths are multiples of this: few shapes, for which kernels are chosen and compiled once.
const LENGTH_STEP: usize = 16;

/// Where the sequences of a batch stand, in the device's memory.
#[derive(Clone, Debug)]
pub(super) struct Layout<R: CubeRuntime> {
    /// By sequence its first row, its length, Σ length² over the sequences before it of the same trial, and its first row
    /// among those of its trial; then, by row, its sequence, or the number of sequences where it has none. u32.
    pub(super) places: CubeTensor<R>,
    pub(super) sequences: usize,
    pub(super) longest: usize,
    pub(super) rows: usize,
    pub(super) trials: usize,
}

impl<R: CubeRuntime> Layout<R> {
    /// The layout of a batch, in the memory of the device of `like`. It is made at the first call, and kept
    /// with the batch.
    pub(super) fn of(packing: &Packing, like: &CubeTensor<R>) -> Self {
        let make = || Arc::new(Self::new(packing, like)) as Arc<_>;
        let kept = packing.on_device.get_or_init(make);
        kept.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::new(packing, like))
    }

    fn new(packing: &Packing, like: &CubeTensor<R>) -> Self {
        let (sequences, rows, trials) = (packing.sequences(), packing.rows(), packing.trials());
        let (own_sequences, own_rows) = (sequences / trials, rows / trials);
        let mut places = vec![0; 4 * sequences];
        places.resize(4 * sequences + rows, word(sequences));
        let mut squares = 0;
        for sequence in 0..sequences {
            let (start, length) = packing.sequence(sequence);
            let trial = sequence / own_sequences;
            if sequence % own_sequences == 0 {
                squares = 0;
            }
            for (part, number) in [start, length, squares, start - trial * own_rows].into_iter().enumerate() {
                places[part * sequences + sequence] = word(number);
            }
            squares += length * length;
            places[4 * sequences + start..][..length].fill(word(sequence));
        }
        Self {
            places: upload(like, &places),
            sequences,
            longest: packing.longest().next_multiple_of(LENGTH_STEP),
            rows,
            trials,
        }
    }
}

/// Copies whole numbers to the device of `like`.
pub(super) fn upload<R: CubeRuntime>(like: &CubeTensor<R>, values: &[u32]) -> CubeTensor<R> {
    let handle = like.client.create_from_slice(bytemuck::cast_slice(values));
    let shape = Shape::new([values.len()]);
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, DType::U32)
}

/// The sizes of padded rows of heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) heads: usize,
    /// The width of a head.
    pub(super) size: usize,
}

/// Where an element of the padded form stands in the packed one.
#[derive(CubeType)]
struct Packed {
    row: u32,
    /// The column within a row of `heads · size`.
    column: u32,
    sequence: u32,
    /// Whether the element is of a token; padding has no row.
    is_token: bool,
}

#[cube]
fn packed_place(
    place: u32,
    places: &Array<u32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
) -> Packed {
    let token = (place / size) % longest;
    let head = (place / (size * longest)) % heads;
    let sequence = place / (size * longest * heads);
    let start = places[sequence as usize];
    let length = places[(sequences + sequence) as usize];
    Packed { row: start + token, column: head * size + place % size, sequence, is_token: token < length }
}

/// Where an element of the packed form stands in the padded one.
#[derive(CubeType)]
struct Padded {
    place: u32,
    /// Whether the row is of a sequence.
    is_token: bool,
}

#[cube]
fn padded_place(
    row: u32,
    column: u32,
    places: &Array<u32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
) -> Padded {
    let sequence = places[(4u32 * sequences + row) as usize];
    let mut place = 0u32;
    if sequence < sequences {
        let token = row - places[sequence as usize];
        place = ((sequence * heads + column / size) * longest + token) * size + column % size;
    }
    Padded { place, is_token: sequence < sequences }
}

/// One unit has one element of the padded form.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn split_kernel(
    projected: &Array<f32>,
    bias: &Array<f32>,
    places: &Array<u32>,
    queries: &mut Array<f32>,
    keys: &mut Array<f32>,
    values: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
    own_sequences: u32,
    scale: f32,
) {
    let index = ABSOLUTE_POS;
    if index < queries.len() {
        let place = packed_place(index as u32, places, heads, size, longest, sequences);
        let mut query = f32::new(0.0);
        let mut key = f32::new(0.0);
        let mut value = f32::new(0.0);
        if place.is_token {
            let width = heads * size;
            let first = place.row * (3u32 * width) + place.column;
            let own = place.sequence / own_sequences * (3u32 * width) + place.column;
            query = (projected[first as usize] + bias[own as usize]) * scale;
            key = projected[(first + width) as usize] + bias[(own + width) as usize];
            value = projected[(first + 2u32 * width) as usize] + bias[(own + 2u32 * width) as usize];
        }
        queries[index] = query;
        keys[index] = key;
        values[index] = value;
    }
}

/// Queries times `scale`, keys and values, `[sequences, heads, longest, size]` each, from `projected`,
/// `[rows, 3 · width]`, plus `bias`, `[trials · 3 · width]`.
pub(super) fn split<R: CubeRuntime>(
    projected: CubeTensor<R>,
    bias: CubeTensor<R>,
    layout: &Layout<R>,
    Sizes { heads, size }: Sizes,
    scale: f32,
) -> [CubeTensor<R>; 3] {
    let shape = [layout.sequences, heads, layout.longest, size];
    let parts = [0; 3].map(|_| empty(&projected, shape));
    let client = projected.client.clone();
    let [queries, keys, values] = parts.each_ref().map(|part| part.clone().into_array_arg());
    split_kernel::launch(
        &client,
        elements(shape.iter().product()),
        units(),
        projected.into_array_arg(),
        bias.into_array_arg(),
        layout.places.clone().into_array_arg(),
        queries,
        keys,
        values,
        word(heads),
        word(size),
        word(layout.longest),
        word(layout.sequences),
        word(layout.sequences / layout.trials),
        scale,
    );
    parts
}

/// The gradient of [`split`] by `projected`. One unit has one row's element of queries, keys and values.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn join_kernel(
    by_queries: &Array<f32>,
    by_keys: &Array<f32>,
    by_values: &Array<f32>,
    places: &Array<u32>,
    joined: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
    scale: f32,
) {
    let index = ABSOLUTE_POS as u32;
    if 3u32 * index < joined.len() as u32 {
        let width = heads * size;
        let (row, column) = (index / width, index % width);
        let padded = padded_place(row, column, places, heads, size, longest, sequences);
        let mut query = f32::new(0.0);
        let mut key = f32::new(0.0);
        let mut value = f32::new(0.0);
        if padded.is_token {
            query = by_queries[padded.place as usize] * scale;
            key = by_keys[padded.place as usize];
            value = by_values[padded.place as usize];
        }
        let first = row * (3u32 * width) + column;
        joined[first as usize] = query;
        joined[(first + width) as usize] = key;
        joined[(first + 2u32 * width) as usize] = value;
    }
}

/// The gradient of [`split`] by `projected`, `[rows, 3 · width]`, from those by its three results.
pub(super) fn join<R: CubeRuntime>(
    parts: [CubeTensor<R>; 3],
    layout: &Layout<R>,
    Sizes { heads, size }: Sizes,
    scale: f32,
) -> CubeTensor<R> {
    let joined = empty(&parts[0], [layout.rows, 3 * heads * size]);
    let [queries, keys, values] = parts.map(|part| flat(part).into_array_arg());
    join_kernel::launch(
        &joined.client,
        elements(layout.rows * heads * size),
        units(),
        queries,
        keys,
        values,
        layout.places.clone().into_array_arg(),
        joined.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
        word(layout.sequences),
        scale,
    );
    joined
}

/// One unit has one element of the padded form.
#[cube(launch)]
fn pad_kernel(
    packed: &Array<f32>,
    places: &Array<u32>,
    padded: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
) {
    let index = ABSOLUTE_POS;
    if index < padded.len() {
        let place = packed_place(index as u32, places, heads, size, longest, sequences);
        let mut value = f32::new(0.0);
        if place.is_token {
            value = packed[(place.row * heads * size + place.column) as usize];
        }
        padded[index] = value;
    }
}

/// `[rows, width]` as `[sequences, heads, longest, size]`, with zeros for padding.
pub(super) fn pad<R: CubeRuntime>(
    packed: CubeTensor<R>,
    layout: &Layout<R>,
    Sizes { heads, size }: Sizes,
) -> CubeTensor<R> {
    let shape = [layout.sequences, heads, layout.longest, size];
    let padded = empty(&packed, shape);
    let packed = flat(packed).into_array_arg();
    pad_kernel::launch(
        &padded.client,
        elements(shape.iter().product()),
        units(),
        packed,
        layout.places.clone().into_array_arg(),
        padded.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
        word(layout.sequences),
    );
    padded
}

/// One unit has one element of the packed form.
#[cube(launch)]
fn pack_kernel(
    padded: &Array<f32>,
    places: &Array<u32>,
    packed: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    sequences: u32,
) {
    let index = ABSOLUTE_POS;
    if index < packed.len() {
        let width = heads * size;
        let (row, column) = (index as u32 / width, index as u32 % width);
        let found = padded_place(row, column, places, heads, size, longest, sequences);
        let mut value = f32::new(0.0);
        if found.is_token {
            value = padded[found.place as usize];
        }
        packed[index] = value;
    }
}

/// `[sequences, heads, longest, size]` as `[rows, width]`, without padding; rows of no sequence are zero.
pub(super) fn pack<R: CubeRuntime>(
    padded: CubeTensor<R>,
    layout: &Layout<R>,
    Sizes { heads, size }: Sizes,
) -> CubeTensor<R> {
    let packed = empty(&padded, [layout.rows, heads * size]);
    let padded = flat(padded);
    pack_kernel::launch(
        &packed.client,
        elements(layout.rows * heads * size),
        units(),
        padded.into_array_arg(),
        layout.places.clone().into_array_arg(),
        packed.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
        word(layout.sequences),
    );
    packed
}
