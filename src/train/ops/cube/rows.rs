//! GELU, dropout and sums of columns, each in one kernel.
//!
//! Gradients of vectors are sums over rows. A cube adds up some rows, unit by unit its own
//! columns, and a second kernel adds up what the cubes have found, in order: the result is the
//! same in each run. Rows and vectors of several trials stand one after another (see [`crate::train::ops::fused`]).

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, elements, empty, flat, matrix, units, word},
    masks::{MaskNumbers, argument, factor, trial_mask},
};
use crate::train::masks::Drops;

/// The rows that one cube adds up.
pub(super) const BLOCK: usize = 16;

/// Φ(x), the cumulative normal distribution.
#[cube]
fn normal(x: f32) -> f32 {
    0.5f32 * (1.0f32 + Erf::erf(x * f32::new(comptime!(std::f32::consts::FRAC_1_SQRT_2))))
}

#[cube(launch)]
fn gelu_kernel(input: &Array<f32>, bias: &Array<f32>, output: &mut Array<f32>, width: u32, own_rows: u32) {
    let index = ABSOLUTE_POS;
    if index < output.len() {
        let (trial, column) = (index as u32 / (width * own_rows), index as u32 % width);
        let x = input[index] + bias[(trial * width + column) as usize];
        output[index] = x * normal(x);
    }
}

/// GELU(input + bias); `[rows, width]`, `[trials · width]`.
pub(super) fn gelu<R: CubeRuntime>(input: CubeTensor<R>, bias: CubeTensor<R>) -> CubeTensor<R> {
    let [rows, width] = matrix(&input);
    let own_rows = rows / (bias.meta.num_elements() / width);
    let output = empty(&input, input.meta.shape().clone());
    let count = elements(output.meta.num_elements());
    let args = [input, bias, output.clone()].map(CubeTensor::into_array_arg);
    let [input, bias, result] = args;
    let (client, own_rows) = (&output.client, word(own_rows));
    gelu_kernel::launch(client, count, units(), input, bias, result, word(width), own_rows);
    output
}

/// A unit has one column of a block of a trial's rows.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn gelu_backward_kernel(
    input: &Array<f32>,
    bias: &Array<f32>,
    gradient: &Array<f32>,
    by_input: &mut Array<f32>,
    sums: &mut Array<f32>,
    width: u32,
    own_rows: u32,
    #[comptime] block: u32,
) {
    let column = CUBE_POS_X * CUBE_DIM + UNIT_POS;
    if column < width {
        let own_blocks = own_rows.div_ceil(block);
        let trial = CUBE_POS_Y / own_blocks;
        let offset = bias[(trial * width + column) as usize];
        let first = trial * own_rows + CUBE_POS_Y % own_blocks * block;
        let mut row = first;
        let mut end = first + block;
        if end > (trial + 1u32) * own_rows {
            end = (trial + 1u32) * own_rows;
        }
        let mut sum = f32::new(0.0);
        while row < end {
            let index = (row * width + column) as usize;
            let x = input[index] + offset;
            let density = f32::exp(-0.5f32 * x * x) * 0.398_942_3f32;
            let found = gradient[index] * (normal(x) + x * density);
            by_input[index] = found;
            sum += found;
            row += 1u32;
        }
        sums[(CUBE_POS_Y * width + column) as usize] = sum;
    }
}

/// The gradients of [`gelu`] by input and bias.
pub(super) fn gelu_backward<R: CubeRuntime>(
    input: CubeTensor<R>,
    bias: CubeTensor<R>,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 2] {
    let [rows, width] = matrix(&input);
    let trials = bias.meta.num_elements() / width;
    let by_input = empty(&input, [rows, width]);
    let blocks = trials * (rows / trials).div_ceil(BLOCK);
    let sums = empty(&input, [blocks, width]);
    let count = CubeCount::Static(word(width).div_ceil(UNITS), word(blocks), 1);
    let client = input.client.clone();
    gelu_backward_kernel::launch(
        &client,
        count,
        units(),
        input.into_array_arg(),
        bias.into_array_arg(),
        flat(gradient).into_array_arg(),
        by_input.clone().into_array_arg(),
        sums.clone().into_array_arg(),
        word(width),
        word(rows / trials),
        word(BLOCK),
    );
    [by_input, column_sums(sums, trials)]
}

/// A unit has one column of a block of a group's rows.
#[cube(launch)]
fn column_sums_kernel(input: &Array<f32>, output: &mut Array<f32>, width: u32, own_rows: u32, block: u32) {
    let column = CUBE_POS_X * CUBE_DIM + UNIT_POS;
    if column < width {
        let own_blocks = own_rows.div_ceil(block);
        let group = CUBE_POS_Y / own_blocks;
        let mut row = group * own_rows + CUBE_POS_Y % own_blocks * block;
        let mut end = row + block;
        if end > (group + 1u32) * own_rows {
            end = (group + 1u32) * own_rows;
        }
        let mut sum = f32::new(0.0);
        while row < end {
            sum += input[(row * width + column) as usize];
            row += 1u32;
        }
        output[(CUBE_POS_Y * width + column) as usize] = sum;
    }
}

/// The sums of the columns of each of `groups` matrices that stand one after another, `[groups · width]`.
pub(super) fn column_sums<R: CubeRuntime>(input: CubeTensor<R>, groups: usize) -> CubeTensor<R> {
    let [rows, width] = matrix(&input);
    let own_rows = rows / groups;
    // Many rows in two steps, so that there is work for many cubes.
    let block = if own_rows > 512 { 32 } else { own_rows.max(1) };
    let blocks = own_rows.div_ceil(block).max(1);
    let sums =
        if blocks == 1 { empty(&input, [groups * width]) } else { empty(&input, [groups * blocks, width]) };
    let count = CubeCount::Static(word(width).div_ceil(UNITS), word(groups * blocks), 1);
    let client = input.client.clone();
    column_sums_kernel::launch(
        &client,
        count,
        units(),
        flat(input).into_array_arg(),
        sums.clone().into_array_arg(),
        word(width),
        word(own_rows),
        word(block),
    );
    if blocks == 1 { sums } else { column_sums(sums, groups) }
}

#[cube(launch)]
fn dropout_kernel(input: &Array<f32>, output: &mut Array<f32>, mask: &MaskNumbers, own: u32) {
    let index = ABSOLUTE_POS;
    if index < output.len() {
        let trial = index as u32 / own;
        let mask = trial_mask(mask, trial, true);
        output[index] = input[index] * factor(&mask, index as u32 - trial * own);
    }
}

/// Multiplies the elements, numbered row-major within each trial, by the factors of the masks.
pub(super) fn dropout<R: CubeRuntime>(input: CubeTensor<R>, drops: &Drops) -> CubeTensor<R> {
    let output = empty(&input, input.meta.shape().clone());
    let count = elements(output.meta.num_elements());
    let own = word(output.meta.num_elements() / drops.trials());
    let mask = argument(drops, &output);
    let input = flat(input).into_array_arg();
    dropout_kernel::launch(&output.client, count, units(), input, output.clone().into_array_arg(), mask, own);
    output
}
