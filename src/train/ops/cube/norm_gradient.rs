//! The gradient of [`super::norm`], in one kernel and the sums of its columns.
//!
//! The gradients of bias, gamma and beta are sums over rows. A cube adds up a block of rows of one trial, and
//! [`column_sums`] adds up the blocks, in order: the result is the same in each run.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, empty, flat, matrix, units, word},
    masks::{MaskNumbers, TrialMask, argument, factor, trial_mask},
    reduction::cube_sum,
    rows::{BLOCK, column_sums},
};
use crate::train::masks::Drops;

/// A unit's sums over the rows of a block, by part: of the gradients by bias, gamma and beta.
#[derive(CubeType)]
struct BlockSums {
    bias: Array<f32>,
    gamma: Array<f32>,
    beta: Array<f32>,
}

#[cube]
impl BlockSums {
    fn zero(#[comptime] parts: u32) -> BlockSums {
        let mut bias = Array::<f32>::new(comptime!(parts as usize));
        let mut gamma = Array::<f32>::new(comptime!(parts as usize));
        let mut beta = Array::<f32>::new(comptime!(parts as usize));
        for part in 0..parts {
            bias[part as usize] = 0.0f32;
            gamma[part as usize] = 0.0f32;
            beta[part as usize] = 0.0f32;
        }
        BlockSums { bias, gamma, beta }
    }

    /// Writes the sums of a cube's units: those by bias of all `cubes` cubes, by gamma, by beta.
    fn write(&self, sums: &mut Array<f32>, cubes: u32, #[comptime] width: u32, #[comptime] units: u32) {
        for part in 0..comptime!(width.div_ceil(units)) {
            let column = part * units + UNIT_POS;
            if column < width {
                let place = CUBE_POS as u32 * width + column;
                sums[place as usize] = self.bias[part as usize];
                sums[(place + cubes * width) as usize] = self.gamma[part as usize];
                sums[(place + 2u32 * cubes * width) as usize] = self.beta[part as usize];
            }
        }
    }
}

/// mean(g) and mean(g · n) of a row.
#[derive(CubeType)]
struct RowMeans {
    mean: f32,
    slope: f32,
}

/// Writes a unit's columns of g = D · after · γ of a row into `scaled`, adds to the sums by gamma and beta, and returns
/// the means over the row.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn scale_row(
    gamma: &Array<f32>,
    normal: &Array<f32>,
    gradient: &Array<f32>,
    after: &TrialMask,
    scaled: &mut Array<f32>,
    sums: &mut BlockSums,
    row: u32,
    end: u32,
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] is_masked: bool,
    #[comptime] units: u32,
) -> RowMeans {
    let mut sum = f32::new(0.0);
    let mut along = f32::new(0.0);
    for part in 0..comptime!(width.div_ceil(units)) {
        let column = part * units + UNIT_POS;
        if column < width && row < end {
            let trial = row / own_rows;
            let number = row * width + column;
            let mut value = gradient[number as usize];
            if comptime!(is_masked) {
                value *= factor(after, (row - trial * own_rows) * width + column);
            }
            let n = normal[number as usize];
            sums.gamma[part as usize] += value * n;
            sums.beta[part as usize] += value;
            let value = value * gamma[(trial * width + column) as usize];
            scaled[part as usize] = value;
            sum += value;
            along += value * n;
        }
    }
    let mean = cube_sum(sum, units) / f32::cast_from(width);
    sync_cube();
    let slope = cube_sum(along, units) / f32::cast_from(width);
    sync_cube();
    RowMeans { mean, slope }
}

/// Writes a unit's columns of the gradients of a row by residual and input, and adds to the sums by bias.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn write_row(
    normal: &Array<f32>,
    inverse: &Array<f32>,
    scaled: &Array<f32>,
    before: &TrialMask,
    by_input: &mut Array<f32>,
    by_residual: &mut Array<f32>,
    sums: &mut BlockSums,
    means: &RowMeans,
    row: u32,
    end: u32,
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] is_masked: bool,
    #[comptime] units: u32,
) {
    for part in 0..comptime!(width.div_ceil(units)) {
        let column = part * units + UNIT_POS;
        if column < width && row < end {
            let number = row * width + column;
            let mut value = scaled[part as usize] - means.mean - normal[number as usize] * means.slope;
            value *= inverse[row as usize];
            by_residual[number as usize] = value;
            if comptime!(is_masked) {
                value *= factor(before, (row % own_rows) * width + column);
            }
            by_input[number as usize] = value;
            sums.bias[part as usize] += value;
        }
    }
}

