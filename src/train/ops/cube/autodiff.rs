//! The operations with hand-written gradients; see [`crate::train::ops::flex`] for how burn's graph takes them.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff,
        autodiff::{
            NodeId,
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
    embedding::{read, rows_gradient},
    inference::{Attended, AttendedFirst, attend, attend_first, by_trial, epsilon, linear, sizes},
    launch::{FORWARD_TOKENS_MAX, Plain, flat, primitive, reshaped, tensor},
    loss::losses,
    means::{means, means_backward},
    norm::{self, NormInput, NormState},
    packing::{Layout, Sizes, join, pack, pad},
    product::{batched, multiply, multiply_backward},
    rows::{self, column_sums},
    softmax::{Rows, softmax_backward},
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
        let [sums, by_logits] = losses(logits.primitive, primitive(targets).primitive, labels, trials);
        let sums = tensor::<Plain<R, BT>, 1>(sums);
        let [objective, shown] = [0, 1].map(|index| sums.clone().narrow(0, index * trials, trials));
        let prepared = Backward::<Plain<R, BT>, 1>::prepare::<NoCheckpointing>(LossOp, [logits.node]);
        let objective = tensor(match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(by_logits, primitive(objective)),
            OpsKind::UnTracked(prepared) => prepared.finish(primitive(objective)),
        });
        [objective, Tensor::from_inner(shown)]
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

/// Registers the gradients of those inputs that learn: the others have no node.
fn register<R: CubeRuntime, BT: BoolElement, const N: usize>(
    nodes: [Option<NodeId>; N],
    found: [CubeTensor<R>; N],
    gradients: &mut Gradients,
) {
    for (node, gradient) in nodes.into_iter().zip(found) {
        if let Some(node) = node {
            gradients.register::<Plain<R, BT>>(node, gradient);
        }
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
        let [by_input, by_residual, sums] = norm::norm_backward(NormState { tensors, drops }, gradient);
        let own = sums.meta.num_elements() / 3;
        let part =
            |index: usize| primitive(tensor::<Plain<R, BT>, 1>(sums.clone()).narrow(0, index * own, own));
        let found = [by_input, part(0), by_residual, part(1), part(2)];
        register::<R, BT, 5>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct AttentionOp;

#[derive(Clone, Debug)]
struct AttentionState<R: CubeRuntime> {
    /// Scaled queries, keys, values and probabilities.
    parts: [CubeTensor<R>; 4],
    layout: Layout<R>,
    attention: Attention,
}

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 2> for AttentionOp {
    type State = AttentionState<R>;

    // With S = Q Kᵀ the scores, w the weights after dropout, A = w V and D the gradient by A:
    //   G = D Vᵀ by w, wᵀ D by V, and with E the gradient by S (`softmax_backward`): E K by Q, Eᵀ Q by K.
    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let AttentionState { parts: [queries, keys, values, probabilities], layout, attention } = ops.state;
        let (sizes, scale) = sizes(3 * gradient.meta.num_elements() / layout.rows, attention.heads);
        let gradient = tensor::<Plain<R, BT>, 4>(pad(gradient, &layout, sizes));
        let [queries, keys, values] = [queries, keys, values].map(tensor::<Plain<R, BT>, 4>);
        let by_weights = batched(gradient.clone(), values.swap_dims(2, 3));
        let rows = Rows { heads: attention.heads, only_first: false, drop: &attention.drop };
        let [by_scores, weights] = softmax_backward(probabilities, by_weights, &layout, rows);
        let [by_scores, weights] = [by_scores, weights].map(tensor::<Plain<R, BT>, 4>);
        let by_values = batched(weights.swap_dims(2, 3), gradient);
        let by_queries = batched(by_scores.clone(), keys);
        let by_keys = batched(by_scores.swap_dims(2, 3), queries);
        let all = join([by_queries, by_keys, by_values], &layout, sizes, scale);
        let found = [all.clone(), column_sums(all, layout.trials)];
        register::<R, BT, 2>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}

#[derive(Debug)]
struct ClsAttentionOp;

#[derive(Clone, Debug)]
struct ClsState<R: CubeRuntime> {
    /// Hidden states, projected queries and probabilities.
    parts: [CubeTensor<R>; 3],
    layout: Layout<R>,
    attention: Attention,
}

impl<R: CubeRuntime, BT: BoolElement> Backward<Plain<R, BT>, 2> for ClsAttentionOp {
    type State = ClsState<R>;

    // With U the projected queries, X the hidden states, w the weights, A = w X and n = Σ w: the gradient by w is
    // D Xᵀ + d, with D the one by A and d the one by n; by X it is wᵀ D + Eᵀ U and by U it is E X, with E as above.
    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Plain<R, BT>>(&ops.node);
        let ClsState { parts: [hidden, queries, probabilities], layout, attention } = ops.state;
        let (heads, sequences) = (attention.heads, layout.sequences);
        let [hidden, queries] = [hidden, queries].map(tensor::<Plain<R, BT>, 4>);
        let [.., width] = hidden.dims();
        let (trials, own) = (layout.trials, sequences / layout.trials);
        let gradient = tensor::<Plain<R, BT>, 4>(reshaped(gradient, [trials, heads, own, width + 1]));
        let gradient = gradient.swap_dims(1, 2).reshape([sequences, 1, heads, width + 1]);
        let by_attended = gradient.clone().narrow(3, 0, width);
        let by_sums = gradient.narrow(3, width, 1);
        let by_weights =
            tensor::<Plain<R, BT>, 4>(batched(by_attended.clone(), hidden.clone().swap_dims(2, 3)));
        let by_weights = by_weights + by_sums;
        let rows = Rows { heads, only_first: true, drop: &attention.drop };
        let [by_scores, weights] = softmax_backward(probabilities, primitive(by_weights), &layout, rows);
        let [by_scores, weights] = [by_scores, weights].map(tensor::<Plain<R, BT>, 4>);
        let by_hidden = [
            batched(weights.swap_dims(2, 3), by_attended),
            batched(by_scores.clone().swap_dims(2, 3), queries),
        ];
        let [first, second] = by_hidden.map(tensor::<Plain<R, BT>, 4>);
        let by_hidden = first + second;
        let one = Sizes { heads: 1, size: width };
        let by_hidden = pack(primitive(by_hidden), &layout, one);
        let by_queries = tensor::<Plain<R, BT>, 4>(batched(by_scores, hidden));
        let by_queries = by_queries.reshape([trials, own, heads, width]).swap_dims(1, 2);
        let by_queries = reshaped(primitive(by_queries), [heads * sequences, width]);
        let found = [by_hidden, by_queries];
        register::<R, BT, 2>(ops.parents.map(|node| node.map(|node| node.id)), found, gradients);
    }
}
