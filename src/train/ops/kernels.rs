//! Row-wise loops: bias + GELU, and bias + dropout + residual + LayerNorm, with their gradients.
//!
//! Rows are taken in blocks of a fixed number of rows. Each block sums over its rows by itself,
//! and the blocks' sums are added in order. So the number of threads does not change a sum.

use rayon::prelude::*;

use crate::train::{masks::Dropout, numbers::small_count};

/// Rows of a block.
const BLOCK: usize = 64;

/// The exponential of `x`, which is from −87 to 88. The relative error is under 3e-7.
// Cephes `expf` (Moshier, netlib.org/cephes, single/expf.c): with n the whole number nearest to x · log₂ e and
// r = x − n ln 2, |r| ≤ ln 2 / 2, exp(x) = 2ⁿ · exp(r). ln 2 is subtracted as 0.693359375 − 2.12194440e-4, whose first
// part has so few bits that n times it is exact. exp(r) is 1 + r + r² times a polynomial of degree 5, and 2ⁿ is made
// by its bits. The library's `exp` is a call, which the compiler cannot turn into vectors.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Floats of the size of 1.5 · 2^23 are whole numbers: adding it rounds to the nearest one, which then stands in the
    // low bits of the sum; subtracting it again gives that number as a float.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series * rest + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (series * rest * rest + rest + 1.0) * power
}

/// The cumulative normal distribution Φ(x), and exp(−x²/2). The absolute error of Φ is under 2e-7.
// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: for z ≥ 0 and t = 1 / (1 + 0.3275911 z),
// erfc(z) ≈ (a₁ t + a₂ t² + … + a₅ t⁵) exp(−z²). Φ(x) = 1 − erfc(x / √2) / 2 for x ≥ 0, and Φ(x) = 1 − Φ(−x).
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let e = exp((-z * z).max(-87.0));
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = series * t + coefficient;
    }
    let tail = 0.5 * series * t * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, e)
}

/// GELU(input + bias), with GELU(x) = x Φ(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415). `input`: `[rows, width]`.
pub(super) fn gelu(input: &[f32], bias: &[f32]) -> Vec<f32> {
    let mut output = input.to_vec();
    gelu_in_place(&mut output, bias);
    output
}

/// As [`gelu`], over the input.
pub(super) fn gelu_in_place(values: &mut [f32], bias: &[f32]) {
    values.par_chunks_mut(BLOCK * bias.len()).for_each(|values| gelu_rows(values, bias));
}

vectorised! {
    fn gelu_rows<'a>(values: &'a mut [f32], bias: &'a [f32]) {
        for row in values.chunks_exact_mut(bias.len()) {
            for (value, &bias) in row.iter_mut().zip(bias) {
                let x = *value + bias;
                *value = x * normal(x).0;
            }
        }
    }
}

/// Returns the gradients of [`gelu`] by input and bias. The first overwrites `gradient`, the one by the result.
// With φ the normal density: d/dx x Φ(x) = Φ(x) + x φ(x), and φ(x) = exp(−x²/2) / √(2π), where 1 / √(2π) = 0.3989423.
// The bias is added to every row, so its gradient is the sum of the input's gradient over rows.
pub(super) fn gelu_backward(input: &[f32], bias: &[f32], mut gradient: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
    let width = bias.len();
    let blocks: Vec<Vec<f32>> = gradient
        .par_chunks_mut(BLOCK * width)
        .zip(input.par_chunks(BLOCK * width))
        .map(|(gradient, input)| {
            let mut sums = vec![0.0; width];
            gelu_rows_backward(gradient, input, bias, &mut sums);
            sums
        })
        .collect();
    (gradient, add_up(blocks, width))
}

vectorised! {
    fn gelu_rows_backward<'a>(
        gradient: &'a mut [f32],
        input: &'a [f32],
        bias: &'a [f32],
        sums: &'a mut [f32],
    ) {
        let width = bias.len();
        // Slices of one known length need no check at each element.
        let sums = &mut sums[..width];
        for (gradient, input) in gradient.chunks_exact_mut(width).zip(input.chunks_exact(width)) {
            for index in 0..width {
                let x = input[index] + bias[index];
                let (share, e) = normal(x);
                gradient[index] *= share + x * e * 0.398_942_3;
                sums[index] += gradient[index];
            }
        }
    }
}

/// Adds the blocks' sums of columns, block by block in order.
fn add_up(blocks: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    for block in blocks {
        total.iter_mut().zip(block).for_each(|(total, value)| *total += value);
    }
    total
}

/// The slices and numbers of a norm apart from its input; see [`super::inputs::Norm`].
#[derive(Clone, Copy)]
pub(super) struct NormInput<'a> {
    pub(super) bias: &'a [f32],
    pub(super) residual: &'a [f32],
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) epsilon: f32,
    pub(super) before: Dropout,
    pub(super) after: Dropout,
}

