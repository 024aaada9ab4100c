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
