//! The operations without gradients, and the optimiser's.

use burn::{nn::Linear, tensor::Tensor};
use burn_cubecl::{BoolElement, CubeRuntime, tensor::CubeTensor};

use super::{
    launch::{FORWARD_TOKENS_MAX, Plain, flat, primitive, reshaped, tensor},
    norm::{self, NormInput},
    optimizer,
    packing::{Layout, Sizes, pack, pad, split},
    product::{batched, multiply},
    rows,
    softmax::{Rows, softmax},
};
use crate::{
    numbers::count,
    settings::MatmulPrecision,
    train::{
        masks::Dropout,
        ops::{
            fused::Fused,
            inputs::{AdamWNumbers, AdamWTensors, Attention, Norm},
        },
    },
};

impl<R: CubeRuntime, BT: BoolElement> Fused for Plain<R, BT> {
    const FORWARD_TOKENS_MAX: usize = FORWARD_TOKENS_MAX;

    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        tensor(multiply(primitive(input), primitive(weight), precision))
    }

    fn multiply<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        tensor(multiply(primitive(a), primitive(b), MatmulPrecision::F32))
    }

    fn dense(layer: &Linear<Self>, input: Tensor<Self, 2>) -> Tensor<Self, 2> {
        linear(layer, input)
    }

    fn dropout(input: Tensor<Self, 2>, drop: Dropout) -> Tensor<Self, 2> {
        if drop.is_off() { input } else { tensor(rows::dropout(primitive(input), drop)) }
    }

    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        tensor(rows::gelu(flat(primitive(input)), flat(primitive(bias))))
    }

    fn residual_norm(inputs: Norm<Self>) -> Tensor<Self, 2> {
        let [output, ..] = norm::norm(NormInput {
            input: flat(primitive(inputs.input)),
            bias: flat(primitive(inputs.bias)),
            residual: flat(primitive(inputs.residual)),
            gamma: flat(primitive(inputs.gamma)),
            beta: flat(primitive(inputs.beta)),
            epsilon: epsilon(inputs.epsilon),
            drops: [inputs.before, inputs.after],
        });
        tensor(output)
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (flat(primitive(projected)), flat(primitive(bias)));
        tensor(attend::<R, BT>(projected, bias, attention).output)
    }

    fn cls_attention(
        hidden: Tensor<Self, 2>,
        projected_queries: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (hidden, queries) = (flat(primitive(hidden)), flat(primitive(projected_queries)));
        tensor(attend_first::<R, BT>(hidden, queries, attention).output)
    }

    fn clipping(
        gradients: Vec<Tensor<Self, 1>>,
        beside: Tensor<Self, 1>,
        norm_max: f64,
    ) -> Option<Tensor<Self, 1>> {
        let gradients = gradients.into_iter().map(primitive).collect();
        optimizer::clipping(gradients, flat(primitive(beside)), epsilon(norm_max)).map(tensor)
    }

    fn adamw(
        tensors: AdamWTensors<Tensor<Self, 1>>,
        clipping: Tensor<Self, 1>,
        numbers: AdamWNumbers,
    ) -> AdamWTensors<Tensor<Self, 1>> {
        optimizer::adamw(tensors.map(primitive), flat(primitive(clipping)), numbers).map(tensor)
    }
}

/// As [`Fused::dense`].
pub(super) fn linear<B: Fused>(layer: &Linear<B>, input: Tensor<B, 2>) -> Tensor<B, 2> {
    let output = B::product(input, layer.weight.val(), MatmulPrecision::F32);
    match &layer.bias {
        Some(bias) => output + bias.val().unsqueeze(),
        None => output,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
pub(super) const fn epsilon(value: f64) -> f32 {
    value as f32
}

/// The result of attention, and what its gradient needs.
pub(super) struct Attended<R: CubeRuntime> {
    /// `[rows, width]`
    pub(super) output: CubeTensor<R>,
    /// Scaled queries, keys, values, `[sequences, heads, longest, size]`, and probabilities,
    /// `[sequences, heads, longest, longest]`.
    pub(super) parts: [CubeTensor<R>; 4],
    pub(super) layout: Layout<R>,
}

/// The sizes and the factor of attention over `columns` = 3 · width columns.
pub(super) fn sizes(columns: usize, heads: usize) -> (Sizes, f32) {
    let size = columns / 3 / heads;
    (Sizes { heads, size }, epsilon(1.0 / count(size).sqrt()))
}

/// See [`Fused::packed_attention`].
pub(super) fn attend<R: CubeRuntime, BT: BoolElement>(
    projected: CubeTensor<R>,
    bias: CubeTensor<R>,
    attention: &Attention,
) -> Attended<R> {
    let layout = Layout::of(attention, &projected);
    let (sizes, scale) = sizes(bias.meta.num_elements(), attention.heads);
    let [queries, keys, values] = split(projected, bias, &layout, sizes, scale);
    let turned = tensor::<Plain<R, BT>, 4>(keys.clone()).swap_dims(2, 3);
    let scores = batched(tensor::<Plain<R, BT>, 4>(queries.clone()), turned);
    let rows = Rows { heads: attention.heads, only_first: false, drop: attention.drop };
    let [probabilities, weights] = softmax(scores, &layout, rows);
    let attended = batched(tensor::<Plain<R, BT>, 4>(weights), tensor(values.clone()));
    let output = pack(attended, &layout, sizes);
    Attended { output, parts: [queries, keys, values, probabilities], layout }
}

/// The result of attention with one query for each sequence, and what its gradient needs.
pub(super) struct AttendedFirst<R: CubeRuntime> {
    /// `[heads · sequences, width + 1]`
    pub(super) output: CubeTensor<R>,
    /// Hidden states, `[sequences, 1, longest, width]`, projected queries, `[sequences, 1, heads, width]`, and
    /// probabilities, `[sequences, 1, heads, longest]`.
    pub(super) parts: [CubeTensor<R>; 3],
    pub(super) layout: Layout<R>,
}

/// See [`Fused::cls_attention`].
pub(super) fn attend_first<R: CubeRuntime, BT: BoolElement>(
    hidden: CubeTensor<R>,
    queries: CubeTensor<R>,
    attention: &Attention,
) -> AttendedFirst<R> {
    let layout = Layout::of(attention, &hidden);
    let (heads, sequences) = (attention.heads, layout.sequences);
    let width = queries.meta.num_elements() / (heads * sequences);
    let hidden = pad(hidden, &layout, Sizes { heads: 1, size: width });
    let queries = tensor::<Plain<R, BT>, 3>(reshaped(queries, [heads, sequences, width])).swap_dims(0, 1);
    let queries = reshaped(primitive(queries), [sequences, 1, heads, width]);
    let turned = tensor::<Plain<R, BT>, 4>(hidden.clone()).swap_dims(2, 3);
    let scores = batched(tensor::<Plain<R, BT>, 4>(queries.clone()), turned);
    let rows = Rows { heads, only_first: true, drop: attention.drop };
    let [probabilities, weights] = softmax(scores, &layout, rows);
    let weights = tensor::<Plain<R, BT>, 4>(weights);
    let sums = weights.clone().sum_dim(3);
    let attended = tensor::<Plain<R, BT>, 4>(batched(weights, tensor(hidden.clone())));
    let all = Tensor::cat(vec![attended, sums], 3).reshape([sequences, heads, width + 1]).swap_dims(0, 1);
    let output = reshaped(primitive(all), [heads * sequences, width + 1]);
    AttendedFirst { output, parts: [hidden, queries, probabilities], layout }
}
