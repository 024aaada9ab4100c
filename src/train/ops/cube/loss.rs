//! The losses of a batch with their gradient, in one kernel.

use burn_cubecl::{CubeRuntime, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, empty, flat, matrix, units, word},
    packing::upload,
    reduction::cube_sum,
};

/// The largest of `classes` logits from `first` on.
#[cube]
fn highest_of(logits: &Array<f32>, first: u32, classes: u32) -> f32 {
    let mut highest = f32::new(-3.0e38);
    let mut class = 0u32;
    while class < classes {
        highest = f32::max(highest, logits[(first + class) as usize]);
        class += 1u32;
    }
    highest
}

/// A cube has a trial's documents; a unit has the documents `unit`, `unit + units`, … of them.
// With p = softmax(z): the losses are Σ t · ln p over the classes and −ln p of the own class, and the gradient of the
// first one by z is t − p · Σ t.
#[cube(launch)]
#[expect(clippy::too_many_arguments, reason = "a kernel has no structures of tensors")]
fn losses_kernel(
    logits: &Array<f32>,
    targets: &Array<f32>,
    labels: &Array<u32>,
    objectives: &mut Array<f32>,
    shown_losses: &mut Array<f32>,
    by_logits: &mut Array<f32>,
    documents: u32,
    classes: u32,
    #[comptime] units: u32,
) {
    let mut objective = f32::new(0.0);
    let mut shown = f32::new(0.0);
    let trial = CUBE_POS as u32;
    let mut document = trial * documents + UNIT_POS;
    while document < (trial + 1u32) * documents {
        let first = document * classes;
        let highest = highest_of(logits, first, classes);
        let mut sum = f32::new(0.0);
        let mut all = f32::new(0.0);
        let mut class = 0u32;
        while class < classes {
            sum += f32::exp(logits[(first + class) as usize] - highest);
            all += targets[(first + class) as usize];
            class += 1u32;
        }
        let logarithm = f32::ln(sum);
        let mut class = 0u32;
        while class < classes {
            let shifted = logits[(first + class) as usize] - highest;
            let target = targets[(first + class) as usize];
            objective += target * (shifted - logarithm);
            by_logits[(first + class) as usize] = target - f32::exp(shifted) / sum * all;
            class += 1u32;
        }
        let label = labels[document as usize];
        if label < classes {
            shown += logarithm - (logits[(first + label) as usize] - highest);
        }
        document += units;
    }
    let objective = cube_sum(objective, units);
    let shown = cube_sum(shown, units);
    if UNIT_POS == 0 {
        objectives[trial as usize] = objective;
        shown_losses[trial as usize] = shown;
    }
}

/// Both losses, `[trials]` each, and the gradient of the first one by `logits`, `[trials · documents, classes]`; see
/// [`crate::train::ops::fused::Fused::losses`].
pub(super) fn losses<R: CubeRuntime>(
    logits: CubeTensor<R>,
    targets: CubeTensor<R>,
    labels: &[Option<usize>],
    trials: usize,
) -> [CubeTensor<R>; 3] {
    let [documents, classes] = matrix(&logits);
    let labels: Vec<u32> = labels.iter().map(|&label| label.map_or(u32::MAX, word)).collect();
    let (objectives, shown) = (empty(&logits, [trials]), empty(&logits, [trials]));
    let by_logits = empty(&logits, [documents, classes]);
    let labels = upload(&logits, &labels).into_array_arg();
    losses_kernel::launch(
        &objectives.client,
        CubeCount::Static(word(trials), 1, 1),
        units(),
        flat(logits).into_array_arg(),
        flat(targets).into_array_arg(),
        labels,
        objectives.clone().into_array_arg(),
        shown.clone().into_array_arg(),
        by_logits.clone().into_array_arg(),
        word(documents / trials),
        word(classes),
        UNITS,
    );
    [objectives, shown, by_logits]
}
