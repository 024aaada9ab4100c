//! From chunks' logits to documents': aggregation, loss, probabilities.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

use crate::settings::Aggregate;

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

/// Cross-entropy of `logits` `[documents, classes]` against `labels`, summed over documents.
pub(crate) fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: &[usize]) -> Tensor<B, 1> {
    let device = logits.device();
    let labels: Vec<i32> = labels.iter().map(|&label| i32::try_from(label).unwrap_or(i32::MAX)).collect();
    let count = labels.len();
    let labels = Tensor::<B, 2, Int>::from_data(TensorData::new(labels, [count, 1]), &device);
    activation::log_softmax(logits, 1).gather(1, labels).sum().neg()
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
        let sum = super::super::model::values(cross_entropy(logits(), &[1, 0, 0]))[0];
        let expected: f64 = [([1.0, 4.0], 1), ([3.0, 0.0], 0), ([-1.0, -2.0], 0)]
            .iter()
            .map(|(row, label)| -probabilities(row)[*label].ln())
            .sum();
        assert!((f64::from(sum) - expected).abs() < 1e-5);
    }

    #[test]
    fn the_first_of_equal_classes_is_predicted() {
        assert_eq!(most_probable(&[0.2, 0.4, 0.4]), 1);
    }
}
