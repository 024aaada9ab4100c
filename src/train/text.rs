//! From texts to token ids: tokenizers, chunks, and tokenised data.

mod batches;
pub(super) mod chunking;
pub(super) mod corpora;
pub(super) mod corpus;
pub(super) mod documents;
mod ends;
pub(super) mod error;
mod lengths;
pub(super) mod text_encoder;
pub(super) mod tokenizer;

pub use self::{
    chunking::Chunking,
    error::{TextError, TextFault},
    text_encoder::{Chunked, TextEncoder},
    tokenizer::{TokenizerError, tokenizer_config, tokenizer_json},
};
