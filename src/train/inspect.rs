//! What a checkpoint holds, by names and shapes alone: no value is read.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::{
    checkpoint::catalog::Catalog,
    encoder::{
        config::{self, EncoderConfig},
        layout::{self, Misfit},
    },
    error::TrainError,
    model_file,
    shape::encoder_config,
    text::text_encoder::TextEncoder,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    settings::{Lowercase, Pooling},
};

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

/// Opens the tokenizer of a checkpoint, and checks that every token has an embedding.
///
/// # Errors
/// When the tokenizer cannot be used, or does not belong to the encoder.
pub fn inspect_tokenizer(checkpoint: &Checkpoint) -> Result<TextEncoder, TrainError> {
    let config = encoder_config(checkpoint)?;
    let encoder = TextEncoder::open(checkpoint, Lowercase::Tokenizer)?;
    embeddings_for(&encoder, &config)?;
    Ok(encoder)
}

/// Reads the facts of a checkpoint that a spec is checked against, all but its tokenizer's: `wall::guard` has that
/// one read.
///
/// Without `with_weights`, for weights that are still to be downloaded, the tensors are not checked.
///
/// # Errors
/// When the checkpoint lacks a file, or describes an encoder that is not built in.
pub fn inspect(checkpoint: &Checkpoint, with_weights: bool) -> Result<CheckpointFacts, TrainError> {
    let config = encoder_config(checkpoint)?;
    let parameters = layout::parameters(&config, Pooling::Cls, 2);
    let mut notes = Vec::new();
    let mut unused = Vec::new();
    if let Some(folder) = checkpoint.folder() {
        notes.extend(family_note(&folder, &config));
        if with_weights {
            let catalog = Catalog::open(&folder)?;
            unused = layout::fit(&parameters, config.family(), false, catalog.shapes())
                .map_err(|source| TrainError::Misfit { folder, source })?
                .unused;
            notes.extend(name_notes(&catalog, &config, &unused));
        }
    }
    let sizes = parameters.iter().map(|parameter| parameter.shape.iter().product::<usize>() as u64);
    Ok(CheckpointFacts {
        window: config.window(),
        layers: config.num_hidden_layers,
        parameters: sizes.sum(),
        unused,
        notes,
    })
}

/// Checks that every token has an embedding.
///
/// # Errors
/// When the tokenizer has a token beyond the last embedding, or puts one around each text.
pub(crate) fn embeddings_for(encoder: &TextEncoder, config: &EncoderConfig) -> Result<(), TrainError> {
    let (tokens, rows) = (encoder.vocabulary(), config.vocab_size);
    if tokens <= rows {
        return match encoder.special().find(|id| *id as usize >= rows) {
            Some(id) => Err(TrainError::Special { id, rows }),
            None => Ok(()),
        };
    }
    Err(TrainError::Vocabulary { tokens, rows, beyond: layout::listed(&encoder.tokens_from(rows)) })
}

/// A note about a `config.json` that does not name the family.
fn family_note(folder: &Path, config: &EncoderConfig) -> Option<String> {
    let text = model_file::read(&folder.join(config::FILE), model_file::SMALL_BYTES_MAX).ok()?;
    let json: Value = serde_json::from_str(&text).ok()?;
    let is_named = json.get("model_type").is_some_and(|named| !named.is_null());
    (!is_named).then(|| format!("its config.json has no model_type; taken for \"{}\"", config.model_type))
}

/// Notes about the names of the tensors.
fn name_notes(catalog: &Catalog, config: &EncoderConfig, unused: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    let wrapper = catalog.wrapper();
    if !wrapper.is_empty() {
        notes.push(format!("the names of its tensors begin with \"{wrapper}\", which was taken off"));
    }
    let layers = unused.iter().filter_map(|name| config.family().layer_of(name)).max();
    if let Some(last) = layers.filter(|last| *last >= config.num_hidden_layers) {
        let (found, used) = (last + 1, config.num_hidden_layers);
        notes.push(format!("it has {found} layers, of which config.json asks for the lowest {used}"));
    }
    notes
}
