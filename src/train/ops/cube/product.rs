//! Products of matrices in the precision that was asked for.
//!
//! burn's own product of f32 runs on the tensor cores of NVIDIA GPUs where it can, with
//! factors rounded to tf32 (cubek-matmul 0.2, `adjust_dtypes`). Here that is done where
//! `matmul_precision` says so.

use burn::tensor::{DType, Tensor};
use burn_cubecl::{BoolElement, CubeRuntime, kernel::cast, tensor::CubeTensor};
use cubek::{
    matmul::{
        definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError, TilingBlueprint},
        launch::launch_tiling::launch_ref,
        routines::{BlueprintStrategy, Routine, simple::SimpleAlgorithm, simple_unit::SimpleUnitAlgorithm},
    },
    std::InputBinding,
};

use super::{
    launch::{Plain, empty, primitive, tensor},
    tiling::AnySize,
};
use crate::settings::MatmulPrecision;

/// `a`, `[…, m, k]`, times `b`, `[…, k, n]`: f32, `[…, m, n]`. The dimensions before the last two are equal.
///
/// # Panics
/// When no kernel of the library can be launched on the device, on which trials cannot be trained then.
pub(super) fn multiply<R: CubeRuntime>(
    a: CubeTensor<R>,
    b: CubeTensor<R>,
    precision: MatmulPrecision,
) -> CubeTensor<R> {
    let mut shape = a.meta.shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = b.meta.shape()[last];
    let output = empty(&a, shape);
    let factor = match precision {
        MatmulPrecision::F32 | MatmulPrecision::Tf32 => DType::F32,
        MatmulPrecision::Bf16 => DType::BF16,
    };
    let factors = [a, b].map(|matrix| if matrix.dtype == factor { matrix } else { cast(matrix, factor) });
    let launched = match precision {
        MatmulPrecision::F32 => launch::<R, SimpleUnitAlgorithm>(&factors, &output),
        MatmulPrecision::Tf32 | MatmulPrecision::Bf16 => {
            match launch::<R, SimpleAlgorithm>(&factors, &output) {
                // Without tensor cores.
                Err(MatmulSetupError::Unavailable(_)) => launch::<R, SimpleUnitAlgorithm>(&factors, &output),
                launched => launched,
            }
        }
    };
    launched
        .unwrap_or_else(|error| panic!("this device has no kernel for a product of {factor:?}: {error:?}"));
    output
}

/// Computes the product of `factors` into `output` by an algorithm of the library.
fn launch<R: CubeRuntime, A: Routine<(), Blueprint = TilingBlueprint>>(
    factors: &[CubeTensor<R>; 2],
    output: &CubeTensor<R>,
) -> Result<(), MatmulSetupError> {
    let factor = factors[0].dtype.into();
    let [a, b] = factors.each_ref().map(|matrix| InputBinding::new(matrix.clone().binding(), factor));
    let elements = MatmulGlobalElems { lhs: factor, rhs: factor, out: output.dtype.into() };
    launch_ref::<R, AnySize<A>>(
        &output.client,
        a,
        b,
        output.clone().binding(),
        &BlueprintStrategy::default(),
        &mut MatmulElems::from_globals(&elements),
    )
}

/// The transpose of the last two dimensions; nothing is copied.
fn transposed<R: CubeRuntime, BT: BoolElement, const D: usize>(matrix: CubeTensor<R>) -> CubeTensor<R> {
    primitive(tensor::<Plain<R, BT>, D>(matrix).swap_dims(D - 2, D - 1))
}

/// The gradients of [`multiply`] by `a` and `b`, in the same precision.
// With Y = A B and D the gradient by Y: D Bᵀ by A, and Aᵀ D by B.
pub(super) fn multiply_backward<R: CubeRuntime, BT: BoolElement, const D: usize>(
    [a, b]: [CubeTensor<R>; 2],
    gradient: CubeTensor<R>,
    precision: MatmulPrecision,
    wanted: [bool; 2],
) -> [Option<CubeTensor<R>>; 2] {
    let by_a = wanted[0].then(|| multiply(gradient.clone(), transposed::<R, BT, D>(b), precision));
    let by_b = wanted[1].then(|| multiply(transposed::<R, BT, D>(a), gradient, precision));
    [by_a, by_b]
}

/// The product of two stacks of matrices, f32.
pub(super) fn batched<R: CubeRuntime, BT: BoolElement>(
    a: Tensor<Plain<R, BT>, 4>,
    b: Tensor<Plain<R, BT>, 4>,
) -> CubeTensor<R> {
    multiply(primitive(a), primitive(b), MatmulPrecision::F32)
}
