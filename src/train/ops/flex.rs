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
    tensor::{Int, Tensor, TensorData, TensorPrimitive, backend::Backend, ops::FloatTensor},
};

use super::{
    Attention, Fused, Norm, RowGradients, RowSink,
    attention::{self, AttentionOutput},
    first::{self, FirstOutput},
    gemm::{self, View},
    kernels::{self, NormInput, NormOutput, NormState},
};
use crate::{settings::MatmulPrecision, train::masks::Drop};

impl Fused for Flex {
    const HAS_BF16: bool = true;

    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        tensor(product(&flat(primitive(input)), &flat(primitive(weight)), precision))
    }

    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        let (mut values, bias) = (owned(primitive(input)), flat(primitive(bias)));
        kernels::gelu_in_place(&mut values, slice(&bias));
        tensor(rows(values, slice(&bias).len()))
    }

    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        let mut values = owned(primitive(norm.input));
        let residual = flat(primitive(norm.residual));
        let [bias, gamma, beta] = [norm.bias, norm.gamma, norm.beta].map(|tensor| flat(primitive(tensor)));
        let parts = NormTensors { parts: [bias, residual, gamma, beta], epsilon: norm.epsilon };
        kernels::norm_in_place(parts.input(norm.before, norm.after), &mut values);
        tensor(rows(values, parts.width()))
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (owned(primitive(projected)), flat(primitive(bias)));
        let result = attention::attention(projected, slice(&bias), attention);
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

/// Its values, row-major: without a copy where nobody else holds the tensor.
fn owned(tensor: FlexTensor) -> Vec<f32> {
    let values = flat(tensor).into_data().into_vec();
    values.unwrap_or_else(|error| unreachable!("tensors are f32: {error:?}"))
}

/// The product of two matrices that [`flat`] has seen.
fn product(a: &FlexTensor, b: &FlexTensor, precision: MatmulPrecision) -> FlexTensor {
    let columns = b.layout().shape()[1];
    rows(gemm::product(view(a), view(b), precision), columns)
}

fn view(tensor: &FlexTensor) -> View<'_> {
    View::new(slice(tensor), tensor.layout().shape()[1])
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

/// A norm's tensors but its input, flat.
struct NormTensors {
    /// Bias, residual, gamma, beta.
    parts: [FlexTensor; 4],
    epsilon: f64,
}

impl NormTensors {
    fn width(&self) -> usize {
        slice(&self.parts[2]).len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn input(&self, before: Drop, after: Drop) -> NormInput<'_> {
        let [bias, residual, gamma, beta] = self.parts.each_ref().map(slice);
        NormInput { bias, residual, gamma, beta, epsilon: self.epsilon as f32, before, after }
    }
}

type Tracked = Autodiff<Flex>;

impl Fused for Tracked {
    const HAS_BF16: bool = true;

    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        let (input, weight) = (primitive(input), primitive(weight));
        let (x, w) = (flat(input.primitive), flat(weight.primitive));
        let output = product(&x, &w, precision);
        let nodes = [input.node, weight.node];
        tensor(match ProductOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(([x, w], precision), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn embedding_rows(
        table: Tensor<Self, 2>,
        ids: Tensor<Self, 1, Int>,
        sink: Option<&RowSink>,
    ) -> Tensor<Self, 2> {
        let Some(sink) = sink else { return table.select(0, ids) };
        let read = ids.clone().into_data().convert::<i32>();
        let read = read.as_slice::<i32>().unwrap_or_else(|error| unreachable!("converted: {error:?}"));
        let read = read.iter().map(|id| id.cast_unsigned()).collect();
        let table = primitive(table);
        let output = primitive(
            tensor::<Flex, 2>(table.primitive).select(0, Tensor::from_primitive(ids.into_primitive())),
        );
        tensor(match EmbeddingOp.prepare::<NoCheckpointing>([table.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((read, sink.clone()), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

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
        let (before, after) = (norm.before, norm.after);
        let [input, residual] = [norm.input, norm.residual].map(primitive);
        let [bias, gamma, beta] = [norm.bias, norm.gamma, norm.beta].map(primitive);
        let nodes = [&input, &bias, &residual, &gamma, &beta].map(|part| part.node.clone());
        let parts = [bias, residual, gamma, beta].map(|part| flat(part.primitive));
        let parts = NormTensors { parts, epsilon: norm.epsilon };
        let width = parts.width();
        let NormOutput { output, normal, inverse } =
            kernels::norm(parts.input(before, after), owned(input.primitive));
        let output = rows(output, width);
        tensor(match NormOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [.., gamma, _] = parts.parts;
                let tensors = [gamma, rows(normal, width), row(inverse)];
                prepared.finish(NormSaved { tensors, before, after }, output)
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
        let (x, b) = (owned(projected.primitive), flat(bias.primitive));
        let columns = slice(&b).len();
        let AttentionOutput { output, projected: biased, probabilities } =
            attention::attention(x, slice(&b), attention);
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
struct ProductOp;

impl Backward<Flex, 2> for ProductOp {
    /// Input and weight, and what is taken of them.
    type State = ([FlexTensor; 2], MatmulPrecision);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let ([input, weight], precision) = &ops.state;
        let [of_input, of_weight] = ops.parents;
        if let Some(node) = of_input {
            let values = gemm::product(view(&gradient), view(weight).turned(), *precision);
            gradients.register::<Flex>(node.id, rows(values, weight.layout().shape()[0]));
        }
        if let Some(node) = of_weight {
            let values = gemm::product(view(input).turned(), view(&gradient), *precision);
            gradients.register::<Flex>(node.id, rows(values, weight.layout().shape()[1]));
        }
    }
}

#[derive(Debug)]
struct EmbeddingOp;

impl Backward<Flex, 1> for EmbeddingOp {
    /// The rows that were read, and where their gradients go.
    type State = (Vec<u32>, RowSink);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let values = owned(gradients.consume::<Flex>(&ops.node));
        let (rows, sink) = ops.state;
        sink.put(RowGradients { rows, values });
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 2> for Gelu {
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = owned(gradients.consume::<Flex>(&ops.node));
        let [x, bias] = ops.state;
        let (by_input, by_bias) = kernels::gelu_backward(slice(&x), slice(&bias), gradient);
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
        let gradient = owned(gradients.consume::<Flex>(&ops.node));
        let NormSaved { tensors, before, after } = ops.state;
        let [gamma, normal, inverse] = tensors.each_ref().map(slice);
        let width = gamma.len();
        let state = NormState { gamma, normal, inverse, before, after };
        let found = kernels::norm_backward(state, gradient);
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
            owned(projected),
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
