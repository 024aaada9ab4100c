//! The kernels on a Vulkan device, in software where there is no other, against the plain operations on the CPU.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::sync::Arc;

use burn::{
    backend::{Autodiff, Flex, Wgpu, flex::FlexDevice, wgpu::WgpuDevice},
    tensor::{Tensor, TensorData},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    settings::MatmulPrecision,
    train::{
        backend::Compute,
        graph_lock::graph_lock,
        masks::Masks,
        ops::{
            fused::Fused as _,
            has_vulkan,
            inputs::{AdamWTensors, Attention, Norm, Packing, RowIds, UpdateNumbers},
        },
        tensors::values,
    },
};

/// Not a multiple of the units of a cube, and odd: rows begin in the middle of a pair of mask elements.
const WIDTH: usize = 135;
const HEADS: usize = 3;
const LENGTHS: [usize; 5] = [7, 1, 20, 13, 3];

fn draw(seed: u64, count: usize) -> Vec<f32> {
    let mut draw = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| draw.random_range(-1.5..1.5)).collect()
}

/// Inputs on a device, the same on each.
struct Inputs<B: Compute> {
    device: B::Device,
}

impl<B: Compute> Inputs<B> {
    fn matrix(&self, seed: u64, [rows, columns]: [usize; 2]) -> Tensor<B, 2> {
        let data = TensorData::new(draw(seed, rows * columns), [rows, columns]);
        Tensor::from_data(data, &self.device).require_grad()
    }

    fn vector(&self, seed: u64, width: usize) -> Tensor<B, 1> {
        Tensor::from_data(TensorData::new(draw(seed, width), [width]), &self.device).require_grad()
    }

    /// The output, and the gradients of a weighted sum of it.
    fn found(
        &self,
        output: Tensor<B, 2>,
        matrices: &[&Tensor<B, 2>],
        vectors: &[&Tensor<B, 1>],
    ) -> Vec<Vec<f32>> {
        let weights = self.matrix(77, output.dims()).detach();
        let mut all = vec![values(output.clone().inner())];
        let gradients = (output * weights).sum().backward();
        all.extend(matrices.iter().map(|input| values(input.grad(&gradients).unwrap())));
        all.extend(vectors.iter().map(|input| values(input.grad(&gradients).unwrap())));
        all
    }
}

/// A computation on any backend.
trait Computation {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>>;
}

/// Compares a computation on both devices.
fn compare(tolerance: f32, computation: &impl Computation) {
    if !has_vulkan() {
        eprintln!("SKIPPED: this machine has no Vulkan driver (Debian: mesa-vulkan-drivers)");
        return;
    }
    let _alone = graph_lock();
    let expected = computation.run(&Inputs::<Autodiff<Flex>> { device: FlexDevice });
    let found = computation.run(&Inputs::<Autodiff<Wgpu>> { device: WgpuDevice::DefaultDevice });
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance * scale, "tensor {index}: {worst} of {scale}");
    }
}

struct Gelu;

impl Computation for Gelu {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let (x, bias) = (inputs.matrix(1, [150, WIDTH]), inputs.vector(2, WIDTH));
        inputs.found(B::bias_gelu(x.clone(), bias.clone()), &[&x], &[&bias])
    }
}

#[test]
fn gelu_and_its_gradients_are_those_of_the_cpu() {
    compare(1e-5, &Gelu);
}

struct NormWith([f64; 2]);

impl Computation for NormWith {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let matrices = [3, 4].map(|seed| inputs.matrix(seed, [150, WIDTH]));
        let vectors = [5, 6, 7].map(|seed| inputs.vector(seed, WIDTH));
        let [input, residual] = matrices.clone();
        let [bias, gamma, beta] = vectors.clone();
        let [before, after] = self.0.map(|rate| Masks::new(rate, 11).next());
        let norm = Norm { input, bias, residual, gamma, beta, epsilon: 1e-12, before, after };
        inputs.found(B::residual_norm(norm), &matrices.each_ref(), &vectors.each_ref())
    }
}

#[test]
fn norms_and_their_gradients_and_masks_are_those_of_the_cpu() {
    for rates in [[0.0, 0.0], [0.3, 0.0], [0.2, 0.4]] {
        compare(2e-5, &NormWith(rates));
    }
}

struct Dropped;

impl Computation for Dropped {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let x = inputs.matrix(8, [300, WIDTH]);
        inputs.found(B::dropout(x.clone(), &Masks::new(0.35, u64::MAX - 5).next()), &[&x], &[])
    }
}

#[test]
fn a_mask_on_the_device_is_the_mask_of_the_cpu() {
    compare(0.0, &Dropped);
}

fn attention(rate: f64) -> Attention {
    Attention { packing: Arc::new(Packing::new(LENGTHS)), heads: HEADS, drop: Masks::new(rate, 9).next() }
}

