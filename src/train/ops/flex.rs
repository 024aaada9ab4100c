//! The operations on burn's flex backend: tensors become slices, and gradients are written by hand.
//!
//! In plain tensor operations one such operation is some ten, with a tensor in memory between
//! each two of them.

mod autodiff;
mod convert;
mod inference;
