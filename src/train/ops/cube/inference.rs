//! The operations without gradients, and the optimiser's.

use std::sync::Arc;

use burn::{
    nn::Linear,
    tensor::{Tensor, backend::Backend},
};
use burn_cubecl::{BoolElement, CubeRuntime, tensor::CubeTensor};

use super::{
    embedding,
    launch::{FORWARD_TOKENS_MAX, Plain, flat, primitive, reshaped, tensor},
    means,
    norm::{self, NormInput},
    optimizer::{self, Numbers},
    packing::{Layout, Sizes, pack, pad, split},
    product::{batched, multiply},
    rows,
    softmax::{Rows, softmax},
};
use crate::{
    numbers::count,
    settings::MatmulPrecision,
    train::{
        masks::Drops,
        ops::{
            fused::Fused,
            inputs::{AdamWTensors, Attention, Norm, Packing, RowIds, UpdateNumbers},
            row_sink::RowSink,
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
        by_trial(input, weight, |a, b| tensor(multiply(primitive(a), primitive(b), precision)))
    }

    fn multiply<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        tensor(multiply(primitive(a), primitive(b), MatmulPrecision::F32))
    }

    fn dense(layer: &Linear<Self>, input: Tensor<Self, 2>) -> Tensor<Self, 2> {
        linear(layer, input)
    }

    fn embedding_rows(
        table: Tensor<Self, 2>,
        ids: &RowIds<Self>,
        _sink: Option<&RowSink>,
    ) -> Tensor<Self, 2> {
        tensor(embedding::read(primitive(table), ids.on_device.clone().into_primitive(), ids.tables))
    }

    fn dropout(input: Tensor<Self, 2>, drop: &Drops) -> Tensor<Self, 2> {
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

    fn sequence_means(hidden: Tensor<Self, 2>, packing: &Arc<Packing>) -> Tensor<Self, 2> {
        let hidden = primitive(hidden);
        let layout = Layout::of(packing, &hidden);
        tensor(means::means(hidden, &layout))
    }

    fn clipping(
        gradients: Vec<Tensor<Self, 1>>,
        beside: Tensor<Self, 1>,
        norms_max: &[f32],
    ) -> Option<Tensor<Self, 1>> {
        let gradients = gradients.into_iter().map(primitive).collect();
        optimizer::clipping(gradients, flat(primitive(beside)), norms_max).map(tensor)
    }

    fn adamw(
        tensors: AdamWTensors<Tensor<Self, 1>>,
        clipping: Tensor<Self, 1>,
        UpdateNumbers { table, first, trials }: UpdateNumbers<Self>,
    ) -> AdamWTensors<Tensor<Self, 1>> {
        let numbers = Numbers { table: flat(primitive(table)), first, trials };
        optimizer::adamw(tensors.map(primitive), flat(primitive(clipping)), numbers).map(tensor)
    }
}

/// Each trial's rows of `a`, `[trials · rows, k]`, times its matrix of `b`, `[trials · k, n]`: `[trials · rows, n]`.
pub(super) fn by_trial<B: Backend>(
    a: Tensor<B, 2>,
    b: Tensor<B, 2>,
    product: impl Fn(Tensor<B, 3>, Tensor<B, 3>) -> Tensor<B, 3>,
) -> Tensor<B, 2> {
    let ([rows, k], [all, n]) = (a.dims(), b.dims());
    let trials = all / k;
    product(a.reshape([trials, rows / trials, k]), b.reshape([trials, k, n])).reshape([rows, n])
}

/// As [`Fused::dense`].
pub(super) fn linear<B: Fused>(layer: &Linear<B>, input: Tensor<B, 2>) -> Tensor<B, 2> {
    let output = B::product(input, layer.weight.val(), MatmulPrecision::F32);
    let Some(bias) = &layer.bias else { return output };
    let ([rows, width], [all]) = (output.dims(), bias.val().dims());
    let trials = all / width;
    let output = output.reshape([trials, rows / trials, width]) + bias.val().reshape([trials, 1, width]);
    output.reshape([rows, width])
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
    let layout = Layout::of(&attention.packing, &projected);
    let (sizes, scale) = sizes(bias.meta.num_elements() / layout.trials, attention.heads);
    let [queries, keys, values] = split(projected, bias, &layout, sizes, scale);
    let turned = tensor::<Plain<R, BT>, 4>(keys.clone()).swap_dims(2, 3);
    let scores = batched(tensor::<Plain<R, BT>, 4>(queries.clone()), turned);
    let rows = Rows { heads: attention.heads, only_first: false, drop: &attention.drop };
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
    let layout = Layout::of(&attention.packing, &hidden);
    let (heads, sequences) = (attention.heads, layout.sequences);
    let width = queries.meta.num_elements() / (heads * sequences);
    let hidden = pad(hidden, &layout, Sizes { heads: 1, size: width });
    let (trials, own) = (layout.trials, sequences / layout.trials);
    let queries = tensor::<Plain<R, BT>, 4>(reshaped(queries, [trials, heads, own, width])).swap_dims(1, 2);
    let queries = reshaped(primitive(queries), [sequences, 1, heads, width]);
    let turned = tensor::<Plain<R, BT>, 4>(hidden.clone()).swap_dims(2, 3);
    let scores = batched(tensor::<Plain<R, BT>, 4>(queries.clone()), turned);
    let rows = Rows { heads, only_first: true, drop: &attention.drop };
    let [probabilities, weights] = softmax(scores, &layout, rows);
    let weights = tensor::<Plain<R, BT>, 4>(weights);
    let sums = weights.clone().sum_dim(3);
    let attended = tensor::<Plain<R, BT>, 4>(batched(weights, tensor(hidden.clone())));
    let all = Tensor::cat(vec![attended, sums], 3).reshape([trials, own, heads, width + 1]).swap_dims(1, 2);
    let output = reshaped(primitive(all), [heads * sequences, width + 1]);
    AttendedFirst { output, parts: [hidden, queries, probabilities], layout }
}
