//! The parts of an encoder: products, norms and layers.

use burn::{
    module::{Module, Param},
    nn::Embedding,
    tensor::{Tensor, backend::Backend},
};

use super::batch::Batch;
use crate::{
    numbers::count,
    settings::MatmulPrecision,
    train::{
        encoder::family::Family,
        masks::{Drops, Masks},
        ops::{
            fused::Fused,
            inputs::{Attention, Norm},
        },
    },
};

/// The tokens whose output the last layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queries {
    /// Every token: one row of output for each row of input.
    All,
    /// The first token of each chunk, which is all that CLS pooling reads: one row of output for each chunk.
    First,
    /// The first token of each chunk, computed such that its row does not depend, to the bit, on the chunks beside
    /// it. This takes longer than `First`.
    FirstEach,
}

#[derive(Module, Debug)]
pub(super) struct LayerNorm<B: Backend> {
    pub(super) gamma: Param<Tensor<B, 1>>,
    pub(super) beta: Param<Tensor<B, 1>>,
    #[module(skip)]
    pub(super) epsilon: f64,
}

/// A matrix, and a bias that the operation after the product adds.
#[derive(Module, Debug)]
pub(super) struct Product<B: Backend> {
    /// `[inputs, outputs]`
    pub(super) weight: Param<Tensor<B, 2>>,
    /// `[outputs]`
    pub(super) bias: Param<Tensor<B, 1>>,
}

#[derive(Module, Debug)]
pub(super) struct Layer<B: Backend> {
    /// Query, key, value: `[hidden, 3 · hidden]`.
    pub(super) projections: Product<B>,
    pub(super) attention_output: Product<B>,
    pub(super) attention_norm: LayerNorm<B>,
    pub(super) intermediate: Product<B>,
    pub(super) output: Product<B>,
    pub(super) output_norm: LayerNorm<B>,
    #[module(skip)]
    pub(super) heads: usize,
    /// The precision of the layer's products where every token is a query.
    #[module(skip)]
    pub(super) precision: MatmulPrecision,
}

#[derive(Module, Debug)]
pub(super) struct Encoder<B: Backend> {
    pub(super) words: Embedding<B>,
    pub(super) positions: Embedding<B>,
    /// Only the first row is used: a text is one segment.
    pub(super) token_types: Option<Embedding<B>>,
    pub(super) embedding_norm: LayerNorm<B>,
    pub(super) layers: Vec<Layer<B>>,
}

impl<B: Fused> LayerNorm<B> {
    /// after(LayerNorm(before(input + bias) + residual)); `input` and `residual`: `[rows, width]`.
    pub(super) fn forward(
        &self,
        input: Tensor<B, 2>,
        bias: Tensor<B, 1>,
        residual: Tensor<B, 2>,
        [before, after]: [Drops; 2],
    ) -> Tensor<B, 2> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        B::residual_norm(Norm { input, bias, residual, gamma, beta, epsilon: self.epsilon, before, after })
    }
}

impl<B: Fused> Product<B> {
    /// `[rows, inputs]` times the matrix: `[rows, outputs]`, without the bias.
    fn of(&self, input: Tensor<B, 2>, precision: MatmulPrecision) -> Tensor<B, 2> {
        B::product(input, self.weight.val(), precision)
    }
}

impl<B: Fused> Layer<B> {
    /// `hidden`: `[tokens, width]`. The result has one row for each query.
    pub(super) fn forward(
        &self,
        hidden: Tensor<B, 2>,
        batch: &Batch<B>,
        masks: &Masks,
        queries: Queries,
        family: &Family,
    ) -> Tensor<B, 2> {
        // With first tokens alone as queries, the products are small and bf16 saves little. `First` and `FirstEach`
        // must also agree: rounding to bf16 would enlarge the difference in the last bits of their results.
        let precision = if queries == Queries::All { self.precision } else { MatmulPrecision::F32 };
        let attention = Attention { packing: batch.packing.clone(), heads: self.heads, drop: masks.next() };
        let firsts = |rows: Tensor<B, 2>| B::embedding_rows(rows, &batch.first_rows(), None);
        let (attended, residual) = match queries {
            Queries::All | Queries::FirstEach => {
                let projected = self.projections.of(hidden.clone(), precision);
                let attended = B::packed_attention(projected, self.projections.bias.val(), &attention);
                match queries {
                    Queries::All => (attended, hidden),
                    _ => (firsts(attended), firsts(hidden)),
                }
            }
            Queries::First => {
                let firsts = firsts(hidden.clone());
                (self.first_attended(hidden, firsts.clone(), &attention), firsts)
            }
        };
        let output = self.attention_output.of(attended, precision);
        let drop = if family.attention_output_dropout { masks.next() } else { Drops::off() };
        let drops = [drop, Drops::off()];
        let attended = self.attention_norm.forward(output, self.attention_output.bias.val(), residual, drops);
        let inner = self.intermediate.of(attended.clone(), precision);
        let inner = self.output.of(B::bias_gelu(inner, self.intermediate.bias.val()), precision);
        let drops = [masks.next(), Drops::off()];
        self.output_norm.forward(inner, self.output.bias.val(), attended, drops)
    }

