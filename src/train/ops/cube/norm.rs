//! `LayerNorm` after a sum, with dropout before and behind, and its gradient: one kernel each.
//!
//! The gradients of bias, gamma and beta are sums over rows. A cube adds up a block of rows, and
//! [`column_sums`] adds up the blocks, in order: the result is the same in each run.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, empty, flat, matrix, units, word},
    masks::{MaskNumbers, argument, factor},
    reduction::cube_sum,
    rows::{BLOCK, column_sums},
};
use crate::train::masks::Dropout;

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
    #[comptime] width: u32,
    #[comptime] masked: [bool; 2],
    #[comptime] units: u32,
) {
    let row = CUBE_POS as u32;
    if row < inverse.len() as u32 {
        let columns = comptime!(width.div_ceil(units));
        let mut values = Array::<f32>::new(comptime!(columns as usize));
        let mut sum = f32::new(0.0);
        for part in 0..columns {
            let column = part * units + UNIT_POS;
            if column < width {
                let number = row * width + column;
                let mut value = input[number as usize] + bias[column as usize];
                if comptime!(masked[0]) {
                    value *= factor(before, number);
                }
                value += residual[number as usize];
                values[part as usize] = value;
                sum += value;
            }
        }
        let mean = cube_sum(sum, units) / f32::cast_from(width);
        let mut squares = f32::new(0.0);
        for part in 0..columns {
            if part * units + UNIT_POS < width {
                let centred = values[part as usize] - mean;
                values[part as usize] = centred;
                squares += centred * centred;
            }
        }
        let variance = cube_sum(squares, units) / f32::cast_from(width);
        let scale = 1.0f32 / f32::sqrt(variance + epsilon);
        for part in 0..columns {
            let column = part * units + UNIT_POS;
            if column < width {
                let number = row * width + column;
                let value = values[part as usize] * scale;
                normal[number as usize] = value;
                let mut result = value * gamma[column as usize] + beta[column as usize];
                if comptime!(masked[1]) {
                    result *= factor(after, number);
                }
                output[number as usize] = result;
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
    pub(super) drops: [Dropout; 2],
}

/// The result, `[rows, width]`, and what its gradient needs: the normalised rows, `[rows, width]`, and 1 / the standard
/// deviation of each row, `[rows]`.
pub(super) fn norm<R: CubeRuntime>(norm: NormInput<R>) -> [CubeTensor<R>; 3] {
    let NormInput { input, bias, residual, gamma, beta, epsilon, drops } = norm;
    let [rows, width] = matrix(&input);
    let (output, normal) = (empty(&input, [rows, width]), empty(&input, [rows, width]));
    let inverse = empty(&input, [rows]);
    let client = input.client.clone();
    let [before, after] = drops.map(argument);
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
        word(width),
        drops.map(|drop| !drop.is_off()),
        UNITS,
    );
    [output, normal, inverse]
}

/// A cube has a block of rows, one after another. `sums` gets the cube's sums of the gradients by bias, gamma and beta.
// For one row, with n the normalised row and D the gradient by the result:
//   by β: D · after     by γ: D · after · n     g = D · after · γ
//   by the residual: (g − mean(g) − n · mean(g · n)) / σ     by input and bias: that times `before`
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn norm_backward_kernel(
    gamma: &Array<f32>,
    normal: &Array<f32>,
    inverse: &Array<f32>,
    gradient: &Array<f32>,
    by_input: &mut Array<f32>,
    by_residual: &mut Array<f32>,
    sums: &mut Array<f32>,
    before: &MaskNumbers,
    after: &MaskNumbers,
    #[comptime] width: u32,
    #[comptime] masked: [bool; 2],
    #[comptime] units: u32,
    #[comptime] block: u32,
) {
    let rows = inverse.len() as u32;
    let first = CUBE_POS as u32 * block;
    if first < rows {
        let columns = comptime!(width.div_ceil(units));
        let mut scaled = Array::<f32>::new(comptime!(columns as usize));
        let mut bias_sums = Array::<f32>::new(comptime!(columns as usize));
        let mut gamma_sums = Array::<f32>::new(comptime!(columns as usize));
        let mut beta_sums = Array::<f32>::new(comptime!(columns as usize));
        for part in 0..columns {
            bias_sums[part as usize] = 0.0f32;
            gamma_sums[part as usize] = 0.0f32;
            beta_sums[part as usize] = 0.0f32;
        }
        for offset in 0..block {
            let row = first + offset;
            // Rows that are not there have gradients of 0; all units must reach the sums.
            let mut sum = f32::new(0.0);
            let mut along = f32::new(0.0);
            for part in 0..columns {
                let column = part * units + UNIT_POS;
                if column < width && row < rows {
                    let number = row * width + column;
                    let mut value = gradient[number as usize];
                    if comptime!(masked[1]) {
                        value *= factor(after, number);
                    }
                    let n = normal[number as usize];
                    gamma_sums[part as usize] += value * n;
                    beta_sums[part as usize] += value;
                    let value = value * gamma[column as usize];
                    scaled[part as usize] = value;
                    sum += value;
                    along += value * n;
                }
            }
            let mean = cube_sum(sum, units) / f32::cast_from(width);
            sync_cube();
            let slope = cube_sum(along, units) / f32::cast_from(width);
            sync_cube();
            for part in 0..columns {
                let column = part * units + UNIT_POS;
                if column < width && row < rows {
                    let number = row * width + column;
                    let centred = scaled[part as usize] - mean - normal[number as usize] * slope;
                    let value = inverse[row as usize] * centred;
                    by_residual[number as usize] = value;
                    let mut masked_value = value;
                    if comptime!(masked[0]) {
                        masked_value = value * factor(before, number);
                    }
                    by_input[number as usize] = masked_value;
                    bias_sums[part as usize] += masked_value;
                }
            }
        }
        for part in 0..columns {
            let column = part * units + UNIT_POS;
            if column < width {
                let place = CUBE_POS as u32 * (3u32 * width) + column;
                sums[place as usize] = bias_sums[part as usize];
                sums[(place + width) as usize] = gamma_sums[part as usize];
                sums[(place + 2u32 * width) as usize] = beta_sums[part as usize];
            }
        }
    }
}

/// What the gradient of a norm is computed from.
pub(super) struct NormState<R: CubeRuntime> {
    /// Gamma, `[width]`, the normalised rows, and 1 / the standard deviation of each row.
    pub(super) tensors: [CubeTensor<R>; 3],
    pub(super) drops: [Dropout; 2],
}

/// The gradients by input and residual, `[rows, width]`, and the sums by bias, gamma and beta side by side,
/// `[3 · width]`.
pub(super) fn norm_backward<R: CubeRuntime>(
    state: NormState<R>,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 3] {
    let NormState { tensors: [gamma, normal, inverse], drops } = state;
    let [rows, width] = matrix(&normal);
    let (by_input, by_residual) = (empty(&normal, [rows, width]), empty(&normal, [rows, width]));
    let blocks = rows.div_ceil(BLOCK);
    let sums = empty(&normal, [blocks, 3 * width]);
    let client = normal.client.clone();
    let [before, after] = drops.map(argument);
    norm_backward_kernel::launch(
        &client,
        cubes(blocks),
        units(),
        gamma.into_array_arg(),
        normal.into_array_arg(),
        inverse.into_array_arg(),
        flat(gradient).into_array_arg(),
        by_input.clone().into_array_arg(),
        by_residual.clone().into_array_arg(),
        sums.clone().into_array_arg(),
        before,
        after,
        word(width),
        drops.map(|drop| !drop.is_off()),
        UNITS,
        word(BLOCK),
    );
    [by_input, by_residual, column_sums(sums)]
}
