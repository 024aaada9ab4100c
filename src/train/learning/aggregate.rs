//! From the logits of chunks to those of documents.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use crate::{numbers::small_count, settings::Aggregate, train::ops::fused::Fused};

/// Computes the logits of each document, `[documents, classes]`, from the logits of chunks, `[chunks, classes]`.
///
/// `documents`: the range of each document's chunks. The ranges are in order, cover all chunks, and none is empty.
pub(crate) fn aggregate<B: Fused>(
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
        // A product with the matrix `[documents, chunks]` that has 1 / (the document's number of chunks) for the chunks
        // of a document, and 0 for the others.
        Aggregate::Mean => {
            let mut shares = vec![0.0_f32; documents.len() * chunks];
            for (row, document) in documents.iter().enumerate() {
                shares[row * chunks..][document.clone()].fill(1.0 / small_count(document.len()));
            }
            let shares =
                Tensor::<B, 2>::from_data(TensorData::new(shares, [documents.len(), chunks]), &device);
            B::multiply(shares, logits)
        }
        Aggregate::Max => {
            let longest = documents.iter().map(Range::len).max().unwrap_or(0);
            // Documents with fewer chunks than the longest repeat their first chunk, which changes no maximum.
            let places: Vec<i32> = documents
                .iter()
                .flat_map(|document| {
                    (0..longest).map(|chunk| {
                        if chunk < document.len() { document.start + chunk } else { document.start }
                    })
                })
                .map(|place| i32::try_from(place).unwrap_or(i32::MAX))
                .collect();
            let places = Tensor::<B, 1, Int>::from_data(TensorData::from(places.as_slice()), &device);
            let each = logits.select(0, places).reshape([documents.len(), longest, classes]);
            each.max_dim(1).reshape([documents.len(), classes])
        }
    }
}

/// As [`aggregate`], for several trials at once: from `[trials, chunks, classes]` to `[trials, documents, classes]`.
///
/// `trials`: by trial the ranges of its documents' chunks; one list where all trials have the same. A trial may have
/// fewer chunks and documents than others: what stands in the place of its missing documents means nothing.
pub(crate) fn aggregate_stacked<B: Fused>(
    logits: Tensor<B, 3>,
    trials: &[Vec<Range<usize>>],
    aggregate: Aggregate,
) -> Tensor<B, 3> {
    let [stack, chunks, classes] = logits.dims();
    let documents = trials.iter().map(Vec::len).max().unwrap_or(0);
    let is_one_each =
        |own: &Vec<Range<usize>>| own.iter().enumerate().all(|(row, own)| *own == (row..row + 1));
    if documents == chunks && trials.iter().all(is_one_each) {
        return logits;
    }
    let device = logits.device();
    match aggregate {
        Aggregate::Mean => {
            let mut shares = vec![0.0_f32; trials.len() * documents * chunks];
            for (own, shares) in trials.iter().zip(shares.chunks_exact_mut(documents * chunks)) {
                for (document, row) in own.iter().zip(shares.chunks_exact_mut(chunks)) {
                    row[document.clone()].fill(1.0 / small_count(document.len()));
                }
            }
            let shares = TensorData::new(shares, [trials.len(), documents, chunks]);
            let shares = Tensor::<B, 3>::from_data(shares, &device);
            let shares = if trials.len() < stack { shares.repeat_dim(0, stack) } else { shares };
            B::multiply(shares, logits)
        }
        Aggregate::Max => {
            let longest = trials.iter().flatten().map(Range::len).max().unwrap_or(0);
            let places = chunk_places(trials, [stack, documents, chunks], longest);
            let places = Tensor::<B, 1, Int>::from_data(TensorData::from(places.as_slice()), &device);
            let each = logits.reshape([stack * chunks, classes]).select(0, places);
            let each = each.reshape([stack * documents, longest, classes]).max_dim(1);
            each.reshape([stack, documents, classes])
        }
    }
}

/// The rows of `[trials · chunks, classes]` that hold the chunks of each document, `[trials · documents · longest]`, with the
/// first chunk again where a document has fewer chunks than `longest`.
fn chunk_places(
    trials: &[Vec<Range<usize>>],
    [stack, documents, chunks]: [usize; 3],
    longest: usize,
) -> Vec<i32> {
    let mut places = Vec::with_capacity(stack * documents * longest);
    for trial in 0..stack {
        let own = &trials[trial % trials.len()];
        for document in (0..documents).map(|document| own.get(document).cloned().unwrap_or(0..1)) {
            places.extend((0..longest).map(|chunk| {
                let chunk = if chunk < document.len() { document.start + chunk } else { document.start };
                i32::try_from(trial * chunks + chunk).unwrap_or(i32::MAX)
            }));
        }
    }
    places
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::{Flex, flex::FlexDevice};

    use super::*;
    use crate::train::tensors::values;

    /// The logits of a document of two chunks and of a document of one, aggregated.
    fn aggregated(how: Aggregate) -> Vec<f32> {
        let chunks: Tensor<Flex, 2> = Tensor::from_data([[1.0, 4.0], [3.0, 0.0], [-1.0, -2.0]], &FlexDevice);
        values(aggregate(chunks, &[0..2, 2..3], how))
    }

    #[test]
    fn documents_get_the_mean_of_their_chunks() {
        assert_eq!(aggregated(Aggregate::Mean), [2.0, 2.0, -1.0, -2.0]);
    }

    #[test]
    fn documents_get_the_maximum_of_their_chunks() {
        assert_eq!(aggregated(Aggregate::Max), [3.0, 4.0, -1.0, -2.0]);
    }
}