    /// Attention with the chunks' first tokens as the only queries. `hidden`: `[tokens, width]`; `firsts`, the rows
    /// of the first tokens: `[chunks, width]`. Result: `[chunks, width]`.
    fn first_attended(
        &self,
        hidden: Tensor<B, 2>,
        firsts: Tensor<B, 2>,
        attention: &Attention,
    ) -> Tensor<B, 2> {
        match attention.packing.trials() {
            1 => self.attend_first(hidden, firsts, attention),
            _ => self.attend_first_by_trial(hidden, firsts, attention),
        }
    }

    /// [`Self::first_attended`] for one trial.
    // With h heads of size s = width / h, and with Wq, Wk, Wv of one head `[width, s]`:
    //   q = (x₀ Wq + bq) / √s                          the query of the first token x₀, `[s]`
    //   score(x) = (x Wk + bk) · q = x · (Wk q) + bk · q
    // The last term is the same for all tokens of a chunk, and adding a constant to all scores does not change their
    // softmax: it is left out. `Wk q`, `[width]`, is the projected query. With p = dropout(softmax(scores)):
    //   Σ p (x Wv + bv) = (Σ p x) Wv + (Σ p) bv
    // where Σ p is not 1 under dropout. Keys and values of single tokens are never computed. For T tokens in c chunks
    // their 2 · T · width² multiplications become 2 · c · width² for the matrices and 2 · T · h · width for scores
    // and sums: fewer by about the smaller of T / c, a chunk's length, and s, a head's size.
    fn attend_first(
        &self,
        hidden: Tensor<B, 2>,
        firsts: Tensor<B, 2>,
        attention: &Attention,
    ) -> Tensor<B, 2> {
        let ([chunks, width], heads) = (firsts.dims(), self.heads);
        let size = width / heads;
        let (weight, bias) = (self.projections.weight.val(), self.projections.bias.val());
        let matrix = |part: usize| weight.clone().narrow(1, part * width, width);
        let bias = |part: usize| bias.clone().narrow(0, part * width, width);
        let scale = 1.0 / count(size).sqrt();
        let queries = (B::multiply(firsts, matrix(0)) + bias(0).unsqueeze()).mul_scalar(scale);
        let queries = queries.reshape([chunks, heads, size]).swap_dims(0, 1);
        let keys = matrix(1).reshape([width, heads, size]).permute([1, 2, 0]);
        let projected_queries = B::multiply(queries, keys).reshape([heads * chunks, width]);
        let sums = B::cls_attention(hidden, projected_queries, attention);
        let sums = sums.reshape([heads, chunks, width + 1]);
        let values = matrix(2).reshape([width, heads, size]).swap_dims(0, 1);
        let attended = B::multiply(sums.clone().narrow(2, 0, width), values);
        let shift = sums.narrow(2, width, 1).mul(bias(2).reshape([heads, 1, size]));
        (attended + shift).swap_dims(0, 1).reshape([chunks, width])
    }

    /// [`Self::first_attended`] for several trials, as [`Self::attend_first`] computes it for each.
    fn attend_first_by_trial(
        &self,
        hidden: Tensor<B, 2>,
        firsts: Tensor<B, 2>,
        attention: &Attention,
    ) -> Tensor<B, 2> {
        let ([all, width], heads, trials) = (firsts.dims(), self.heads, attention.packing.trials());
        let (size, chunks) = (width / heads, all / trials);
        let weight = self.projections.weight.val().reshape([trials, width, 3 * width]);
        let bias = self.projections.bias.val().reshape([trials, 1, 3 * width]);
        let matrix = |part: usize| weight.clone().narrow(2, part * width, width);
        let bias = |part: usize| bias.clone().narrow(2, part * width, width);
        let scale = 1.0 / count(size).sqrt();
        let firsts = firsts.reshape([trials, chunks, width]);
        let queries = (B::multiply(firsts, matrix(0)) + bias(0)).mul_scalar(scale);
        let queries = queries.reshape([trials, chunks, heads, size]).swap_dims(1, 2);
        let keys = matrix(1).reshape([trials, width, heads, size]).permute([0, 2, 3, 1]);
        let projected_queries = B::multiply(queries, keys).reshape([trials * heads * chunks, width]);
        let sums = B::cls_attention(hidden, projected_queries, attention);
        let sums = sums.reshape([trials, heads, chunks, width + 1]);
        let values = matrix(2).reshape([trials, width, heads, size]).swap_dims(1, 2);
        let attended = B::multiply(sums.clone().narrow(3, 0, width), values);
        let shift = sums.narrow(3, width, 1).mul(bias(2).reshape([trials, heads, 1, size]));
        (attended + shift).swap_dims(1, 2).reshape([all, width])
    }
}