struct Attend(f64);

impl Computation for Attend {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let (x, bias) = (inputs.matrix(12, [44, 3 * WIDTH]), inputs.vector(13, 3 * WIDTH));
        inputs.found(B::packed_attention(x.clone(), bias.clone(), &attention(self.0)), &[&x], &[&bias])
    }
}

#[test]
fn attention_and_its_gradients_and_masks_are_those_of_the_cpu() {
    for rate in [0.0, 0.3] {
        compare(1e-4, &Attend(rate));
    }
}

struct AttendFirst(f64);

impl Computation for AttendFirst {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let (x, queries) =
            (inputs.matrix(14, [44, WIDTH]), inputs.matrix(15, [HEADS * LENGTHS.len(), WIDTH]));
        inputs.found(B::cls_attention(x.clone(), queries.clone(), &attention(self.0)), &[&x, &queries], &[])
    }
}

#[test]
fn cls_attention_and_its_gradients_and_masks_are_those_of_the_cpu() {
    for rate in [0.0, 0.3] {
        compare(1e-4, &AttendFirst(rate));
    }
}

struct ReadRows;

impl Computation for ReadRows {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let table = inputs.matrix(16, [9, WIDTH]);
        let ids = RowIds::new(vec![3, 0, 3, 8, 3], &inputs.device);
        inputs.found(B::embedding_rows(table.clone(), &ids, None), &[&table], &[])
    }
}

#[test]
fn the_gradient_of_a_table_adds_up_what_each_row_has_got() {
    compare(1e-6, &ReadRows);
}

struct Means;

impl Computation for Means {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let x = inputs.matrix(33, [44, WIDTH]);
        inputs.found(B::sequence_means(x.clone(), &attention(0.0).packing), &[&x], &[])
    }
}

#[test]
fn means_of_sequences_and_their_gradient_are_those_of_the_cpu() {
    compare(1e-5, &Means);
}

/// The rows, and the columns of the result.
struct Product([usize; 2]);

impl Computation for Product {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        let [rows, columns] = self.0;
        let (x, weight) = (inputs.matrix(17, [rows, WIDTH]), inputs.matrix(18, [WIDTH, columns]));
        let output = B::product(x.clone(), weight.clone(), MatmulPrecision::F32);
        inputs.found(output, &[&x, &weight], &[])
    }
}

#[test]
fn products_are_those_of_the_cpu() {
    // One row and one column, less than a tile, what tiles divide and what they do not.
    for sizes in [[1, 40], [44, 1], [44, 40], [256, 128], [521, 136]] {
        compare(1e-5, &Product(sizes));
    }
}

/// Clipping of two trials with these bounds, and an update with its factors.
struct Update([f32; 2]);

impl Computation for Update {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        // One is larger than a block of squares.
        let [gradient, value, first, second] =
            [21, 22, 23, 24].map(|seed| inputs.vector(seed, 2 * 20_000).inner());
        let others = inputs.vector(25, 2 * 7).inner();
        let beside = inputs.vector(26, 2).inner();
        let clipping = B::InnerBackend::clipping(vec![gradient.clone(), others], beside, &self.0).unwrap();
        let tensors = AdamWTensors { value, gradient, moments: [first, second.clone() * second] };
        let numbers = [9.0, 0.99, 0.02, 0.4, 0.98, 0.01, 0.3_f32];
        let table = Tensor::from_data(numbers, &inputs.device);
        let numbers = UpdateNumbers { table, first: 1, trials: 2 };
        let updated = B::InnerBackend::adamw(tensors, clipping.clone(), numbers);
        let [first, second] = updated.moments;
        [clipping, updated.value, first, second].map(values).into()
    }
}

#[test]
fn clipping_and_adamw_are_those_of_the_cpu() {
    for norms_max in [[0.0, 1.0], [1e6, 3.0]] {
        compare(1e-5, &Update(norms_max));
    }
}

struct Losses;

impl Computation for Losses {
    fn run<B: Compute>(&self, inputs: &Inputs<B>) -> Vec<Vec<f32>> {
        // Two trials, each with more documents than a cube has units.
        let (logits, targets) = (inputs.matrix(31, [300, 3]), inputs.matrix(32, [300, 3]).detach());
        // The last label of each is the lack of one.
        let labels: Vec<Option<usize>> =
            (0..300).map(|document| Some(document % 3).filter(|_| document % 150 != 149)).collect();
        let [learnt, shown] = B::losses(logits.clone(), targets, &labels, 2);
        let mut all = inputs.found(learnt.unsqueeze(), &[&logits], &[]);
        all.push(values(shown.inner()));
        all
    }
}

#[test]
fn losses_and_their_gradient_are_those_of_the_cpu() {
    compare(1e-5, &Losses);
}
