//! The recipe of a trial, from its job to its test figures. The only module that names burn.
//!
//! [`Session`] is a worker's warm state: it runs one trial after another on one
//! device, and keeps what they share (data, tokenised text, weights).
//! On the CPU a trial's numbers are a function of its [`crate::job::Job`] alone.
//!
//! ```text
//! session → recipe → { learning, state } → encoder → ops
//!           recipe → { text, checkpoint }
//! ```

#[macro_use]
mod simd;

pub(crate) mod arithmetic;
mod backend;
mod caution;
mod checkpoint;
mod encoder;
mod error;
mod exported;
mod graph_lock;
mod inspect;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod kernels;
mod learning;
mod masks;
mod model_file;
mod observe;
mod ops;
mod own_head;
#[cfg(all(test, feature = "flex"))]
mod parity_tests;
mod preflight;
mod recipe;
mod session;
mod shape;
mod state;
mod tensors;
mod text;
mod together;
pub(crate) mod wall;

#[doc(hidden)]
pub use self::state::probe_state;
pub(crate) use self::{backend::takes, encoder::layout::listed, ops::has_bf16, preflight::attempt};
pub use self::{
    caution::{Caution, Circumstances, cautions},
    checkpoint::{Catalog, CheckpointError, PickleError},
    encoder::{
        CONFIG_FIELDS, ConfigError, ConfigField, EncoderConfig, Family, Misfit, Precision, Weights,
        WeightsError,
    },
    error::TrainError,
    exported::{Exported, ExportedError},
    inspect::{fits, inspect, inspect_tokenizer},
    observe::{Ending, Observe, Report, Stopped},
    own_head::OwnHead,
    recipe::metrics_csv,
    session::Session,
    shape::encoder_config,
    text::{
        Chunked, Chunking, TextEncoder, TextError, TextFault, TokenizerError, tokenizer_config,
        tokenizer_json,
    },
    together::{Entrant, Listener},
};
