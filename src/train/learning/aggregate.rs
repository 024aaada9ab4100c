//! From the logits of chunks to those of documents.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use crate::{
    numbers::small_count,
    settings::Aggregate,
    train::ops::{
        fused::Fused,
        inputs::{NO_ROW, RowIds},
    },
};

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

/// The ranges of the chunks of each trial's documents, among those of its part of a batch of several trials.
pub(crate) struct DocumentChunks {
    trials: Vec<Vec<Range<usize>>>,
    /// Chunks of each trial, of which its own come first.
    chunks: usize,
    /// Whether every document of the split has one chunk.
    is_one_each: bool,
}

impl DocumentChunks {
    /// `is_one_each`: whether every document of the split has one chunk, not only those here: whatever the batch, the same is
    /// computed.
    pub(crate) fn new(trials: Vec<Vec<Range<usize>>>, chunks: usize, is_one_each: bool) -> Self {
        Self { trials, chunks, is_one_each }
    }

    /// The number of documents of each trial in what [`Self::aggregate`] returns; the trial's own come first.
    pub(crate) fn documents(&self) -> usize {
        if self.is_one_each {
            return self.chunks;
        }
        // No more documents than chunks, whose number is padded to a size of a fixed set.
        self.chunks
    }

    /// As [`aggregate`], for all trials: from `[trials · chunks, classes]` to `[trials · documents, classes]`. What stands in
    /// the place of a document that a trial does not have means nothing.
    pub(crate) fn aggregate<B: Fused>(&self, logits: Tensor<B, 2>, how: Aggregate) -> Tensor<B, 2> {
        if self.is_one_each {
            return logits;
        }
        let (device, [_, classes]) = (logits.device(), logits.dims());
        let (trials, documents, chunks) = (self.trials.len(), self.documents(), self.chunks);
        match how {
            Aggregate::Mean => {
                let mut shares = vec![0.0_f32; trials * documents * chunks];
                for (own, shares) in self.trials.iter().zip(shares.chunks_exact_mut(documents * chunks)) {
                    for (document, row) in own.iter().zip(shares.chunks_exact_mut(chunks)) {
                        row[document.clone()].fill(1.0 / small_count(document.len()));
                    }
                }
                let shares = TensorData::new(shares, [trials, documents, chunks]);
                let logits = logits.reshape([trials, chunks, classes]);
                B::multiply(Tensor::from_data(shares, &device), logits).reshape([trials * documents, classes])
            }
            Aggregate::Max => {
                let longest = self.trials.iter().flatten().map(Range::len).max().unwrap_or(0);
                let each = B::embedding_rows(logits, &RowIds::new(self.rows(longest), &device), None);
                let each = each.reshape([trials * documents, longest, classes]);
                each.max_dim(1).reshape([trials * documents, classes])
            }
        }
    }

    /// The rows of `[trials · chunks, classes]` that hold the chunks of each document, `longest` for each document: the
    /// first chunk comes again where there are fewer.
    fn rows(&self, longest: usize) -> Vec<u32> {
        let documents = self.documents();
        let mut rows = Vec::with_capacity(self.trials.len() * documents * longest);
        for (trial, own) in self.trials.iter().enumerate() {
            for document in own {
                rows.extend((0..longest).map(|chunk| {
                    let chunk = if chunk < document.len() { document.start + chunk } else { document.start };
                    u32::try_from(trial * self.chunks + chunk).unwrap_or(NO_ROW)
                }));
            }
            rows.resize((trial + 1) * documents * longest, NO_ROW);
        }
        rows
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
