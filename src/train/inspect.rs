//! What a checkpoint holds, by names and shapes alone: no value is read.

use std::collections::BTreeSet;

use super::{
    checkpoint::catalog::Catalog,
    encoder::{
        config::{ConfigError, EncoderConfig},
        layout::{self, Misfit},
        mini,
    },
    error::TrainError,
    text::text_encoder::TextEncoder,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    settings::{Lowercase, Pooling},
};

/// The shape of a checkpoint's encoder.
///
/// # Errors
/// When its `config.json` is missing or damaged, or describes an encoder that is not built in.
pub fn encoder_config(checkpoint: &Checkpoint) -> Result<EncoderConfig, ConfigError> {
    checkpoint.folder().map_or_else(|| Ok(mini::config()), |folder| EncoderConfig::read(&folder))
}

/// Returns the names of the tensors of `catalog` that a classifier with `classes` classes takes, its head
/// included, over an encoder of the shape `config`.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn fits(
    config: &EncoderConfig,
    pooling: Pooling,
    classes: usize,
    catalog: &Catalog,
) -> Result<BTreeSet<String>, Misfit> {
    let parameters = layout::parameters(config, pooling, classes);
    layout::fit(&parameters, config.family(), true, catalog.shapes()).map(|fit| fit.used)
}

/// Reads the facts of a checkpoint that a spec is checked against.
///
/// Without `with_weights`, for weights that are still to be downloaded, the tensors are not checked.
///
/// # Errors
/// When the checkpoint lacks a file, or describes an encoder that is not built in.
pub fn inspect(checkpoint: &Checkpoint, with_weights: bool) -> Result<CheckpointFacts, TrainError> {
    let config = encoder_config(checkpoint)?;
    let tokens = TextEncoder::open(checkpoint, Lowercase::Tokenizer)?.vocabulary();
    if tokens > config.vocab_size {
        return Err(TrainError::Vocabulary { tokens, rows: config.vocab_size });
    }
    let parameters = layout::parameters(&config, Pooling::Cls, 2);
    let unused = match checkpoint.folder().filter(|_| with_weights) {
        Some(folder) => {
            layout::fit(&parameters, config.family(), false, Catalog::open(&folder)?.shapes())
                .map_err(|source| TrainError::Misfit { folder, source })?
                .unused
        }
        None => Vec::new(),
    };
    let sizes = parameters.iter().map(|parameter| parameter.shape.iter().product::<usize>() as u64);
    Ok(CheckpointFacts {
        window: config.window(),
        layers: config.num_hidden_layers,
        parameters: sizes.sum(),
        unused,
    })
}
