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
use crate::train::ops::inputs::{Attention, Packing};

/// Padded lengths are multiples of this: few shapes, for which kernels are chosen and compiled once.
const LENGTH_STEP: usize = 16;

/// Where the sequences of a batch stand, in the device's memory.
#[derive(Clone, Debug)]
pub(super) struct Layout<R: CubeRuntime> {
    /// The first row of each sequence, and the number of rows, `[sequences + 1]`, u32.
    pub(super) starts: CubeTensor<R>,
    /// Σ length² over the sequences before, `[sequences]`, u32.
    pub(super) squares: CubeTensor<R>,
    pub(super) sequences: usize,
    pub(super) longest: usize,
    pub(super) rows: usize,
}

impl<R: CubeRuntime> Layout<R> {
    /// The layout of `attention`'s batch, in the memory of the device of `like`. It is made at the first call, and kept
    /// with the batch.
    pub(super) fn of(attention: &Attention, like: &CubeTensor<R>) -> Self {
        let packing = &attention.packing;
        let make = || Arc::new(Self::new(packing, like)) as Arc<_>;
        let kept = packing.on_device.get_or_init(make);
        kept.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::new(packing, like))
    }

    fn new(packing: &Packing, like: &CubeTensor<R>) -> Self {
        let sequences = packing.sequences();
        let mut before = 0;
        let squares: Vec<u32> = (0..sequences)
            .map(|sequence| {
                let (_, length) = packing.sequence(sequence);
                let own = before;
                before += length * length;
                word(own)
            })
            .collect();
        let starts: Vec<u32> = packing.starts.iter().map(|&start| word(start)).collect();
        Self {
            starts: upload(like, &starts),
            squares: upload(like, &squares),
            sequences,
            longest: packing.longest().next_multiple_of(LENGTH_STEP),
            rows: packing.rows(),
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
    /// Whether the element is of a token; padding has no row.
    is_token: bool,
}

#[cube]
fn packed_place(place: u32, starts: &Array<u32>, heads: u32, size: u32, longest: u32) -> Packed {
    let token = (place / size) % longest;
    let head = (place / (size * longest)) % heads;
    let sequence = place / (size * longest * heads);
    let start = starts[sequence as usize];
    let length = starts[(sequence + 1u32) as usize] - start;
    Packed { row: start + token, column: head * size + place % size, is_token: token < length }
}

/// One unit has one element of the padded form.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn split_kernel(
    projected: &Array<f32>,
    bias: &Array<f32>,
    starts: &Array<u32>,
    queries: &mut Array<f32>,
    keys: &mut Array<f32>,
    values: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    scale: f32,
) {
    let index = ABSOLUTE_POS;
    if index < queries.len() {
        let place = packed_place(index as u32, starts, heads, size, longest);
        let mut query = f32::new(0.0);
        let mut key = f32::new(0.0);
        let mut value = f32::new(0.0);
        if place.is_token {
            let width = heads * size;
            let column = place.column;
            let first = place.row * (3u32 * width) + column;
            query = (projected[first as usize] + bias[column as usize]) * scale;
            key = projected[(first + width) as usize] + bias[(column + width) as usize];
            value = projected[(first + 2u32 * width) as usize] + bias[(column + 2u32 * width) as usize];
        }
        queries[index] = query;
        keys[index] = key;
        values[index] = value;
    }
}

/// Queries times `scale`, keys and values, `[sequences, heads, longest, size]` each, from `projected`,
/// `[rows, 3 · width]`, plus `bias`.
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
        layout.starts.clone().into_array_arg(),
        queries,
        keys,
        values,
        word(heads),
        word(size),
        word(layout.longest),
        scale,
    );
    parts
}

/// The gradient of [`split`] by `projected`. One unit has one element of the padded form.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn join_kernel(
    by_queries: &Array<f32>,
    by_keys: &Array<f32>,
    by_values: &Array<f32>,
    starts: &Array<u32>,
    joined: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
    scale: f32,
) {
    let index = ABSOLUTE_POS;
    if index < by_queries.len() {
        let place = packed_place(index as u32, starts, heads, size, longest);
        if place.is_token {
            let width = heads * size;
            let first = place.row * (3u32 * width) + place.column;
            joined[first as usize] = by_queries[index] * scale;
            joined[(first + width) as usize] = by_keys[index];
            joined[(first + 2u32 * width) as usize] = by_values[index];
        }
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
    let count = elements(parts[0].meta.num_elements());
    let [queries, keys, values] = parts.map(|part| flat(part).into_array_arg());
    join_kernel::launch(
        &joined.client,
        count,
        units(),
        queries,
        keys,
        values,
        layout.starts.clone().into_array_arg(),
        joined.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
        scale,
    );
    joined
}

/// One unit has one element of the padded form.
#[cube(launch)]
fn pad_kernel(
    packed: &Array<f32>,
    starts: &Array<u32>,
    padded: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
) {
    let index = ABSOLUTE_POS;
    if index < padded.len() {
        let place = packed_place(index as u32, starts, heads, size, longest);
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
        layout.starts.clone().into_array_arg(),
        padded.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
    );
    padded
}

/// One unit has one element of the padded form.
#[cube(launch)]
fn pack_kernel(
    padded: &Array<f32>,
    starts: &Array<u32>,
    packed: &mut Array<f32>,
    heads: u32,
    size: u32,
    longest: u32,
) {
    let index = ABSOLUTE_POS;
    if index < padded.len() {
        let place = packed_place(index as u32, starts, heads, size, longest);
        if place.is_token {
            packed[(place.row * heads * size + place.column) as usize] = padded[index];
        }
    }
}

/// `[sequences, heads, longest, size]` as `[rows, width]`, without padding.
pub(super) fn pack<R: CubeRuntime>(
    padded: CubeTensor<R>,
    layout: &Layout<R>,
    Sizes { heads, size }: Sizes,
) -> CubeTensor<R> {
    let packed = empty(&padded, [layout.rows, heads * size]);
    let padded = flat(padded);
    pack_kernel::launch(
        &packed.client,
        elements(padded.meta.num_elements()),
        units(),
        padded.into_array_arg(),
        layout.starts.clone().into_array_arg(),
        packed.clone().into_array_arg(),
        word(heads),
        word(size),
        word(layout.longest),
    );
    packed
}
