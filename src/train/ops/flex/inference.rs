//! The operations without gradients.

use burn::{backend::Flex, tensor::Tensor};

use super::convert::{
    NormTensors, cls_input, columns, flat, matrix, owned, primitive, product, slice, tensor,
};
use crate::{
    settings::MatmulPrecision,
    train::ops::{
        attention, cls_attention,
        fused::Fused,
        inputs::{Attention, Norm},
        kernels,
    },
};

impl Fused for Flex {
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
        tensor(matrix(values, slice(&bias).len()))
    }

    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        let mut values = owned(primitive(norm.input));
        let residual = flat(primitive(norm.residual));
        let [bias, gamma, beta] = [norm.bias, norm.gamma, norm.beta].map(|tensor| flat(primitive(tensor)));
        let parts = NormTensors { parts: [bias, residual, gamma, beta], epsilon: norm.epsilon };
        kernels::norm_in_place(parts.input(norm.before.alone(), norm.after.alone()), &mut values);
        tensor(matrix(values, parts.width()))
    }

    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let (projected, bias) = (owned(primitive(projected)), flat(primitive(bias)));
        let result = attention::attention(projected, slice(&bias), attention);
        tensor(matrix(result.output, slice(&bias).len() / 3))
    }

    fn cls_attention(
        hidden: Tensor<Self, 2>,
        projected_queries: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        let inputs = [hidden, projected_queries].map(|tensor| flat(primitive(tensor)));
        let result = cls_attention::cls_attention(cls_input(&inputs), attention);
        tensor(matrix(result.output, columns(&inputs[0]) + 1))
    }
}
