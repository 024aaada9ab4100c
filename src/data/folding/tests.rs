//! How documents are divided into folds.