/// The result of a norm, and what its gradient needs.
pub(super) struct NormOutput {
    /// `[rows, width]`
    pub(super) output: Vec<f32>,
    /// The normalised rows, before gamma and beta, `[rows, width]`.
    pub(super) normal: Vec<f32>,
    /// 1 / standard deviation of each row.
    pub(super) inverse: Vec<f32>,
}

/// See [`super::fused::Fused::residual_norm`]. The normalised rows overwrite the input.
pub(super) fn norm(norm: NormInput<'_>, mut input: Vec<f32>) -> NormOutput {
    let width = norm.gamma.len();
    let mut output = vec![0.0; input.len()];
    let mut inverse = vec![0.0; input.len() / width];
    input
        .par_chunks_mut(BLOCK * width)
        .zip(output.par_chunks_mut(BLOCK * width))
        .zip(inverse.par_chunks_mut(BLOCK))
        .enumerate()
        .for_each(|(block, ((normal, output), inverse))| {
            let rows = NormRows { first: block * BLOCK, normal, output, inverse };
            norm_rows(norm, rows, &mut vec![1.0; width]);
        });
    NormOutput { output, normal: input, inverse }
}

/// A block of rows, with the fields of [`NormOutput`]. `normal` holds the input at first.
struct NormRows<'a> {
    /// The index of the first row.
    first: usize,
    normal: &'a mut [f32],
    output: &'a mut [f32],
    inverse: &'a mut [f32],
}

vectorised! {
    /// Norms a block of rows. `mask` is room for one row of dropout factors.
    fn norm_rows<'a>(norm: NormInput<'a>, rows: NormRows<'a>, mask: &'a mut [f32]) {
        let NormRows { first, normal, output, inverse } = rows;
        let width = mask.len();
        let rows = normal.chunks_exact_mut(width).zip(output.chunks_exact_mut(width));
        for (offset, ((normal, output), inverse)) in rows.zip(inverse).enumerate() {
            let row = first + offset;
            *inverse = normalise(norm, row, normal, mask);
            norm.after.fill(mask, row * width);
            let scale = norm.gamma.iter().zip(norm.beta).zip(&*mask);
            for ((output, normal), ((&gamma, &beta), &mask)) in output.iter_mut().zip(normal).zip(scale) {
                *output = (*normal * gamma + beta) * mask;
            }
        }
    }
}

/// As [`norm`], over the input, where no gradient is wanted.
pub(super) fn norm_in_place(norm: NormInput<'_>, values: &mut [f32]) {
    let width = norm.gamma.len();
    values.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, values)| {
        norm_rows_in_place(norm, block * BLOCK, values, &mut vec![1.0; width]);
    });
}

vectorised! {
    /// Norms a block of rows in place; `first` is the index of its first row.
    fn norm_rows_in_place<'a>(
        norm: NormInput<'a>,
        first: usize,
        values: &'a mut [f32],
        mask: &'a mut [f32],
    ) {
        let width = mask.len();
        for (offset, values) in values.chunks_exact_mut(width).enumerate() {
            let row = first + offset;
            normalise(norm, row, values, mask);
            norm.after.fill(mask, row * width);
            let scale = norm.gamma.iter().zip(norm.beta).zip(&*mask);
            for (value, ((&gamma, &beta), &mask)) in values.iter_mut().zip(scale) {
                *value = (*value * gamma + beta) * mask;
            }
        }
    }
}

/// Normalises a row of the input in place, and returns 1 / its standard deviation.
// In two passes, the mean first and then the squares of the differences from it: the difference of the mean of squares
// and the square of the mean would lose its digits where the mean is large.
#[inline(always)]
fn normalise(norm: NormInput<'_>, row: usize, values: &mut [f32], mask: &mut [f32]) -> f32 {
    let width = values.len();
    norm.before.fill(mask, row * width);
    let inputs = norm.bias.iter().zip(&norm.residual[row * width..(row + 1) * width]).zip(&*mask);
    for (value, ((&bias, &residual), &mask)) in values.iter_mut().zip(inputs) {
        *value = (*value + bias) * mask + residual;
    }
    let mean = sum(values) / small_count(width);
    for value in &mut *values {
        *value -= mean;
    }
    let variance = dot(values, values) / small_count(width);
    let inverse = 1.0 / (variance + norm.epsilon).sqrt();
    for value in values {
        *value *= inverse;
    }
    inverse
}

/// The sum of `values`.
// In 16 lanes, which fit one vector of AVX-512 or two of AVX2. In one lane the compiler may not use vectors, since that
// would change the order of the additions. With a fixed number of lanes the order is the same on every processor.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0_f32; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The largest of `values`, in 16 lanes as [`sum`]; −∞ of no values.
#[inline(always)]
pub(super) fn highest(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *value);
        }
    }
    rest.iter().chain(&lanes).copied().fold(f32::NEG_INFINITY, larger)
}

/// The sum of the products of `a` and `b`, in 16 lanes as [`sum`].
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [0.0_f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The gradients of [`norm`] by its inputs.
pub(super) struct NormGradient {
    pub(super) input: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) residual: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

/// What the gradient of a norm is computed from; see [`NormOutput`].
#[derive(Clone, Copy)]
pub(super) struct NormState<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) normal: &'a [f32],
    pub(super) inverse: &'a [f32],
    pub(super) before: Dropout,
    pub(super) after: Dropout,
}

