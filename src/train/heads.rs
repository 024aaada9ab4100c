//! From chunks' logits to documents': aggregation, loss, probabilities.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

use crate::settings::{Aggregate, ClassWeights, Settings};

/// Logits of each document, `[documents, classes]`, from those of its chunks, `[chunks, classes]`.
///
/// `documents`: each document's chunks, in order, covering all chunks; none empty.
pub(crate) fn aggregate<B: Backend>(
    logits: Tensor<B, 2>,
    documents: &[Range<usize>],
    aggregate: Aggregate,
) -> Tensor<B, 2> {
    let [chunks, classes] = logits.dims();
    if documents.len() == chunks {
        return logits;
    }
    let device = logits.device();
    match aggregate {
        Aggregate::Mean => {
            let mut shares = vec![0.0_f32; documents.len() * chunks];
            for (row, document) in documents.iter().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "few chunks")]
                shares[row * chunks..][document.clone()].fill(1.0 / document.len() as f32);
            }
            let shares =
                Tensor::<B, 2>::from_data(TensorData::new(shares, [documents.len(), chunks]), &device);
            shares.matmul(logits)
        }
        Aggregate::Max => {
            let most = documents.iter().map(Range::len).max().unwrap_or(0);
            // Repeating a document's first chunk changes no maximum.
            let places: Vec<i32> = documents
                .iter()
                .flat_map(|document| {
                    (0..most).map(|chunk| {
                        if chunk < document.len() { document.start + chunk } else { document.start }
                    })
                })
                .map(|place| i32::try_from(place).unwrap_or(i32::MAX))
                .collect();
            let places = Tensor::<B, 1, Int>::from_data(TensorData::from(places.as_slice()), &device);
            let each = logits.select(0, places).reshape([documents.len(), most, classes]);
            each.max_dim(1).reshape([documents.len(), classes])
        }
    }
}

/// What training minimises: cross-entropy with class weights and label smoothing, as
/// `torch.nn.CrossEntropyLoss` has them (`torch/nn/functional.py`).
pub(crate) struct Objective {
    /// One for each class.
    weights: Vec<f32>,
    smoothing: f32,
}

impl Objective {
    /// `counts`: training examples of each class.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "counts of documents, as f32"
    )]
    pub(crate) fn new(settings: &Settings, counts: &[usize]) -> Self {
        let all = counts.iter().sum::<usize>() as f64;
        let weight = |&count: &usize| match settings.class_weights {
            ClassWeights::None => 1.0,
            ClassWeights::Balanced => all / (counts.len() * count.max(1)) as f64,
        };
        Self {
            weights: counts.iter().map(|count| weight(count) as f32).collect(),
            smoothing: settings.label_smoothing as f32,
        }
    }

    /// What a batch's sum is divided by: the weights of its labels.
    pub(crate) fn total(&self, labels: impl Iterator<Item = usize>) -> f64 {
        labels.map(|label| f64::from(self.weights[label])).sum()
    }

    /// The loss of `logits` `[documents, classes]` against `labels`, summed over documents.
    #[expect(clippy::cast_precision_loss, reason = "few classes")]
    pub(crate) fn sum<B: Backend>(&self, logits: Tensor<B, 2>, labels: &[usize]) -> Tensor<B, 1> {
        let [documents, classes] = logits.dims();
        let spread = self.smoothing / classes as f32;
        let mut targets = Vec::with_capacity(documents * classes);
        for &label in labels {
            targets.extend(self.weights.iter().enumerate().map(|(class, weight)| {
                let own = if class == label { 1.0 - self.smoothing } else { 0.0 };
                -weight * (own + spread)
            }));
        }
        let targets = Tensor::from_data(TensorData::new(targets, [documents, classes]), &logits.device());
        (activation::log_softmax(logits, 1) * targets).sum()
    }
}

/// Plain cross-entropy of `logits`, `[documents · classes]` row by row, against `labels`, summed over
/// documents: what is shown, comparable with that of validation.
pub(crate) fn cross_entropy(logits: &[f32], labels: &[usize]) -> f64 {
    let classes = logits.len() / labels.len().max(1);
    logits.chunks_exact(classes.max(1)).zip(labels).map(|(row, &label)| -log_softmax(row)[label]).sum()
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted: Vec<f64> = logits.iter().map(|&logit| f64::from(logit) - f64::from(highest)).collect();
    let log_sum = shifted.iter().map(|value| value.exp()).sum::<f64>().ln();
    shifted.into_iter().map(|value| value - log_sum).collect()
}

/// Softmax in f64.
pub(crate) fn probabilities(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - highest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

/// The most probable class; the first of equal ones.
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
    use burn::backend::Flex;

    use super::*;

    fn logits() -> Tensor<Flex, 2> {
        Tensor::from_data([[1.0, 4.0], [3.0, 0.0], [-1.0, -2.0]], &burn::backend::flex::FlexDevice)
    }

    #[test]
    fn documents_get_the_mean_or_the_maximum_of_their_chunks() {
        let mean = aggregate(logits(), &[0..2, 2..3], Aggregate::Mean);
        assert_eq!(super::super::model::values(mean), [2.0, 2.0, -1.0, -2.0]);
        let max = aggregate(logits(), &[0..2, 2..3], Aggregate::Max);
        assert_eq!(super::super::model::values(max), [3.0, 4.0, -1.0, -2.0]);
    }

    #[test]
    fn cross_entropy_is_the_negative_logarithm_of_the_labels_probability() {
        let rows: [[f32; 2]; 3] = [[1.0, 4.0], [3.0, 0.0], [-1.0, -2.0]];
        let labels = [1, 0, 0];
        let expected: f64 = rows.iter().zip(labels).map(|(row, label)| -probabilities(row)[label].ln()).sum();
        assert!((cross_entropy(&rows.concat(), &labels) - expected).abs() < 1e-12);
        let plain = Objective::new(&Settings::default(), &[2, 1]);
        let sum = super::super::model::values(plain.sum(logits(), &labels))[0];
        assert!((f64::from(sum) - expected).abs() < 1e-5);
        assert_eq!(plain.total(labels.into_iter()), 3.0);
    }

    #[test]
    fn weights_and_smoothing_are_those_of_pytorch() {
        // cross_entropy(tensor([[1., 4.], [3., 0.], [-1., -2.]]), tensor([1, 0, 0]),
        //               weight=tensor([.75, 1.5]), label_smoothing=.1)
        let settings =
            Settings { class_weights: ClassWeights::Balanced, label_smoothing: 0.1, ..Settings::default() };
        let objective = Objective::new(&settings, &[2, 1]);
        let labels = [1, 0, 0];
        let sum = super::super::model::values(objective.sum(logits(), &labels))[0];
        let loss = f64::from(sum) / objective.total(labels.into_iter());
        assert!((loss - 0.256_171_7).abs() < 1e-6, "{loss}");
    }

    #[test]
    fn the_first_of_equal_classes_is_predicted() {
        assert_eq!(most_probable(&[0.2, 0.4, 0.4]), 1);
    }
}
