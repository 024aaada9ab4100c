//! `LayerNorm` after a sum, with dropout before and behind, in one kernel.
//!
//! Vectors have the numbers of one trial after the other, and rows too (see [`crate::train::ops::fused`]); elements of
//! masks are numbered within a trial.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, empty, flat, matrix, units, word},
    masks::{MaskNumbers, TrialMask, argument, factor, trial_mask},
    reduction::cube_sum,
};
use crate::train::masks::Drops;

/// Reads a unit's columns of `before(input + bias) + residual` of a row into `values`, and returns their sum.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn read_row(
    input: &Array<f32>,
    bias: &Array<f32>,
    residual: &Array<f32>,
    before: &TrialMask,
    values: &mut Array<f32>,
    row: u32,
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] is_masked: bool,
    #[comptime] units: u32,
) -> f32 {
    let mut sum = f32::new(0.0);
    let trial = row / own_rows;
    for part in 0..comptime!(width.div_ceil(units)) {
        let column = part * units + UNIT_POS;
        if column < width {
            let number = row * width + column;
            let mut value = input[number as usize] + bias[(trial * width + column) as usize];
            if comptime!(is_masked) {
                value *= factor(before, (row - trial * own_rows) * width + column);
            }
            value += residual[number as usize];
            values[part as usize] = value;
            sum += value;
        }
    }
    sum
}

/// Takes `mean` from a unit's columns of a row, and returns the sum of their squares.
#[cube]
fn centre(values: &mut Array<f32>, mean: f32, #[comptime] width: u32, #[comptime] units: u32) -> f32 {
    let mut squares = f32::new(0.0);
    for part in 0..comptime!(width.div_ceil(units)) {
        if part * units + UNIT_POS < width {
            let centred = values[part as usize] - mean;
            values[part as usize] = centred;
            squares += centred * centred;
        }
    }
    squares
}

/// A cube has one row. A unit has the columns `unit`, `unit + units`, …
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn norm_kernel(
    input: &Array<f32>,
    bias: &Array<f32>,
    residual: &Array<f32>,
    gamma: &Array<f32>,
    beta: &Array<f32>,
    output: &mut Array<f32>,
    normal: &mut Array<f32>,
    inverse: &mut Array<f32>,
    before: &MaskNumbers,
    after: &MaskNumbers,
    epsilon: f32,
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] masked: [bool; 2],
    #[comptime] units: u32,
) {
    let row = CUBE_POS as u32;
    if row < inverse.len() as u32 {
        let trial = row / own_rows;
        let before = trial_mask(before, trial, comptime!(masked[0]));
        let mut values = Array::<f32>::new(comptime!(width.div_ceil(units) as usize));
        let sum = read_row(
            input,
            bias,
            residual,
            &before,
            &mut values,
            row,
            own_rows,
            width,
            comptime!(masked[0]),
            units,
        );
        let mean = cube_sum(sum, units) / f32::cast_from(width);
        let squares = centre(&mut values, mean, width, units);
        let scale = 1.0f32 / f32::sqrt(cube_sum(squares, units) / f32::cast_from(width) + epsilon);
        let after = trial_mask(after, trial, comptime!(masked[1]));
        for part in 0..comptime!(width.div_ceil(units)) {
            let column = part * units + UNIT_POS;
            if column < width {
                let number = row * width + column;
                let value = values[part as usize] * scale;
                normal[number as usize] = value;
                let parameter = (trial * width + column) as usize;
                output[number as usize] = value * gamma[parameter] + beta[parameter];
                if comptime!(masked[1]) {
                    output[number as usize] *= factor(&after, (row - trial * own_rows) * width + column);
                }
            }
        }
        if UNIT_POS == 0 {
            inverse[row as usize] = scale;
        }
    }
}

/// The tensors and numbers of a norm; see [`crate::train::ops::inputs::Norm`].
pub(super) struct NormInput<R: CubeRuntime> {
    pub(super) input: CubeTensor<R>,
    pub(super) bias: CubeTensor<R>,
    pub(super) residual: CubeTensor<R>,
    pub(super) gamma: CubeTensor<R>,
    pub(super) beta: CubeTensor<R>,
    pub(super) epsilon: f32,
    pub(super) drops: [Drops; 2],
}

/// The result, `[rows, width]`, and what its gradient needs: the normalised rows, `[rows, width]`, and 1 / the standard
/// deviation of each row, `[rows]`.
pub(super) fn norm<R: CubeRuntime>(norm: NormInput<R>) -> [CubeTensor<R>; 3] {
    let NormInput { input, bias, residual, gamma, beta, epsilon, drops } = norm;
    let [rows, width] = matrix(&input);
    let (output, normal) = (empty(&input, [rows, width]), empty(&input, [rows, width]));
    let inverse = empty(&input, [rows]);
    let client = input.client.clone();
    let [before, after] = drops.each_ref().map(|drops| argument(drops, &output));
    let trials = gamma.meta.num_elements() / width;
    norm_kernel::launch(
        &client,
        cubes(rows),
        units(),
        input.into_array_arg(),
        bias.into_array_arg(),
        flat(residual).into_array_arg(),
        gamma.into_array_arg(),
        beta.into_array_arg(),
        output.clone().into_array_arg(),
        normal.clone().into_array_arg(),
        inverse.clone().into_array_arg(),
        before,
        after,
        epsilon,
        word(rows / trials),
        word(width),
        drops.map(|drops| !drops.is_off()),
        UNITS,
    );
    [output, normal, inverse]
}