/// Writes the gradients of a row by residual and input, and adds to the sums.
#[cube]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn add_row(
    gamma: &Array<f32>,
    normal: &Array<f32>,
    inverse: &Array<f32>,
    gradient: &Array<f32>,
    by_input: &mut Array<f32>,
    by_residual: &mut Array<f32>,
    before: &TrialMask,
    after: &TrialMask,
    scaled: &mut Array<f32>,
    sums: &mut BlockSums,
    row: u32,
    end: u32,
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] masked: [bool; 2],
    #[comptime] units: u32,
) {
    // Rows that are not there have gradients of 0; all units must reach the sums.
    let is_masked = comptime!(masked[1]);
    let means =
        scale_row(gamma, normal, gradient, after, scaled, sums, row, end, own_rows, width, is_masked, units);
    let is_masked = comptime!(masked[0]);
    write_row(
        normal,
        inverse,
        scaled,
        before,
        by_input,
        by_residual,
        sums,
        &means,
        row,
        end,
        own_rows,
        width,
        is_masked,
        units,
    );
}

/// A cube has a block of a trial's rows, one after another. `sums` gets the cube's sums of the gradients by bias, gamma and beta.
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
    own_rows: u32,
    #[comptime] width: u32,
    #[comptime] masked: [bool; 2],
    #[comptime] units: u32,
    #[comptime] block: u32,
) {
    let own_blocks = own_rows.div_ceil(block);
    let cubes = inverse.len() as u32 / own_rows * own_blocks;
    let cube = CUBE_POS as u32;
    if cube < cubes {
        let trial = cube / own_blocks;
        let before = trial_mask(before, trial, comptime!(masked[0]));
        let after = trial_mask(after, trial, comptime!(masked[1]));
        let first = trial * own_rows + (cube % own_blocks) * block;
        let end = (trial + 1u32) * own_rows;
        let mut scaled = Array::<f32>::new(comptime!(width.div_ceil(units) as usize));
        let mut own = BlockSums::zero(comptime!(width.div_ceil(units)));
        for offset in 0..block {
            add_row(
                gamma,
                normal,
                inverse,
                gradient,
                by_input,
                by_residual,
                &before,
                &after,
                &mut scaled,
                &mut own,
                first + offset,
                end,
                own_rows,
                width,
                masked,
                units,
            );
        }
        own.write(sums, cubes, width, units);
    }
}

/// What the gradient of a norm is computed from.
pub(super) struct NormState<R: CubeRuntime> {
    /// Gamma, `[trials · width]`, the normalised rows, and 1 / the standard deviation of each row.
    pub(super) tensors: [CubeTensor<R>; 3],
    pub(super) drops: [Drops; 2],
}

/// The gradients by input and residual, `[rows, width]`, and the sums by bias, gamma and beta one after another,
/// `[3 · trials · width]`.
pub(super) fn norm_backward<R: CubeRuntime>(
    state: NormState<R>,
    gradient: CubeTensor<R>,
) -> [CubeTensor<R>; 3] {
    let NormState { tensors: [gamma, normal, inverse], drops } = state;
    let [rows, width] = matrix(&normal);
    let trials = gamma.meta.num_elements() / width;
    let (by_input, by_residual) = (empty(&normal, [rows, width]), empty(&normal, [rows, width]));
    let blocks = trials * (rows / trials).div_ceil(BLOCK);
    let sums = empty(&normal, [3 * blocks, width]);
    let client = normal.client.clone();
    let [before, after] = drops.each_ref().map(|drops| argument(drops, &normal));
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
        word(rows / trials),
        word(width),
        drops.map(|drops| !drops.is_off()),
        UNITS,
        word(BLOCK),
    );
    [by_input, by_residual, column_sums(sums, 3 * trials)]
}
