//! The fused operations against the plain ones, and their gradients against differences.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::sync::Arc;

use burn::{
    backend::{Autodiff, Flex, flex::FlexDevice},
    tensor::{Tensor, TensorData},
};
use half::bf16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    fused::Fused,
    inputs::{Attention, Norm, Packing, RowIds},
    plain,
    row_sink::{RowGradients, RowSink},
};
use crate::{
    settings::MatmulPrecision,
    train::{graph_lock::graph_lock, masks::Masks, tensors::values},
};

type Backend = Autodiff<Flex>;
type Matrix = Tensor<Backend, 2>;
type Vector = Tensor<Backend, 1>;

const WIDTH: usize = 24;
const LENGTHS: [usize; 5] = [7, 1, 20, 13, 3];

struct Draw(ChaCha8Rng);

impl Draw {
    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.random_range(-1.5..1.5)).collect()
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        Tensor::from_data(TensorData::new(self.values(rows * columns), [rows, columns]), &FlexDevice)
            .require_grad()
    }

    fn vector(&mut self, width: usize) -> Vector {
        Tensor::from_data(TensorData::new(self.values(width), [width]), &FlexDevice).require_grad()
    }
}

fn draw() -> Draw {
    Draw(ChaCha8Rng::seed_from_u64(5))
}

fn attention_of(rate: f64) -> Attention {
    let drop = Masks::new(rate, 9).next();
    Attention { packing: Arc::new(Packing::new(LENGTHS)), heads: 3, drop }
}

fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3_f32, |scale, value| scale.max(value.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance * scale, "{worst} of {scale}");
}

/// The output and the gradient of a weighted sum of it by each input.
fn gradients(output: Matrix, matrices: &[&Matrix], vectors: &[&Vector]) -> Vec<Vec<f32>> {
    let [rows, columns] = output.dims();
    let weights = Draw(ChaCha8Rng::seed_from_u64(77)).matrix(rows, columns).detach();
    let mut all = vec![values(output.clone().inner())];
    let found = (output * weights).sum().backward();
    all.extend(matrices.iter().map(|input| values(input.grad(&found).unwrap())));
    all.extend(vectors.iter().map(|input| values(input.grad(&found).unwrap())));
    all
}

fn same(fused: &[Vec<f32>], plain: &[Vec<f32>]) {
    assert_eq!(fused.len(), plain.len());
    fused.iter().zip(plain).for_each(|(fused, plain)| close(fused, plain, 1e-4));
}

#[test]
fn the_product_equals_the_plain_one_with_its_gradients() {
    let _alone = graph_lock();
    let (x, weight) = (draw().matrix(150, WIDTH), draw().matrix(WIDTH, 40));
    let run = |output: Matrix| gradients(output, &[&x, &weight], &[]);
    same(
        &run(Backend::product(x.clone(), weight.clone(), MatmulPrecision::F32)),
        &run(x.clone().matmul(weight.clone())),
    );
}

#[test]
fn a_product_of_bf16_and_its_gradients_take_rounded_factors() {
    let _alone = graph_lock();
    let round = |x: &Matrix| {
        let [rows, columns] = x.dims();
        let values = values(x.clone().inner()).into_iter().map(|value| bf16::from_f32(value).to_f32());
        let values: Vec<f32> = values.collect();
        Matrix::from_data(TensorData::new(values, [rows, columns]), &FlexDevice)
    };
    let (x, weight) = (draw().matrix(150, WIDTH), draw().matrix(WIDTH, 40));
    let found =
        gradients(Backend::product(x.clone(), weight.clone(), MatmulPrecision::Bf16), &[&x, &weight], &[]);
    let above = round(&Draw(ChaCha8Rng::seed_from_u64(77)).matrix(150, 40));
    let (x, weight) = (round(&x), round(&weight));
    let by_x = above.clone().matmul(weight.clone().transpose());
    let by_weight = x.clone().transpose().matmul(above);
    let expected = [x.matmul(weight), by_x, by_weight].map(|matrix| values(matrix.inner()));
    same(&found, &expected);
}

