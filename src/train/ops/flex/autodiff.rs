//! The operations with hand-written gradients.
//!
//! Each operation is one node of burn's graph. When it runs it registers a state, the
//! tensors that its gradient needs; the backward pass hands the state and the gradient by
//! the result to `backward`, which registers a gradient for each input that learns.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            NodeId,
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        flex::FlexTensor,
    },
    tensor::Tensor,
};

use super::convert::{
    NormTensors, cls_input, columns, flat, matrix, owned, primitive, product, slice, tensor, vector, view,
};
use crate::{
    settings::MatmulPrecision,
    train::{
        masks::Dropout,
        ops::{
            attention::{self, AttentionOutput},
            cls_attention::{self, ClsOutput},
            fused::Fused,
            gemm,
            inputs::{Attention, Norm, RowIds},
            kernels::{self, NormOutput, NormState},
            row_sink::{RowGradients, RowSink},
        },
    },
};

type Tracked = Autodiff<Flex>;

impl Fused for Tracked {
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

    fn embedding_rows(table: Tensor<Self, 2>, ids: &RowIds<Self>, sink: Option<&RowSink>) -> Tensor<Self, 2> {
        let on_device = ids.on_device.clone();
        let Some(sink) = sink else { return table.select(0, on_device) };
        let table = primitive(table);
        let output = primitive(
            tensor::<Flex, 2>(table.primitive).select(0, Tensor::from_primitive(on_device.into_primitive())),
        );
        tensor(match EmbeddingOp.prepare::<NoCheckpointing>([table.node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((ids.on_host.clone(), sink.clone()), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        let (input, bias) = (primitive(input), primitive(bias));
        let (x, b) = (flat(input.primitive), flat(bias.primitive));
        let output = matrix(kernels::gelu(slice(&x), slice(&b)), slice(&b).len());
        let nodes = [input.node, bias.node];
        tensor(match GeluOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish([x, b], output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        let (before, after) = (norm.before.alone(), norm.after.alone());
        let [input, residual] = [norm.input, norm.residual].map(primitive);
        let [bias, gamma, beta] = [norm.bias, norm.gamma, norm.beta].map(primitive);
        let nodes = [&input, &bias, &residual, &gamma, &beta].map(|part| part.node.clone());
        let parts = [bias, residual, gamma, beta].map(|part| flat(part.primitive));
        let parts = NormTensors { parts, epsilon: norm.epsilon };
        let width = parts.width();
        let NormOutput { output, normal, inverse } =
            kernels::norm(parts.input(before, after), owned(input.primitive));
        let output = matrix(output, width);
        tensor(match NormOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [.., gamma, _] = parts.parts;
                let tensors = [gamma, matrix(normal, width), vector(inverse)];
                prepared.finish(NormOpState { tensors, before, after }, output)
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
        let output = matrix(output, columns / 3);
        let nodes = [projected.node, bias.node];
        tensor(match AttentionOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (projected, probabilities) = (matrix(biased, columns), vector(probabilities));
                prepared
                    .finish(AttentionState { projected, probabilities, attention: attention.clone() }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn cls_attention(
        hidden: Tensor<Self, 2>,
        projected_queries: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let inputs = [hidden, projected_queries].map(primitive);
        let nodes = inputs.each_ref().map(|input| input.node.clone());
        let inputs = inputs.map(|input| flat(input.primitive));
        let ClsOutput { output, probabilities } = cls_attention::cls_attention(cls_input(&inputs), attention);
        let output = matrix(output, columns(&inputs[0]) + 1);
        tensor(match ClsAttentionOp.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let probabilities = vector(probabilities);
                prepared.finish(ClsState { inputs, probabilities, attention: attention.clone() }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }
}

/// Registers the gradients of those inputs that learn: the others have no node.
fn register<const N: usize>(nodes: [Option<NodeId>; N], found: [FlexTensor; N], gradients: &mut Gradients) {
    for (node, gradient) in nodes.into_iter().zip(found) {
        if let Some(node) = node {
            gradients.register::<Flex>(node, gradient);
        }
    }
}

#[derive(Debug)]
struct ProductOp;

impl Backward<Flex, 2> for ProductOp {
    /// Input and weight, and the precision that their values are rounded to.
    type State = ([FlexTensor; 2], MatmulPrecision);

    // With Y = X W and D the gradient by Y, `[rows, outputs]`: D Wᵀ by X, and Xᵀ D by W.
    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let ([input, weight], precision) = &ops.state;
        let [input_node, weight_node] = ops.parents;
        if let Some(node) = input_node {
            let values = gemm::product(view(&gradient), view(weight).transposed(), *precision);
            gradients.register::<Flex>(node.id, matrix(values, columns(input)));
        }
        if let Some(node) = weight_node {
            let values = gemm::product(view(input).transposed(), view(&gradient), *precision);
            gradients.register::<Flex>(node.id, matrix(values, columns(weight)));
        }
    }
}

#[derive(Debug)]
struct EmbeddingOp;

impl Backward<Flex, 1> for EmbeddingOp {
    /// The indices of the rows that were read, and where their gradients go.
    type State = (Arc<[u32]>, RowSink);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let values = owned(gradients.consume::<Flex>(&ops.node));
        let (rows, sink) = ops.state;
        sink.put(RowGradients { rows: rows.to_vec(), values });
    }
}

#[derive(Debug)]
struct GeluOp;

impl Backward<Flex, 2> for GeluOp {
    /// Input and bias.
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = owned(gradients.consume::<Flex>(&ops.node));
        let [x, bias] = ops.state;
        let (by_input, by_bias) = kernels::gelu_backward(slice(&x), slice(&bias), gradient);
        let width = by_bias.len();
        let found = [matrix(by_input, width), vector(by_bias)];
        register(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct NormOp;

#[derive(Clone, Debug)]
struct NormOpState {
    /// Gamma, the normalised rows, and 1 / the standard deviation of each row.
    tensors: [FlexTensor; 3],
    before: Dropout,
    after: Dropout,
}

impl Backward<Flex, 5> for NormOp {
    type State = NormOpState;

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = owned(gradients.consume::<Flex>(&ops.node));
        let NormOpState { tensors, before, after } = ops.state;
        let [gamma, normal, inverse] = tensors.each_ref().map(slice);
        let width = gamma.len();
        let state = NormState { gamma, normal, inverse, before, after };
        let found = kernels::norm_backward(state, gradient);
        let found = [
            matrix(found.input, width),
            vector(found.bias),
            matrix(found.residual, width),
            vector(found.gamma),
            vector(found.beta),
        ];
        register(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct AttentionOp;

#[derive(Clone, Debug)]
struct AttentionState {
    /// The projections with their bias.
    projected: FlexTensor,
    probabilities: FlexTensor,
    attention: Attention,
}

impl Backward<Flex, 2> for AttentionOp {
    type State = AttentionState;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let AttentionState { projected, probabilities, attention } = ops.state;
        let columns = columns(&projected);
        let (by_input, by_bias) = attention::attention_backward(
            owned(projected),
            slice(&probabilities),
            columns / 3,
            &attention,
            slice(&gradient),
        );
        let found = [matrix(by_input, columns), vector(by_bias)];
        register(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct ClsAttentionOp;

#[derive(Clone, Debug)]
struct ClsState {
    /// Hidden states and projected queries.
    inputs: [FlexTensor; 2],
    probabilities: FlexTensor,
    attention: Attention,
}

impl Backward<Flex, 2> for ClsAttentionOp {
    type State = ClsState;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = flat(gradients.consume::<Flex>(&ops.node));
        let ClsState { inputs, probabilities, attention } = ops.state;
        let width = columns(&inputs[0]);
        let found = cls_attention::cls_attention_backward(
            cls_input(&inputs),
            slice(&probabilities),
            &attention,
            slice(&gradient),
        );
        let found = [matrix(found.hidden, width), matrix(found.projected_queries, width)];
        register(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}
