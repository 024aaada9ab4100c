//! The norm of all gradients and the update of `AdamW`, one kernel for each parameter, for all trials at once.
//!
//! A tensor has the values of one trial after the other.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, elements, empty, flat, units, word},
    packing::upload,
    reduction::cube_sum,
};
use crate::train::ops::inputs::AdamWTensors;

/// The elements that one cube squares and adds up.
const BLOCK: usize = 8_192;

/// A cube has a block of a trial's elements.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn squares_kernel(
    input: &Array<f32>,
    sums: &mut Array<f32>,
    offset: u32,
    own_blocks: u32,
    own: u32,
    own_sums: u32,
    #[comptime] block: u32,
    #[comptime] units: u32,
) {
    let (trial, own_block) = (CUBE_POS as u32 / own_blocks, CUBE_POS as u32 % own_blocks);
    if trial * own < input.len() as u32 {
        let mut sum = f32::new(0.0);
        let mut index = own_block * block + UNIT_POS;
        let mut end = (own_block + 1u32) * block;
        if end > own {
            end = own;
        }
        while index < end {
            let value = input[(trial * own + index) as usize];
            sum += value * value;
            index += units;
        }
        let total = cube_sum(sum, units);
        if UNIT_POS == 0 {
            sums[(trial * own_sums + offset + own_block) as usize] = total;
        }
    }
}

/// A cube has a trial.
#[cube(launch)]
fn norm_kernel(
    sums: &Array<f32>,
    beside: &Array<f32>,
    norms_max: &Array<f32>,
    result: &mut Array<f32>,
    own_sums: u32,
    #[comptime] units: u32,
) {
    let trial = CUBE_POS as u32;
    let mut sum = f32::new(0.0);
    let mut index = UNIT_POS;
    while index < own_sums {
        sum += sums[(trial * own_sums + index) as usize];
        index += units;
    }
    let norm = f32::sqrt(cube_sum(sum, units));
    if UNIT_POS == 0 {
        let first = (3u32 * trial) as usize;
        result[first] = norm;
        let bound = norms_max[trial as usize];
        let mut factor = f32::new(1.0);
        if bound > 0.0f32 {
            factor = f32::min(bound / (norm + 1e-6f32), 1.0f32);
        }
        result[first + 1] = factor;
        result[first + 2] = beside[trial as usize];
    }
}

/// See [`crate::train::ops::fused::Fused::clipping`].
pub(super) fn clipping<R: CubeRuntime>(
    gradients: Vec<CubeTensor<R>>,
    beside: CubeTensor<R>,
    norms_max: &[f32],
) -> Option<CubeTensor<R>> {
    let trials = norms_max.len();
    let own = |gradient: &CubeTensor<R>| gradient.meta.num_elements() / trials;
    let all: usize = gradients.iter().map(|gradient| own(gradient).div_ceil(BLOCK)).sum();
    let sums = empty(gradients.first()?, [trials * all]);
    let mut offset = 0;
    for gradient in gradients {
        let own = own(&gradient);
        let blocks = own.div_ceil(BLOCK);
        squares_kernel::launch(
            &sums.client,
            cubes(trials * blocks),
            units(),
            flat(gradient).into_array_arg(),
            sums.clone().into_array_arg(),
            word(offset),
            word(blocks),
            word(own),
            word(all),
            word(BLOCK),
            UNITS,
        );
        offset += blocks;
    }
    let (result, bounds) = (empty(&sums, [3 * trials]), upload(&sums, bytemuck::cast_slice(norms_max)));
    let client = sums.client.clone();
    let [input, beside, output] = [sums, beside, result.clone()].map(CubeTensor::into_array_arg);
    let (count, bounds) = (CubeCount::Static(word(trials), 1, 1), bounds.into_array_arg());
    norm_kernel::launch(&client, count, units(), input, beside, bounds, output, word(all), UNITS);
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
    numbers: &Array<f32>,
    new_value: &mut Array<f32>,
    new_first: &mut Array<f32>,
    new_second: &mut Array<f32>,
    first_number: u32,
    own: u32,
) {
    let index = ABSOLUTE_POS;
    if index < new_value.len() {
        let place = 3u32 * (index as u32 / own);
        let keep = numbers[(first_number + place) as usize];
        let step_size = numbers[(first_number + place + 1u32) as usize];
        let root = numbers[(first_number + place + 2u32) as usize];
        let gradient = gradient[index] * clipping[(place + 1u32) as usize];
        let first = 0.9f32 * first[index] + 0.1f32 * gradient;
        let second = 0.999f32 * second[index] + 0.001f32 * gradient * gradient;
        new_first[index] = first;
        new_second[index] = second;
        new_value[index] = value[index] * keep - step_size * first / (f32::sqrt(second) / root + 1e-8f32);
    }
}

/// See [`crate::train::ops::inputs::UpdateNumbers`].
pub(super) struct Numbers<R: CubeRuntime> {
    pub(super) table: CubeTensor<R>,
    pub(super) first: usize,
    pub(super) trials: usize,
}

/// The updated parameter with its moments, flat. Nothing is overwritten: the best parameters so far may be the same
/// tensors.
pub(super) fn adamw<R: CubeRuntime>(
    tensors: AdamWTensors<CubeTensor<R>>,
    clipping: CubeTensor<R>,
    numbers: Numbers<R>,
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
        numbers.table.into_array_arg(),
        new.value.clone().into_array_arg(),
        new_first,
        new_second,
        word(numbers.first),
        word(count / numbers.trials),
    );
    new
}
