//! Handing gradients to burn's graph.

use burn::backend::autodiff::{NodeId, grads::Gradients};
use burn_cubecl::{BoolElement, CubeRuntime, tensor::CubeTensor};

use super::launch::Plain;

/// Registers the gradients of those inputs that learn: the others have no node.
pub(super) fn register<R: CubeRuntime, BT: BoolElement, const N: usize>(
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