/// Returns the gradients of [`norm`]. `residual` is the gradient by the result, `[rows, width]`, at first; the gradient
/// by the residual overwrites it.
// For one row with x = before(input + bias) + residual, n = (x − mean) / σ the normalised row and y = after(n γ + β),
// where `before` and `after` multiply by mask factors, and D the gradient by y:
//   by β: D · after       by γ: D · after · n        by n: g = D · after · γ
//   by x: (g − mean(g) − n · mean(g · n)) / σ        which is also the gradient by the residual
//   by the input: that times `before`                by the bias: the same
// The gradients by bias, γ and β are sums over rows. The second term of the gradient by x comes from the mean, the third
// from σ (Ba, Kiros and Hinton 2016, arXiv 1607.06450; the same rule as in `torch.nn.LayerNorm`).
pub(super) fn norm_backward(state: NormState<'_>, mut residual: Vec<f32>) -> NormGradient {
    let width = state.gamma.len();
    let mut input = vec![0.0; residual.len()];
    let blocks: Vec<[Vec<f32>; 3]> = input
        .par_chunks_mut(BLOCK * width)
        .zip(residual.par_chunks_mut(BLOCK * width))
        .enumerate()
        .map(|(block, (input, residual))| {
            let mut sums = [0; 3].map(|_| vec![0.0; width]);
            let rows = NormRowGradients { first: block * BLOCK, input, residual };
            norm_rows_backward(state, rows, &mut sums, &mut vec![1.0; width]);
            sums
        })
        .collect();
    let mut columns: [Vec<Vec<f32>>; 3] = Default::default();
    for block in blocks {
        for (column, sums) in columns.iter_mut().zip(block) {
            column.push(sums);
        }
    }
    let [bias, gamma, beta] = columns.map(|blocks| add_up(blocks, width));
    NormGradient { input, bias, residual, gamma, beta }
}

/// The gradients of some rows by input and residual. `residual` holds the gradient by the result at first.
struct NormRowGradients<'a> {
    /// The index of the first row.
    first: usize,
    input: &'a mut [f32],
    residual: &'a mut [f32],
}

vectorised! {
    /// Computes the gradients of a block of rows. `sums` gets those of bias, gamma and beta; `mask` is room for one row of
    /// dropout factors.
    fn norm_rows_backward<'a>(
        state: NormState<'a>,
        rows: NormRowGradients<'a>,
        sums: &'a mut [Vec<f32>; 3],
        mask: &'a mut [f32],
    ) {
        let NormRowGradients { first, input, residual } = rows;
        let width = mask.len();
        let rows = input.chunks_exact_mut(width).zip(residual.chunks_exact_mut(width));
        for (offset, (input, residual)) in rows.enumerate() {
            norm_row_backward(state, NormRowGradients { first: first + offset, input, residual }, mask, sums);
        }
    }
}

#[inline(always)]
fn norm_row_backward(
    state: NormState<'_>,
    row: NormRowGradients<'_>,
    mask: &mut [f32],
    [bias, gamma, beta]: &mut [Vec<f32>; 3],
) {
    let NormRowGradients { first: row, input, residual } = row;
    let width = input.len();
    // Slices of one known length need no check at each element.
    let (residual, mask, scale) = (&mut residual[..width], &mut mask[..width], &state.gamma[..width]);
    let (bias, gamma, beta) = (&mut bias[..width], &mut gamma[..width], &mut beta[..width]);
    let (normal, inverse) = (&state.normal[row * width..][..width], state.inverse[row]);
    state.after.fill(mask, row * width);
    // `residual` holds the gradient by the result at first, then the one by the normalised row, then its own.
    for index in 0..width {
        let gradient = residual[index] * mask[index];
        gamma[index] += gradient * normal[index];
        beta[index] += gradient;
        residual[index] = gradient * scale[index];
    }
    let mean = sum(residual) / small_count(width);
    let along = dot(residual, normal) / small_count(width);
    state.before.fill(mask, row * width);
    for index in 0..width {
        let gradient = inverse * (residual[index] - mean - normal[index] * along);
        residual[index] = gradient;
        input[index] = gradient * mask[index];
        bias[index] += input[index];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_standard_library() {
        for step in -8_700_i16..8_800 {
            let x = f32::from(step) * 0.01;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 3e-7, "{x}");
        }
    }

    #[test]
    fn gelu_is_exact_to_the_precision_of_a_float() {
        for step in -1_200_i16..1_200 {
            let x = f32::from(step) * 0.01;
            let expected = 0.5 * f64::from(x) * libm::erfc(-f64::from(x) / std::f64::consts::SQRT_2);
            assert!((f64::from(gelu(&[x], &[0.0])[0]) - expected).abs() < 1e-6, "{x}");
        }
    }
}
