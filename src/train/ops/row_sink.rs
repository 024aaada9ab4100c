//! Gradients of single rows, past burn's gradient container.

use std::sync::{Arc, Mutex, PoisonError};

/// The gradients of some rows of a matrix.
#[derive(Debug, Default)]
pub(crate) struct RowGradients {
    /// The indices of the rows. An index may come more than once; its gradients add up.
    pub(crate) rows: Vec<u32>,
    /// `[rows, width]`
    pub(crate) values: Vec<f32>,
}

/// Where a backward pass leaves the gradients of the word embeddings.
// A batch reads a few hundred rows of a table of tens of thousands. As one tensor, the gradient would be as large as
// the table and almost all zeros, and it would be filled, added up and read in every step.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSink(Arc<Mutex<Vec<RowGradients>>>);

impl RowSink {
    /// Takes the gradients that were left here out of the sink.
    pub(crate) fn take(&self) -> Vec<RowGradients> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(feature = "flex")]
    pub(super) fn put(&self, gradients: RowGradients) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(gradients);
    }
}
