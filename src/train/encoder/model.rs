//! The classifier: an encoder of the BERT kind and its head, faithful to Hugging Face's.
//!
//! Post-LayerNorm, exact GELU; dropout on the embeddings, the attention
//! probabilities, the attention output and the feed-forward output, none inside
//! the feed-forward block (`transformers`, `models/bert/modeling_bert.py`). The
//! differences between families are data: [`super::family::Family`].
//!
//! Query, key and value come from one product. Tokens are packed, without padding;
//! the operations between the products are those of [`crate::train::ops::fused::Fused`].
//! Callers build a [`batch::Batch`] and get logits; the packed layout stays inside.

pub(crate) mod batch;
mod build;
pub(crate) mod classifier;
mod layers;
pub(crate) mod stacked;
