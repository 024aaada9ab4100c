//! `builtin:mini`: a small encoder of ours, for machines without network.
//!
//! Nothing of it is pretrained: its weights begin fresh from the trial's seed.
//! But they begin where a small encoder learns word order soon: the first
//! [`PLACES`] dimensions of an embedding tell the position as sines and cosines
//! and nothing else, and each head begins by looking a fixed number of tokens
//! away (in the spirit of ConViT, d'Ascoli et al. 2021, arXiv 2103.10697). Both
//! are initial values only: everything is learnt afterwards.
//!
//! Its vocabulary is characters: ASCII, punctuation and the 3,755 commonest
//! hanzi (level 1 of GB 2312), so that any Chinese text is mostly known to it.

use std::collections::BTreeSet;

use super::{
    config::EncoderConfig,
    weights::{self, Fresh, Source, WeightsError},
};
use crate::data::reviews;

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
        hidden_size: 64,
        num_hidden_layers: OFFSETS.len(),
        num_attention_heads: OFFSETS[0].len(),
        intermediate_size: 64,
        hidden_act: "gelu".to_owned(),
        max_position_embeddings: 512,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.05,
        pad_token_id: 0,
        position_embedding_type: "absolute".to_owned(),
    }
}

/// Dimensions of an embedding that begin as the position: a sine and a cosine of each period.
const PLACES: usize = 16;
/// The shortest and the longest period, in tokens; the others lie evenly between their logarithms.
const PERIODS: (f64, f64) = (4.0, 128.0);
/// How far each head looks at first, by layer; `None`: nowhere in particular.
const OFFSETS: [[Option<f64>; 4]; 2] =
    [[Some(-1.0), Some(-5.0), Some(-2.0), Some(-3.0)], [Some(-5.0), Some(-8.0), Some(3.0), None]];
/// Of the sines and cosines.
const AMPLITUDE: f64 = 0.7;
/// How firmly heads look there: added to the weights of queries and keys.
const FIRMNESS: f64 = 2.0;
/// Standard deviation of fresh word embeddings; large, since they are to be told apart from the start.
const WORDS: f64 = 0.5;
/// Standard deviation of a fresh classifier: no opinion at first.
const CLASSIFIER: f64 = 0.02;

/// Radians a token of the period number `index`.
#[expect(clippy::cast_precision_loss, reason = "few periods")]
fn frequency(index: usize) -> f64 {
    let share = index as f64 / (PLACES / 2 - 1) as f64;
    std::f64::consts::TAU / (PERIODS.0 * (PERIODS.1 / PERIODS.0).powf(share))
}

/// Its fresh parameters.
pub(crate) struct Initial {
    /// The trial's seed.
    pub(crate) seed: u64,
}

impl Source for Initial {
    fn take(&self, name: &str, shape: &[usize], start: Fresh) -> Result<Vec<f32>, WeightsError> {
        let start = match name {
            "bert.embeddings.word_embeddings.weight" => Fresh::Normal(WORDS),
            "classifier.weight" => Fresh::Normal(CLASSIFIER),
            _ => start,
        };
        let mut values = weights::fresh(self.seed, name, shape, start);
        if name.starts_with("bert.embeddings.") && name.ends_with("embeddings.weight") {
            let positions = name.contains("position");
            for (row, values) in values.chunks_exact_mut(shape[1]).enumerate() {
                begin_embedding(values, row, positions);
            }
        }
        if let Some((layer, turned)) = projection(name) {
            for (head, offset) in OFFSETS[layer].iter().enumerate() {
                if let Some(offset) = offset {
                    look(&mut values, shape[1], head, if turned { *offset } else { 0.0 });
                }
            }
        }
        Ok(values)
    }
}

/// The layer of a query's (false) or key's (true) weight.
fn projection(name: &str) -> Option<(usize, bool)> {
    let (layer, rest) = name.strip_prefix("bert.encoder.layer.")?.split_once('.')?;
    let turned = match rest {
        "attention.self.query.weight" => false,
        "attention.self.key.weight" => true,
        _ => return None,
    };
    Some((layer.parse().ok()?, turned))
}

/// Positions: sines and cosines, then nothing. Others: nothing there, the rest as it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "parameters are f32, windows small"
)]
fn begin_embedding(values: &mut [f32], row: usize, positions: bool) {
    if positions {
        values.fill(0.0);
    }
    for (index, pair) in values[..PLACES].chunks_exact_mut(2).enumerate() {
        let (sine, cosine) = (frequency(index) * row as f64).sin_cos();
        let amplitude = if positions { AMPLITUDE } else { 0.0 };
        pair.copy_from_slice(&[(amplitude * sine) as f32, (amplitude * cosine) as f32]);
    }
}

/// Adds to a head's rows of a weight `[out, in]` the turn of every sine and cosine by `offset` tokens: with
/// queries unturned, a query's product with a key is greatest `offset` tokens away.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
fn look(values: &mut [f32], inputs: usize, head: usize, offset: f64) {
    for index in 0..PLACES / 2 {
        let (sine, cosine) = (frequency(index) * offset).sin_cos();
        let turn = [[cosine, -sine], [sine, cosine]];
        for (row, turn) in turn.iter().enumerate() {
            let place = (head * PLACES + 2 * index + row) * inputs + 2 * index;
            for (value, turn) in values[place..].iter_mut().zip(turn) {
                *value += (FIRMNESS * turn) as f32;
            }
        }
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

    #[test]
    fn each_head_looks_its_offset_away_at_first() {
        let source = Initial { seed: 3 };
        let config = config();
        let width = config.hidden_size;
        let take = |name: &str, rows: usize| source.take(name, &[rows, width], Fresh::Normal(0.05)).unwrap();
        let positions = take("bert.embeddings.position_embeddings.weight", 512);
        let project = |weight: &[f32], token: usize, head: usize| -> Vec<f32> {
            let row = &positions[token * width..][..width];
            let rows = weight[head * PLACES * width..].chunks_exact(width).take(PLACES);
            rows.map(|weights| weights.iter().zip(row).map(|(a, b)| a * b).sum()).collect()
        };
        for (layer, offsets) in OFFSETS.iter().enumerate() {
            let name = |part: &str| format!("bert.encoder.layer.{layer}.attention.self.{part}.weight");
            let (queries, keys) = (take(&name("query"), width), take(&name("key"), width));
            for (head, offset) in offsets.iter().enumerate() {
                let Some(offset) = offset else { continue };
                let query = project(&queries, 30, head);
                let score = |token: usize| -> f32 {
                    project(&keys, token, head).iter().zip(&query).map(|(a, b)| a * b).sum()
                };
                let best = (10..50).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
                assert_eq!(
                    f64::from(i32::try_from(best).unwrap() - 30),
                    *offset,
                    "layer {layer} head {head}"
                );
            }
        }
    }
}
