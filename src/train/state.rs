//! A trial's resumable checkpoints.
//!
//! ```text
//! last/          the newest checkpoint      last.before/   the one before it
//!   model.safetensors    the parameters, under Hugging Face's names
//!   state.safetensors    AdamW's moments; in its header: position, early stopping, evaluations, digests
//!   best.safetensors     the parameters of the best evaluation until then, if there was one
//! ```
//!
//! A checkpoint is written under another name (`last.new/`), synced, and then renamed, so
//! that one of the two is whole after a crash at any instant. It is used only if every
//! digest (SHA-256) is right. Dropout and data order are functions of the trial's seed and
//! the step (`masks`, `corpus`), so that no generator has a state to keep.

pub(super) mod checkpoint_store;
pub(super) mod position;
mod state_file;

pub use self::state_file::probe_state;
