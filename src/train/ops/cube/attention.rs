//! The gradients of both kinds of attention.

use burn::backend::autodiff::{
    checkpoint::base::Checkpointer,
    grads::Gradients,
    ops::{Backward, Ops},
};
use burn_cubecl::{BoolElement, CubeRuntime, tensor::CubeTensor};

use super::{
    graph::register,
    inference::sizes,
    launch::{Plain, primitive, reshaped, tensor},
    packing::{Layout, Sizes, join, pack, pad},
    product::batched,
    rows::column_sums,
    softmax::{Rows, softmax_backward},
};
use crate::train::ops::inputs::Attention;

#[derive(Debug)]
pub(super) struct AttentionOp;

#[derive(Clone, Debug)]
pub(super) struct AttentionState<R: CubeRuntime> {
    /// Scaled queries, keys, values and probabilities.
    pub(super) parts: [CubeTensor<R>; 4],
    pub(super) layout: Layout<R>,
    pub(super) attention: Attention,
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
pub(super) struct ClsAttentionOp;

#[derive(Clone, Debug)]
pub(super) struct ClsState<R: CubeRuntime> {
    /// Hidden states, projected queries and probabilities.
    pub(super) parts: [CubeTensor<R>; 3],
    pub(super) layout: Layout<R>,
    pub(super) attention: Attention,
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
