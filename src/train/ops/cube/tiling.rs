//! One kernel for the products of all sizes.
//!
//! cubek-matmul 0.2 writes the sizes of a product into its kernel: how many tiles a cube has depends on whether `m` and
//! `k` are at least 512, the order of cubes on whether the tiles along `m` are a multiple of four, and each of three
//! checks of bounds on whether tiles divide a size. Sizes differ from batch to batch, so kernels would be compiled
//! whenever a batch is the first of its class. Here all of this is chosen as for a product of one fixed size.
//!
//! What is left to depend on a product is its numbers, the layouts of its factors, and how many values a unit reads at
//! once, which their sizes must be multiples of; sizes that differ from batch to batch are (see
//! [`crate::train::encoder::model::batch`]).

use std::marker::PhantomData;

use cubecl::{Runtime, client::ComputeClient};
use cubek::{
    matmul::{
        definition::{MatmulProblem, MatmulSetupError, MatmulVectorSizes, TilingBlueprint},
        routines::{BlueprintStrategy, DeviceSettings, ExpandInfo, LaunchInfo, Routine},
    },
    std::cube_count::{CubeCountStrategy, GlobalOrder, HypercubeBlueprint},
};

/// `m`, `n` and `k` of the product for which the tiles are chosen.
const SIZES: [usize; 3] = [256, 512, 512];

/// `A`, with tiles that are the same for all sizes.
pub(super) struct AnySize<A>(PhantomData<A>);

impl<A: Routine<(), Blueprint = TilingBlueprint>> Routine<()> for AnySize<A> {
    type Strategy = A::Strategy;
    type Blueprint = TilingBlueprint;
    type Config = A::Config;
    type BatchMatmul = A::BatchMatmul;

    fn expand_blueprint<R: Runtime>(
        problem: &MatmulProblem,
        device_settings: &DeviceSettings<R>,
        strategy: &BlueprintStrategy<(), Self>,
    ) -> Result<ExpandInfo<TilingBlueprint>, MatmulSetupError> {
        let strategy = match strategy {
            BlueprintStrategy::Forced(blueprint) => BlueprintStrategy::Forced(blueprint.clone()),
            BlueprintStrategy::Inferred(strategy) => BlueprintStrategy::Inferred(strategy.clone()),
        };
        let [m, n, k] = SIZES;
        let fixed = MatmulProblem { m, n, k, ..problem.clone() };
        let ExpandInfo { blueprint, dtypes } = A::expand_blueprint(&fixed, device_settings, &strategy)?;
        // Cubes that stand in one line are never too many for CUDA, and none is without work.
        let cubes = HypercubeBlueprint::builder()
            .global_order(GlobalOrder::RowMajor)
            .cube_count_strategy(CubeCountStrategy::Flattened)
            .build();
        let blueprint = TilingBlueprint {
            check_m_bounds: true,
            check_n_bounds: true,
            check_k_bounds: true,
            hypercube_blueprint: cubes,
            ..blueprint
        };
        Ok(ExpandInfo { blueprint, dtypes })
    }

    fn prepare<R: Runtime>(
        problem: &MatmulProblem,
        device_settings: &DeviceSettings<R>,
        expand_info: ExpandInfo<TilingBlueprint>,
    ) -> Result<LaunchInfo<TilingBlueprint>, MatmulSetupError> {
        A::prepare(problem, device_settings, expand_info)
    }

    fn device_settings<R: Runtime>(
        client: &ComputeClient<R>,
        vector_sizes: MatmulVectorSizes,
    ) -> DeviceSettings<R> {
        A::device_settings(client, vector_sizes)
    }
}

#[cfg(all(test, feature = "wgpu"))]
#[expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]
mod tests {
    use std::fmt::Debug;

    use burn::{
        backend::wgpu::{WgpuDevice, WgpuRuntime},
        tensor::{DType, Shape},
    };
    use cubecl::ir::AddressType;
    use cubek::{
        matmul::{definition::MatmulGlobalElems, routines::simple_unit::SimpleUnitAlgorithm},
        std::MatrixLayout,
    };

    use super::*;
    use crate::train::ops::has_vulkan;

    type Chosen = AnySize<SimpleUnitAlgorithm>;

    /// What is written into the kernel of three products of this size.
    fn kernel(client: &ComputeClient<WgpuRuntime>, [m, n, k]: [usize; 3]) -> impl PartialEq + Debug {
        let float = DType::F32.into();
        let numbers = MatmulGlobalElems { lhs: float, rhs: float, out: float };
        let (three, rows) = (Shape::new([3]), MatrixLayout::RowMajor);
        let problem = MatmulProblem::from_parameters(
            m,
            n,
            k,
            three.clone(),
            three,
            rows,
            rows,
            rows,
            None,
            None,
            numbers,
            AddressType::U32,
        );
        let settings = Chosen::device_settings(client, MatmulVectorSizes { lhs: 4, rhs: 4, out: 4 });
        let expanded = Chosen::expand_blueprint(&problem, &settings, &BlueprintStrategy::default()).unwrap();
        let prepared = Chosen::prepare(&problem, &settings, expanded).unwrap();
        let plan = prepared.cube_count_plan;
        (prepared.blueprint, prepared.cube_dim, plan.global_order, plan.can_yield_extra_cubes())
    }

    #[test]
    fn products_of_all_sizes_have_one_kernel() {
        if !has_vulkan() {
            eprintln!("SKIPPED: this machine has no Vulkan driver (Debian: mesa-vulkan-drivers)");
            return;
        }
        let client = WgpuRuntime::client(&WgpuDevice::DefaultDevice);
        let sizes = [1, 8, 16, 64, 112, 128, 496, 512, 640, 1_024, 2_304];
        let first = kernel(&client, [8; 3]);
        for (m, n) in sizes.into_iter().flat_map(|m| sizes.map(|n| (m, n))) {
            for k in sizes {
                assert_eq!(kernel(&client, [m, n, k]), first, "{m} x {k} x {n}");
            }
        }
    }
}
