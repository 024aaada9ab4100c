//! From the logits of documents to the loss that training minimises, and to probabilities.

use burn::tensor::{Tensor, TensorData, activation, backend::Backend};

use crate::{
    numbers::{count, small_count},
    settings::{ClassWeights, Settings},
};

/// The loss that training minimises: cross-entropy with class weights and label smoothing, as in
/// `torch.nn.CrossEntropyLoss` (`torch/nn/functional.py`).
//
// For a document with the label y, C classes, class weights w and smoothing s (Szegedy et al. 2016, arXiv 1512.00567):
//   loss = −Σ_c w_c ((1 − s) [c = y] + s / C) log p_c
// and the loss of a batch is Σ loss / Σ w_y over its documents, as with PyTorch's reduction "mean". Balanced weights are
// documents / (C · documents of the class), as in scikit-learn's `compute_class_weight`.
pub(crate) struct Objective {
    /// By class: its weight.
    weights: Vec<f32>,
    smoothing: f32,
}

impl Objective {
    /// `counts`: the number of training examples of each class.
    #[expect(clippy::cast_possible_truncation, reason = "losses are f32")]
    pub(crate) fn new(settings: &Settings, counts: &[usize]) -> Self {
        let all = count(counts.iter().sum::<usize>());
        let weight = |&own: &usize| match settings.class_weights {
            ClassWeights::None => 1.0,
            ClassWeights::Balanced => all / count(counts.len() * own.max(1)),
        };
        Self {
            weights: counts.iter().map(|own| weight(own) as f32).collect(),
            smoothing: settings.label_smoothing as f32,
        }
    }

    /// The number that the sum of a batch's losses is divided by: the sum of the weights of its labels.
    pub(crate) fn total(&self, labels: impl Iterator<Item = usize>) -> f64 {
        labels.map(|label| f64::from(self.weights[label])).sum()
    }

    /// The loss of `logits`, `[documents, classes]`, against `labels`, summed over documents.
    pub(crate) fn sum<B: Backend>(&self, logits: Tensor<B, 2>, labels: &[usize]) -> Tensor<B, 1> {
        let targets = TensorData::new(self.target_values(labels), logits.dims());
        let targets = Tensor::from_data(targets, &logits.device());
        (activation::log_softmax(logits, 1) * targets).sum()
    }

    /// What ln p is multiplied by in the loss, `[documents · classes]` row by row.
    pub(crate) fn target_values(&self, labels: &[usize]) -> Vec<f32> {
        let spread = self.smoothing / small_count(self.weights.len());
        let mut targets = Vec::with_capacity(labels.len() * self.weights.len());
        for &label in labels {
            targets.extend(self.weights.iter().enumerate().map(|(class, weight)| {
                let own = if class == label { 1.0 - self.smoothing } else { 0.0 };
                -weight * (own + spread)
            }));
        }
        targets
    }
}

/// Plain cross-entropy of `logits`, `[documents · classes]` row by row, against `labels`, summed over documents.
///
/// This is the training loss that is shown: without class weights and smoothing it is comparable with the loss of the
/// validation set.
pub(crate) fn cross_entropy(logits: &[f32], labels: &[usize]) -> f64 {
    let classes = logits.len() / labels.len().max(1);
    logits.chunks_exact(classes.max(1)).zip(labels).map(|(row, &label)| -log_softmax(row)[label]).sum()
}

/// log p = z − max − log Σ exp(z − max), in f64. Subtracting the maximum keeps the exponentials finite.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) - f64::from(highest)).collect();
    let log_sum = shifted.iter().map(|value| value.exp()).sum::<f64>().ln();
    shifted.into_iter().map(|value| value - log_sum).collect()
}

/// Softmax in f64, of one document's logits.
pub(crate) fn probabilities(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

/// The most probable class; the first one where several are equally probable.
pub(crate) fn most_probable(probabilities: &[f64]) -> usize {
    let mut best = 0;
    for (class, &probability) in probabilities.iter().enumerate() {
        if probability > probabilities[best] {
            best = class;
        }
    }
    best
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::{Flex, flex::FlexDevice};

    use super::*;
    use crate::train::tensors::values;

    const ROWS: [[f32; 2]; 3] = [[1.0, 4.0], [3.0, 0.0], [-1.0, -2.0]];
    const LABELS: [usize; 3] = [1, 0, 0];

    fn logits() -> Tensor<Flex, 2> {
        Tensor::from_data(ROWS, &FlexDevice)
    }

    #[test]
    fn cross_entropy_is_the_negative_logarithm_of_the_labels_probability() {
        let expected: f64 = ROWS.iter().zip(LABELS).map(|(row, label)| -probabilities(row)[label].ln()).sum();
        assert!((cross_entropy(&ROWS.concat(), &LABELS) - expected).abs() < 1e-12);
    }

    #[test]
    fn without_weights_and_smoothing_the_loss_is_plain_cross_entropy() {
        let plain = Objective::new(&Settings::default(), &[2, 1]);
        let sum = values(plain.sum(logits(), &LABELS))[0];
        assert!((f64::from(sum) - cross_entropy(&ROWS.concat(), &LABELS)).abs() < 1e-5);
    }

    #[test]
    fn without_weights_the_total_is_the_number_of_documents() {
        let plain = Objective::new(&Settings::default(), &[2, 1]);
        assert_eq!(plain.total(LABELS.into_iter()), 3.0);
    }

    #[test]
    fn weights_and_smoothing_are_those_of_pytorch() {
        // cross_entropy(tensor([[1., 4.], [3., 0.], [-1., -2.]]), tensor([1, 0, 0]),
        //               weight=tensor([.75, 1.5]), label_smoothing=.1)
        let settings =
            Settings { class_weights: ClassWeights::Balanced, label_smoothing: 0.1, ..Settings::default() };
        let objective = Objective::new(&settings, &[2, 1]);
        let sum = values(objective.sum(logits(), &LABELS))[0];
        let loss = f64::from(sum) / objective.total(LABELS.into_iter());
        assert!((loss - 0.256_171_7).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn the_first_of_equal_classes_is_predicted() {
        assert_eq!(most_probable(&[0.2, 0.4, 0.4]), 1);
    }
}
