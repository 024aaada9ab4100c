//! The names of the scalars that the HParams tab shows too.

/// Validation F1 of the parameters that are kept.
pub(super) const BEST_F1: &str = "best/val_f1";
/// Validation loss of the parameters that are kept.
pub(super) const BEST_LOSS: &str = "best/val_loss";
pub(super) const TEST_F1: &str = "test/f1";
pub(super) const TEST_ACCURACY: &str = "test/accuracy";
pub(super) const TEST_LOSS: &str = "test/loss";
