//! `builtin:mini`: a small encoder of ours, for machines without network.
//!
//! Nothing of it is pretrained: its weights begin fresh from the trial's seed.
//! Its vocabulary is characters: ASCII, punctuation and the 3,755 commonest
//! hanzi (level 1 of GB 2312), so that any Chinese text is mostly known to it.

use std::collections::BTreeSet;

use super::{
    config::EncoderConfig,
    weights::{self, Fresh, Source, WeightsError},
};
use crate::data::reviews;

/// Its name as a checkpoint.
pub const NAME: &str = "builtin:mini";

/// Full-width punctuation of Chinese texts.
const PUNCTUATION: &str = "，。！？、；：“”‘’（）《》【】…—～·％￥";

/// Its tokens; a token's place is its id.
pub(crate) fn vocabulary() -> Vec<String> {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].iter().map(|&token| token.to_owned()).collect();
    tokens.extend(('!'..='~').filter(|character| !character.is_ascii_uppercase()).map(String::from));
    let word = ('0'..='9').chain('a'..='z');
    tokens.extend(word.map(|character| format!("##{character}")));
    let mut others: BTreeSet<char> = level_one().collect();
    others.extend(PUNCTUATION.chars());
    others.extend(reviews::vocabulary().into_iter().filter(|character| !character.is_ascii()));
    tokens.extend(others.into_iter().map(String::from));
    tokens
}

/// The hanzi of GB 2312's level 1: rows 16 to 55, whose last five places are empty.
fn level_one() -> impl Iterator<Item = char> {
    (0xB0_u8..=0xD7).flat_map(|row| (0xA1_u8..=0xFE).map(move |cell| [row, cell])).filter_map(|bytes| {
        let (text, _, damaged) = encoding_rs::GBK.decode(&bytes);
        let character = text.chars().next()?;
        (!damaged && ('\u{4e00}'..='\u{9fff}').contains(&character)).then_some(character)
    })
}

/// Its shape.
pub(crate) fn config() -> EncoderConfig {
    EncoderConfig {
        model_type: "bert".to_owned(),
        vocab_size: vocabulary().len(),
        hidden_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 192,
        hidden_act: "gelu".to_owned(),
        max_position_embeddings: 256,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        pad_token_id: 0,
        position_embedding_type: "absolute".to_owned(),
    }
}

/// Its fresh parameters.
pub(crate) struct Initial {
    /// The trial's seed.
    pub(crate) seed: u64,
}

impl Source for Initial {
    fn take(&self, name: &str, shape: &[usize], start: Fresh) -> Result<Vec<f32>, WeightsError> {
        Ok(weights::fresh(self.seed, name, shape, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_has_no_token_twice_and_every_character_of_the_reviews() {
        let tokens = vocabulary();
        let distinct: BTreeSet<&String> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
        assert_eq!(level_one().count(), 3_755);
        for character in reviews::vocabulary() {
            assert!(
                character == ' ' || distinct.contains(&character.to_lowercase().to_string()),
                "{character:?}"
            );
        }
    }
}
