//! The operations with hand-written gradients; see [`crate::train::ops::flex`] for how burn's graph takes them.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
    },
    nn::Linear,
    tensor::{Int, Tensor},
};
use burn_cubecl::{BoolElement, CubeRuntime, tensor::CubeTensor};

use super::{
    attention::{AttentionOp, AttentionState, ClsAttentionOp, ClsState},
    embedding::{read, rows_gradient},
    graph::register,
    inference::{Attended, AttendedFirst, attend, attend_first, by_trial, epsilon, linear},
    launch::{FORWARD_TOKENS_MAX, Plain, flat, primitive, tensor},
    loss::losses,
    means::{means, means_backward},
    norm::{self, NormInput},
    norm_gradient::{NormState, norm_backward},
    packing::Layout,
    product::{multiply, multiply_backward},
    rows,
};
use crate::{
    settings::MatmulPrecision,
    train::{
        masks::Drops,
        ops::{
            fused::Fused,
            inputs::{Attention, Norm, Packing, RowIds},
            row_sink::RowSink,
        },
    },
};

type Tracked<R, BT> = Autodiff<Plain<R, BT>>;

impl<R: CubeRuntime, BT: BoolElement> Fused for Tracked<R, BT> {
    const FORWARD_TOKENS_MAX: usize = FORWARD_TOKENS_MAX;

    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        by_trial(input, weight, |a, b| product(a, b, precision))
    }

    fn multiply<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        product(a, b, MatmulPrecision::F32)
    }

    fn dense(layer: &Linear<Self>, input: Tensor<Self, 2>) -> Tensor<Self, 2> {
        linear(layer, input)
    }

    fn embedding_rows(
        table: Tensor<Self, 2>,
        ids: &RowIds<Self>,
        _sink: Option<&RowSink>,
    ) -> Tensor<Self, 2> {
        let shape = table.dims();
        let table = primitive(table);
        let rows: Tensor<Plain<R, BT>, 1, Int> = ids.on_device.clone().inner();
        let output = read(table.primitive, rows.into_primitive(), ids.tables);
        let prepared = Backward::<Plain<R, BT>, 1>::prepare::<NoCheckpointing>(RowsOp, [table.node]);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((ids.on_host.clone(), shape, ids.tables), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn dropout(input: Tensor<Self, 2>, drop: &Drops) -> Tensor<Self, 2> {
        if drop.is_off() {
            return input;
        }
        let input = primitive(input);
        let output = rows::dropout(input.primitive, drop);
        let prepared = Backward::<Plain<R, BT>, 1>::prepare::<NoCheckpointing>(DropoutOp, [input.node]);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(drop.clone(), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        let (input, bias) = (primitive(input), primitive(bias));
        let inputs = [flat(input.primitive), flat(bias.primitive)];
        let [x, b] = inputs.clone();
        let output = rows::gelu(x, b);
        let nodes = [input.node, bias.node];
        let prepared = Backward::<Plain<R, BT>, 2>::prepare::<NoCheckpointing>(GeluOp, nodes);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(inputs, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn residual_norm(inputs: Norm<Self>) -> Tensor<Self, 2> {
        let drops = [inputs.before, inputs.after];
        let [input, residual] = [inputs.input, inputs.residual].map(primitive);
        let [bias, gamma, beta] = [inputs.bias, inputs.gamma, inputs.beta].map(primitive);
        let nodes = [&input, &bias, &residual, &gamma, &beta].map(|part| part.node.clone());
        let gamma = flat(gamma.primitive);
        let [output, normal, inverse] = norm::norm(NormInput {
            input: flat(input.primitive),
            bias: flat(bias.primitive),
            residual: flat(residual.primitive),
            gamma: gamma.clone(),
            beta: flat(beta.primitive),
            epsilon: epsilon(inputs.epsilon),
            drops: drops.clone(),
        });
        let prepared = Backward::<Plain<R, BT>, 5>::prepare::<NoCheckpointing>(NormOp, nodes);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(([gamma, normal, inverse], drops), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn sequence_means(hidden: Tensor<Self, 2>, packing: &Arc<Packing>) -> Tensor<Self, 2> {
        let hidden = primitive(hidden);
        let layout = Layout::of(packing, &hidden.primitive);
        let output = means(hidden.primitive, &layout);
        let prepared = Backward::<Plain<R, BT>, 1>::prepare::<NoCheckpointing>(MeansOp, [hidden.node]);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(layout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }

    fn losses(
        logits: Tensor<Self, 2>,
        targets: Tensor<Self, 2>,
        labels: &[Option<usize>],
        trials: usize,
    ) -> [Tensor<Self, 1>; 2] {
        let logits = primitive(logits);
        let [objective, shown, by_logits] =
            losses(logits.primitive, primitive(targets).primitive, labels, trials);
        let prepared = Backward::<Plain<R, BT>, 1>::prepare::<NoCheckpointing>(LossOp, [logits.node]);
        let objective = tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(by_logits, objective),
            OpsKind::UnTracked(prepared) => prepared.finish(objective),
        });
        [objective, Tensor::from_inner(tensor(shown))]
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (primitive(projected), primitive(bias));
        let nodes = [projected.node, bias.node];
        let Attended { output, parts, layout } =
            attend::<R, BT>(flat(projected.primitive), flat(bias.primitive), attention);
        let prepared = Backward::<Plain<R, BT>, 2>::prepare::<NoCheckpointing>(AttentionOp, nodes);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(AttentionState { parts, layout, attention: attention.clone() }, output)
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
        let [hidden, queries] = inputs.map(|input| flat(input.primitive));
        let AttendedFirst { output, parts, layout } = attend_first::<R, BT>(hidden, queries, attention);
        let prepared = Backward::<Plain<R, BT>, 2>::prepare::<NoCheckpointing>(ClsAttentionOp, nodes);
        tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish(ClsState { parts, layout, attention: attention.clone() }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }
}

/// See [`Fused::product`] and [`Fused::multiply`].
fn product<R: CubeRuntime, BT: BoolElement, const D: usize>(
    a: Tensor<Tracked<R, BT>, D>,
    b: Tensor<Tracked<R, BT>, D>,
    precision: MatmulPrecision,
) -> Tensor<Tracked<R, BT>, D> {
    let inputs = [a, b].map(primitive);
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let [a, b] = inputs.map(|input| input.primitive);
    let output = multiply(a.clone(), b.clone(), precision);
    let prepared = Backward::<Plain<R, BT>, 2>::prepare::<NoCheckpointing>(ProductOp::<D>, nodes);
    tensor(match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(([a, b], precision), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}

/// A product of stacks of matrices with `D` dimensions in all.
#[derive(Debug)]
struct ProductOp<const D: usize>;

impl<R: CubeRuntime, BT: BoolElement, const D: usize> Backward<Plain<R, BT>, 2> for ProductOp<D> {
    /// The factors, and the precision of their product.
    type State = ([CubeTensor<R>; 2], MatmulPrecision);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let (factors, precision) = ops.state;
        let nodes = ops.parents.map(|node| node.map(|node| node.id));
        let wanted = nodes.map(|node| node.is_some());
        let found = multiply_backward::<R, BT, D>(factors, gradient, precision, wanted);
        for (node, gradient) in nodes.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.register::<Plain<R, BT>>(node, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct RowsOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 1> for RowsOp {
    /// The rows that were read, the shape of the tables together, and their number.
    type State = (Arc<[u32]>, [usize; 2], usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let (ids, shape, tables) = ops.state;
        let found = [rows_gradient(&gradient, &ids, shape, tables)];
        register::<R, BT, 1>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct DropoutOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 1> for DropoutOp {
    type State = Drops;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let found = [rows::dropout(gradients.consume::<Plain<R, BT>>(&ops.node), &ops.state)];
        register::<R, BT, 1>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct GeluOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 2> for GeluOp {
    /// Input and bias.
    type State = [CubeTensor<R>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let [input, bias] = ops.state;
        let found = rows::gelu_backward(input, bias, gradient);
        register::<R, BT, 2>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct MeansOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 1> for MeansOp {
    type State = Layout<R>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let found = [means_backward(gradients.consume::<Plain<R, BT>>(&ops.node), &ops.state)];
        register::<R, BT, 1>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct LossOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 1> for LossOp {
    /// The gradient by the logits where the one by the loss is 1.
    type State = CubeTensor<R>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = tensor::<Plain<R, BT>, 1>(gradients.consume::<Plain<R, BT>>(&ops.node));
        let by_logits = tensor::<Plain<R, BT>, 2>(ops.state);
        let ([documents, classes], [trials]) = (by_logits.dims(), gradient.dims());
        let own = by_logits.reshape([trials, documents / trials * classes]) * gradient.reshape([trials, 1]);
        let found = [primitive(own.reshape([documents, classes]))];
        register::<R, BT, 1>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct NormOp;

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 5> for NormOp {
    /// Gamma, the normalised rows, 1 / the standard deviation of each row, and the masks.
    type State = ([CubeTensor<R>; 3], [Drops; 2]);

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let (tensors, drops) = ops.state;
        let [by_input, by_residual, sums] = norm_backward(NormState { tensors, drops }, gradient);
        let own = sums.meta.num_elements() / 3;
        let part =
            |index: usize| primitive(tensor::<Plain<R, BT>, 1>(sums.clone()).narrow(0, index * own, own));
        let found = [by_input, part(0), by_residual, part(1), part(2)];
        register::<R, BT, 5>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}