#[test]
fn the_gradients_of_embedding_rows_add_up_to_that_of_the_table() {
    let _alone = graph_lock();
    let table = draw().matrix(9, WIDTH);
    let ids = RowIds::new(vec![3, 0, 3, 8], &FlexDevice);
    let plain = gradients(table.clone().select(0, ids.on_device.clone()), &[&table], &[]);
    let sink = RowSink::default();
    let found = Backend::embedding_rows(table.clone(), &ids, Some(&sink));
    close(&values(found.clone().inner()), &plain[0], 0.0);
    let weights = Draw(ChaCha8Rng::seed_from_u64(77)).matrix(4, WIDTH).detach();
    let left = (found * weights).sum().backward();
    assert!(table.grad(&left).is_none());
    let mut sums = vec![0.0; 9 * WIDTH];
    for RowGradients { rows, values } in sink.take() {
        for (row, values) in rows.into_iter().zip(values.chunks_exact(WIDTH)) {
            let place = &mut sums[row as usize * WIDTH..][..WIDTH];
            place.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    close(&sums, &plain[1], 1e-6);
}

#[test]
fn fused_gelu_equals_the_plain_one_with_its_gradients() {
    let _alone = graph_lock();
    let (x, bias) = (draw().matrix(150, WIDTH), draw().vector(WIDTH));
    let run = |output: Matrix| gradients(output, &[&x], &[&bias]);
    same(&run(Backend::bias_gelu(x.clone(), bias.clone())), &run(plain::gelu(x.clone(), bias.clone())));
}

#[test]
fn fused_norm_equals_the_plain_one_with_its_gradients_and_masks() {
    let _alone = graph_lock();
    for (before, after) in [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (0.2, 0.4)] {
        let mut draw = draw();
        // An odd width, so that rows begin in the middle of a pair of mask elements; several blocks of rows.
        let width = WIDTH + 1;
        let matrices = [draw.matrix(150, width), draw.matrix(150, width)];
        let vectors = [draw.vector(width), draw.vector(width), draw.vector(width)];
        let make = || {
            let [input, residual] = matrices.clone();
            let [bias, gamma, beta] = vectors.clone();
            let (before, after) = (Masks::new(before, 1).next(), Masks::new(after, 2).next());
            Norm { input, bias, residual, gamma, beta, epsilon: 1e-12, before, after }
        };
        let run = |output: Matrix| gradients(output, &matrices.each_ref(), &vectors.each_ref());
        same(&run(Backend::residual_norm(make())), &run(plain::norm(make())));
    }
}

#[test]
fn fused_attention_equals_the_plain_one_with_its_gradients_and_masks() {
    let _alone = graph_lock();
    for rate in [0.0, 0.3] {
        let mut draw = draw();
        let (x, bias) = (draw.matrix(LENGTHS.iter().sum(), 3 * WIDTH), draw.vector(3 * WIDTH));
        let attention = attention_of(rate);
        let run = |output: Matrix| gradients(output, &[&x], &[&bias]);
        let plain = run(plain::attention(x.clone(), bias.clone(), &attention));
        same(&run(Backend::packed_attention(x.clone(), bias.clone(), &attention)), &plain);
    }
}

#[test]
fn fused_cls_attention_equals_the_plain_one_with_its_gradients_and_masks() {
    let _alone = graph_lock();
    for rate in [0.0, 0.3] {
        let mut draw = draw();
        let (x, queries) = (draw.matrix(LENGTHS.iter().sum(), WIDTH), draw.matrix(3 * LENGTHS.len(), WIDTH));
        let attention = attention_of(rate);
        let run = |output: Matrix| gradients(output, &[&x, &queries], &[]);
        let plain = run(plain::cls_attention(x.clone(), queries.clone(), &attention));
        same(&run(Backend::cls_attention(x.clone(), queries.clone(), &attention)), &plain);
    }
}

/// Compares the gradient along a random direction with the difference quotient, dropout on.
fn along_a_direction(inputs: usize, function: impl Fn(&[f32]) -> (f64, Vec<f32>)) {
    let mut draw = draw();
    let (point, direction) = (draw.values(inputs), draw.values(inputs));
    let step = 1e-2;
    let moved = |sign: f32| -> Vec<f32> {
        point.iter().zip(&direction).map(|(value, change)| value + sign * step * change).collect()
    };
    let quotient = (function(&moved(1.0)).0 - function(&moved(-1.0)).0) / (2.0 * f64::from(step));
    let (_, gradient) = function(&point);
    let product: f64 = gradient.iter().zip(&direction).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    assert!((quotient - product).abs() < 1e-2 * product.abs().max(1.0), "{quotient} {product}");
}

fn weighted(output: Matrix, input: &Matrix) -> (f64, Vec<f32>) {
    let [rows, columns] = output.dims();
    let weights = Draw(ChaCha8Rng::seed_from_u64(78)).matrix(rows, columns).detach();
    let product = values(output.clone().inner()).into_iter().zip(values(weights.clone().inner()));
    let sum = product.map(|(a, b)| f64::from(a) * f64::from(b)).sum();
    let gradients = (output * weights).sum().backward();
    (sum, values(input.grad(&gradients).unwrap()))
}

fn matrix(values: &[f32], columns: usize) -> Matrix {
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), &FlexDevice).require_grad()
}

