//! The shape of a checkpoint's encoder, by its `config.json`, and by its weights where that one does not tell the family.

use std::path::Path;

use super::{
    checkpoint::catalog::Catalog,
    encoder::{
        config::{ConfigError, EncoderConfig},
        family::{FAMILIES, Family, WORD_EMBEDDINGS},
        mini,
    },
};
use crate::checkpoint::Checkpoint;

/// The shape of a checkpoint's encoder.
///
/// # Errors
/// When its `config.json` is missing or damaged, or describes an encoder that is not built in.
pub fn encoder_config(checkpoint: &Checkpoint) -> Result<EncoderConfig, ConfigError> {
    checkpoint.folder().map_or_else(|| Ok(mini::config()), |folder| of_folder(&folder))
}

/// The shape of the encoder in `folder`.
///
/// # Errors
/// Likewise.
pub(crate) fn of_folder(folder: &Path) -> Result<EncoderConfig, ConfigError> {
    match EncoderConfig::read(folder) {
        Err(ConfigError::NoModelType { path }) => match family_of_weights(folder) {
            Some(family) => EncoderConfig::read_as(folder, Some(family)),
            None => Err(ConfigError::NoModelType { path }),
        },
        config => config,
    }
}

/// The only family whose prefix the names of the weights in `folder` have. The families of RoBERTa share theirs, and
/// differ in their tokenizers alone.
fn family_of_weights(folder: &Path) -> Option<&'static Family> {
    let catalog = Catalog::open(folder).ok()?;
    let has = |family: &&Family| {
        let words = format!("{}.{WORD_EMBEDDINGS}", family.prefix);
        catalog.shapes().any(|(name, _)| name == words)
    };
    FAMILIES.iter().find(has).filter(|family| family.prefix != "roberta")
}
