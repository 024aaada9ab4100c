//! The operations on burn's flex backend: slices in, slices out, gradients written by hand.

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::{Tensor, TensorData, TensorPrimitive, backend::Backend, ops::FloatTensor},
};

use super::{
    Attention, Fused, Norm,
    attention::{self, AttentionOutput},
    first::{self, FirstOutput},
    kernels::{self, NormInput, NormOutput, NormState},
};
use crate::train::masks::Drop;

impl Fused for Flex {
    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        let (input, bias) = (flat(primitive(input)), flat(primitive(bias)));
        tensor(rows(kernels::gelu(slice(&input), slice(&bias)), slice(&bias).len()))
    }

    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        let parts = NormTensors::new(norm);
        tensor(rows(parts.run().output, parts.width()))
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (flat(primitive(projected)), flat(primitive(bias)));
        let result = attention::attention(slice(&projected), slice(&bias), attention);
        tensor(rows(result.output, slice(&bias).len() / 3))
    }

    fn first_attention(
        hidden: Tensor<Self, 2>,
        asked: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let [_, width] = hidden.dims();
        let (hidden, asked) = (flat(primitive(hidden)), flat(primitive(asked)));
        let result = first::first_attention(slice(&hidden), slice(&asked), width, attention);
        tensor(rows(result.output, width + 1))
    }
}

/// Row-major and without gaps.
fn flat(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The values of a tensor that [`flat`] has seen.
fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("tensors are f32, and this one is without gaps"))
}

fn rows(values: Vec<f32>, width: usize) -> FlexTensor {
    let rows = values.len() / width;
    FlexTensor::from_data(TensorData::new(values, [rows, width]))
}

fn row(values: Vec<f32>) -> FlexTensor {
    let width = values.len();
    FlexTensor::from_data(TensorData::new(values, [width]))
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// A norm's tensors, flat.
struct NormTensors {
    parts: [FlexTensor; 5],
    epsilon: f64,
    before: Drop,
    after: Drop,
}

impl NormTensors {
    fn new(norm: Norm<Flex>) -> Self {
        let matrices = [norm.input, norm.residual].map(|tensor| flat(primitive(tensor)));
        let vectors = [norm.bias, norm.gamma, norm.beta].map(|tensor| flat(primitive(tensor)));
        let ([input, residual], [bias, gamma, beta]) = (matrices, vectors);
        let parts = [input, bias, residual, gamma, beta];
        Self { parts, epsilon: norm.epsilon, before: norm.before, after: norm.after }
    }

    fn width(&self) -> usize {
        slice(&self.parts[3]).len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn run(&self) -> NormOutput {
        let [input, bias, residual, gamma, beta] = self.parts.each_ref().map(slice);
        let (epsilon, before, after) = (self.epsilon as f32, self.before, self.after);
        kernels::norm(NormInput { input, bias, residual, gamma, beta, epsilon, before, after })
    }
}

type Tracked = Autodiff<Flex>;

impl Fused for Tracked {
    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        let (input, bias) = (primitive(input), primitive(bias));
        let (x, b) = (flat(input.primitive), flat(bias.primitive));
        let output = rows(kernels::gelu(slice(&x), slice(&b)), slice(&b).len());
        let nodes = [input.node, bias.node];
        tensor(match Gelu.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, b], output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        let matrices = [norm.input, norm.residual].map(primitive);
        let vectors = [norm.bias, norm.gamma, norm.beta].map(primitive);
        let ([input, residual], [bias, gamma, beta]) = (matrices, vectors);
        let parts = [input, bias, residual, gamma, beta];
        let nodes = parts.each_ref().map(|part| part.node.clone());
        let parts = NormTensors {
            parts: parts.map(|part| flat(part.primitive)),
            epsilon: norm.epsilon,
            before: norm.before,
            after: norm.after,
        };
        let width = parts.width();
        let NormOutput { output, normal, inverse } = parts.run();
        let output = rows(output, width);
        tensor(match NormOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [.., gamma, _] = parts.parts;
                let state = NormSaved {
                    tensors: [gamma, rows(normal, width), row(inverse)],
                    before: norm.before,
                    after: norm.after,
                };
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (primitive(projected), primitive(bias));
        let (x, b) = (flat(projected.primitive), flat(bias.primitive));
        let columns = slice(&b).len();
        let AttentionOutput { output, projected: biased, probabilities } =
            attention::attention(slice(&x), slice(&b), attention);
        let output = rows(output, columns / 3);
        let nodes = [projected.node, bias.node];
        tensor(match AttentionOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish((rows(biased, columns), row(probabilities), attention.clone()), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn first_attention(
        hidden: Tensor<Self, 2>,
        asked: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let [_, width] = hidden.dims();
        let (hidden, asked) = (primitive(hidden), primitive(asked));
        let (x, u) = (flat(hidden.primitive), flat(asked.primitive));
        let FirstOutput { output, probabilities } =
            first::first_attention(slice(&x), slice(&u), width, attention);
        let output = rows(output, width + 1);
        let nodes = [hidden.node, asked.node];
        tensor(match FirstOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(([x, u, row(probabilities)], attention.clone()), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 2> for Gelu {
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let [x, bias] = ops.state;
        let (by_input, by_bias) = kernels::gelu_backward(slice(&x), slice(&bias), slice(&gradient));
        let width = by_bias.len();
        let found = [rows(by_input, width), row(by_bias)];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct NormOp;

#[derive(Clone, Debug)]
struct NormSaved {
    /// Gamma, the normalised rows, and 1 / standard deviation of each.
    tensors: [FlexTensor; 3],
    before: Drop,
    after: Drop,
}

impl Backward<Flex, 5> for NormOp {
    type State = NormSaved;

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let NormSaved { tensors, before, after } = ops.state;
        let [gamma, normal, inverse] = tensors.each_ref().map(slice);
        let width = gamma.len();
        let state = NormState { gamma, normal, inverse, before, after };
        let found = kernels::norm_backward(state, slice(&gradient));
        let found = [
            rows(found.input, width),
            row(found.bias),
            rows(found.residual, width),
            row(found.gamma),
            row(found.beta),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct AttentionOp;

impl Backward<Flex, 2> for AttentionOp {
    /// Projections with bias, probabilities, and how they were made.
    type State = (FlexTensor, FlexTensor, Attention);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let (projected, probabilities, attention) = ops.state;
        let columns = projected.layout().shape()[1];
        let (by_input, by_bias) = attention::attention_backward(
            slice(&projected),
            slice(&probabilities),
            columns / 3,
            &attention,
            slice(&gradient),
        );
        let found = [rows(by_input, columns), row(by_bias)];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct FirstOp;

impl Backward<Flex, 2> for FirstOp {
    /// Hidden states, what was asked, probabilities; and how they were made.
    type State = ([FlexTensor; 3], Attention);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let ([hidden, asked, probabilities], attention) = ops.state;
        let width = hidden.layout().shape()[1];
        let inputs = (slice(&hidden), slice(&asked), slice(&probabilities));
        let found = first::first_attention_backward(inputs, width, &attention, slice(&gradient));
        let found = [rows(found.hidden, width), rows(found.asked, width)];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}
