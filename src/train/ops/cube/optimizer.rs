//! The norm of all gradients and the update of `AdamW`, one kernel for each parameter.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, elements, empty, flat, units, word},
    reduction::cube_sum,
};
use crate::train::ops::inputs::{AdamWNumbers, AdamWTensors};

/// The elements that one cube squares and adds up.
const BLOCK: usize = 8_192;

#[cube(launch)]
fn squares_kernel(
    input: &Array<f32>,
    sums: &mut Array<f32>,
    offset: u32,
    cubes: u32,
    #[comptime] block: u32,
    #[comptime] units: u32,
) {
    let cube = CUBE_POS as u32;
    if cube < cubes {
        let mut sum = f32::new(0.0);
        let mut index = cube * block + UNIT_POS;
        let mut end = (cube + 1u32) * block;
        if end > input.len() as u32 {
            end = input.len() as u32;
        }
        while index < end {
            let value = input[index as usize];
            sum += value * value;
            index += units;
        }
        let total = cube_sum(sum, units);
        if UNIT_POS == 0 {
            sums[(offset + cube) as usize] = total;
        }
    }
}

#[cube(launch)]
fn norm_kernel(
    sums: &Array<f32>,
    beside: &Array<f32>,
    result: &mut Array<f32>,
    norm_max: f32,
    #[comptime] units: u32,
) {
    let mut sum = f32::new(0.0);
    let mut index = UNIT_POS;
    while index < sums.len() as u32 {
        sum += sums[index as usize];
        index += units;
    }
    let norm = f32::sqrt(cube_sum(sum, units));
    if UNIT_POS == 0 {
        result[0] = norm;
        let mut factor = f32::new(1.0);
        if norm_max > 0.0f32 {
            factor = f32::min(norm_max / (norm + 1e-6f32), 1.0f32);
        }
        result[1] = factor;
        result[2] = beside[0];
    }
}

/// See [`crate::train::ops::fused::Fused::clipping`].
pub(super) fn clipping<R: CubeRuntime>(
    gradients: Vec<CubeTensor<R>>,
    beside: CubeTensor<R>,
    norm_max: f32,
) -> Option<CubeTensor<R>> {
    let blocks = |gradient: &CubeTensor<R>| gradient.meta.num_elements().div_ceil(BLOCK);
    let all: usize = gradients.iter().map(blocks).sum();
    let sums = empty(gradients.first()?, [all]);
    let mut offset = 0;
    for gradient in gradients {
        let own = blocks(&gradient);
        squares_kernel::launch(
            &sums.client,
            cubes(own),
            units(),
            flat(gradient).into_array_arg(),
            sums.clone().into_array_arg(),
            word(offset),
            word(own),
            word(BLOCK),
            UNITS,
        );
        offset += own;
    }
    let result = empty(&sums, [3]);
    let client = sums.client.clone();
    let [input, beside, output] = [sums, beside, result.clone()].map(CubeTensor::into_array_arg);
    norm_kernel::launch(&client, cubes(1), units(), input, beside, output, norm_max, UNITS);
    Some(result)
}

#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn adamw_kernel(
    value: &Array<f32>,
    gradient: &Array<f32>,
    first: &Array<f32>,
    second: &Array<f32>,
    clipping: &Array<f32>,
    new_value: &mut Array<f32>,
    new_first: &mut Array<f32>,
    new_second: &mut Array<f32>,
    keep: f32,
    step_size: f32,
    root: f32,
) {
    let index = ABSOLUTE_POS;
    if index < new_value.len() {
        let gradient = gradient[index] * clipping[1];
        let first = 0.9f32 * first[index] + 0.1f32 * gradient;
        let second = 0.999f32 * second[index] + 0.001f32 * gradient * gradient;
        new_first[index] = first;
        new_second[index] = second;
        new_value[index] = value[index] * keep - step_size * first / (f32::sqrt(second) / root + 1e-8f32);
    }
}

/// The updated parameter with its moments, flat. Nothing is overwritten: the best parameters so far may be the same
/// tensors.
pub(super) fn adamw<R: CubeRuntime>(
    tensors: AdamWTensors<CubeTensor<R>>,
    clipping: CubeTensor<R>,
    numbers: AdamWNumbers,
) -> AdamWTensors<CubeTensor<R>> {
    let AdamWTensors { value, gradient, moments } = tensors;
    let count = value.meta.num_elements();
    let room = || empty(&clipping, [count]);
    let new = AdamWTensors { value: room(), gradient: gradient.clone(), moments: [room(), room()] };
    let client = value.client.clone();
    let [first, second] = moments.map(|moment| flat(moment).into_array_arg());
    let [new_first, new_second] = new.moments.each_ref().map(|moment| moment.clone().into_array_arg());
    adamw_kernel::launch(
        &client,
        elements(count),
        units(),
        flat(value).into_array_arg(),
        flat(gradient).into_array_arg(),
        first,
        second,
        clipping.into_array_arg(),
        new.value.clone().into_array_arg(),
        new_first,
        new_second,
        numbers.keep,
        numbers.step_size,
        numbers.root,
    );
    new
}
