//! A checkpoint's tensors: which files hold them, their names and shapes, and their values.
//!
//! A [`Catalog`] is read without the values, so that a checkpoint is checked before any
//! training. Nothing in a file is ever executed.

pub(super) mod catalog;
pub(super) mod error;
mod pickle;
mod safetensors;
mod tensor_place;
mod torch;

pub use self::{catalog::Catalog, error::CheckpointError, pickle::PickleError};
