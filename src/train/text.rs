//! From texts to token ids: tokenizers, chunks, and tokenised data.

pub(super) mod chunking;
pub(super) mod corpora;
pub(super) mod corpus;
pub(super) mod documents;
pub(super) mod text_encoder;
pub(super) mod tokenizer;

pub use self::{
    chunking::Chunking,
    text_encoder::{Chunked, TextEncoder, TextError},
    tokenizer::{TokenizerError, tokenizer_config, tokenizer_json},
};
