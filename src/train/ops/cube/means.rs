//! The mean of each sequence's rows, and its gradient.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{elements, empty, flat, matrix, units, word},
    packing::Layout,
};

/// A unit has one column of a sequence.
#[cube(launch)]
fn means_kernel(
    input: &Array<f32>,
    places: &Array<u32>,
    output: &mut Array<f32>,
    width: u32,
    sequences: u32,
) {
    let index = ABSOLUTE_POS;
    if index < output.len() {
        let (sequence, column) = (index as u32 / width, index as u32 % width);
        let start = places[sequence as usize];
        let length = places[(sequences + sequence) as usize];
        let mut sum = f32::new(0.0);
        let mut row = 0u32;
        while row < length {
            sum += input[((start + row) * width + column) as usize];
            row += 1u32;
        }
        if length > 0u32 {
            sum /= f32::cast_from(length);
        }
        output[index] = sum;
    }
}

/// See [`crate::train::ops::fused::Fused::sequence_means`].
pub(super) fn means<R: CubeRuntime>(hidden: CubeTensor<R>, layout: &Layout<R>) -> CubeTensor<R> {
    let [_, width] = matrix(&hidden);
    let output = empty(&hidden, [layout.sequences, width]);
    means_kernel::launch(
        &output.client,
        elements(layout.sequences * width),
        units(),
        flat(hidden).into_array_arg(),
        layout.places.clone().into_array_arg(),
        output.clone().into_array_arg(),
        word(width),
        word(layout.sequences),
    );
    output
}

/// A unit has one element of a row.
#[cube(launch)]
fn means_backward_kernel(
    gradient: &Array<f32>,
    places: &Array<u32>,
    output: &mut Array<f32>,
    width: u32,
    sequences: u32,
) {
    let index = ABSOLUTE_POS;
    if index < output.len() {
        let (row, column) = (index as u32 / width, index as u32 % width);
        let sequence = places[(4u32 * sequences + row) as usize];
        let mut value = f32::new(0.0);
        if sequence < sequences {
            let length = places[(sequences + sequence) as usize];
            value = gradient[(sequence * width + column) as usize] / f32::cast_from(length);
        }
        output[index] = value;
    }
}

/// The gradient of [`means`].
pub(super) fn means_backward<R: CubeRuntime>(gradient: CubeTensor<R>, layout: &Layout<R>) -> CubeTensor<R> {
    let [_, width] = matrix(&gradient);
    let output = empty(&gradient, [layout.rows, width]);
    means_backward_kernel::launch(
        &output.client,
        elements(layout.rows * width),
        units(),
        flat(gradient).into_array_arg(),
        layout.places.clone().into_array_arg(),
        output.clone().into_array_arg(),
        word(width),
        word(layout.sequences),
    );
    output
}