#[test]
fn the_gradient_of_gelu_is_its_slope() {
    let _alone = graph_lock();
    let bias = draw().vector(WIDTH);
    along_a_direction(90 * WIDTH, |point| {
        let input = matrix(point, WIDTH);
        weighted(Backend::bias_gelu(input.clone(), bias.clone()), &input)
    });
}

#[test]
fn the_gradient_of_a_norm_is_its_slope_with_dropout_on() {
    let _alone = graph_lock();
    let mut draw = draw();
    let (residual, bias) = (draw.matrix(90, WIDTH).detach(), draw.vector(WIDTH));
    let (gamma, beta) = (draw.vector(WIDTH), draw.vector(WIDTH));
    along_a_direction(90 * WIDTH, |point| {
        let input = matrix(point, WIDTH);
        let (before, after) = (Masks::new(0.2, 3).next(), Masks::new(0.2, 4).next());
        let norm = Norm {
            input: input.clone(),
            bias: bias.clone(),
            residual: residual.clone(),
            gamma: gamma.clone(),
            beta: beta.clone(),
            epsilon: 1e-5,
            before,
            after,
        };
        weighted(Backend::residual_norm(norm), &input)
    });
}

#[test]
fn the_gradient_of_attention_is_its_slope_with_dropout_on() {
    let _alone = graph_lock();
    let bias = draw().vector(3 * WIDTH);
    let attention = attention_of(0.25);
    along_a_direction(LENGTHS.iter().sum::<usize>() * 3 * WIDTH, |point| {
        let input = matrix(point, 3 * WIDTH);
        weighted(Backend::packed_attention(input.clone(), bias.clone(), &attention), &input)
    });
}

#[test]
fn the_gradient_of_cls_attention_is_its_slope_with_dropout_on() {
    let _alone = graph_lock();
    let attention = attention_of(0.25);
    let mut draw = draw();
    let (x, queries) = (draw.matrix(LENGTHS.iter().sum(), WIDTH), draw.matrix(3 * LENGTHS.len(), WIDTH));
    along_a_direction(LENGTHS.iter().sum::<usize>() * WIDTH, |point| {
        let input = matrix(point, WIDTH);
        weighted(Backend::cls_attention(input.clone(), queries.clone(), &attention), &input)
    });
    along_a_direction(3 * LENGTHS.len() * WIDTH, |point| {
        let input = matrix(point, WIDTH);
        weighted(Backend::cls_attention(x.clone(), input.clone(), &attention), &input)
    });
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let _alone = graph_lock();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut draw = draw();
            let (x, bias) = (draw.matrix(LENGTHS.iter().sum(), 3 * WIDTH), draw.vector(3 * WIDTH));
            let attended = Backend::packed_attention(x.clone(), bias.clone(), &attention_of(0.2));
            let (inner, queries) = (draw.vector(WIDTH), draw.matrix(3 * LENGTHS.len(), WIDTH));
            let hidden = Backend::bias_gelu(attended, inner.clone());
            let found = Backend::cls_attention(hidden, queries.clone(), &attention_of(0.2));
            gradients(found, &[&x, &queries], &[&bias, &inner])
        })
    };
    assert_eq!(run(1), run(4));
}
