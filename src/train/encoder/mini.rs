//! `builtin:mini`: a small encoder that the program brings along, for machines without network.
//!
//! It is not pretrained: its weights are fresh from the trial's seed. They are chosen such
//! that a small encoder learns word order soon. The first [`POSITION_WIDTH`] dimensions of
//! an embedding hold the position as sines and cosines and nothing else, and each head
//! attends to the token a fixed offset away at first (in the spirit of ConViT, d'Ascoli
//! et al. 2021, arXiv 2103.10697). Both are initial values only: training changes them.
//!
//! Its vocabulary is characters: ASCII, punctuation and the 3,755 commonest hanzi (level 1
//! of GB 2312), so that most characters of any Chinese text have a token.

use std::collections::BTreeSet;

use super::{
    config::EncoderConfig,
    source::{Fresh, ParameterSource, SourceError, fresh_values},
};
use crate::{data::reviews, train::numbers::count};

/// Full-width punctuation of Chinese texts.
const PUNCTUATION: &str = "，。！？、；：“”‘’（）《》【】…—～·％￥";

/// The encoder's tokens. The id of a token is its index.
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

/// The hanzi of GB 2312's level 1: rows 16 to 55. The last five cells of row 55 are empty.
fn level_one() -> impl Iterator<Item = char> {
    (0xB0_u8..=0xD7).flat_map(|row| (0xA1_u8..=0xFE).map(move |cell| [row, cell])).filter_map(|bytes| {
        let (text, _, damaged) = encoding_rs::GBK.decode(&bytes);
        let character = text.chars().next()?;
        (!damaged && ('\u{4e00}'..='\u{9fff}').contains(&character)).then_some(character)
    })
}

/// The encoder's shape.
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

/// Dimensions of an embedding that hold the position at first: a sine and a cosine for each period.
const POSITION_WIDTH: usize = 16;
/// The shortest period, in tokens.
const PERIOD_MIN: f64 = 4.0;
/// The longest period, in tokens. The logarithms of the periods are evenly spaced.
const PERIOD_MAX: f64 = 128.0;
/// By layer and head: how many tokens away the head attends at first. `None`: to no place in particular.
const OFFSETS: [[Option<f64>; 4]; 2] =
    [[Some(-1.0), Some(-5.0), Some(-2.0), Some(-3.0)], [Some(-5.0), Some(-8.0), Some(3.0), None]];
/// The amplitude of the sines and cosines.
const AMPLITUDE: f64 = 0.7;
/// The size of the values that are added to the weights of queries and keys. The larger it is, the more of a
/// head's attention goes to its offset.
const FIRMNESS: f64 = 2.0;
/// Standard deviation of fresh word embeddings. It is large, so that words differ clearly from the start.
const WORDS: f64 = 0.5;
/// Standard deviation of a fresh classifier. It is small, so that all classes are about equally probable at first.
const CLASSIFIER: f64 = 0.02;

/// The frequency of the period with this index, in radians a token.
fn frequency(index: usize) -> f64 {
    let share = count(index) / count(POSITION_WIDTH / 2 - 1);
    std::f64::consts::TAU / (PERIOD_MIN * (PERIOD_MAX / PERIOD_MIN).powf(share))
}

/// The encoder's fresh parameters.
pub(crate) struct MiniParameters {
    /// The trial's seed.
    pub(crate) seed: u64,
}

impl ParameterSource for MiniParameters {
    fn take(&self, name: &str, shape: &[usize], fresh: Fresh) -> Result<Vec<f32>, SourceError> {
        let fresh = match name {
            "bert.embeddings.word_embeddings.weight" => Fresh::Normal(WORDS),
            "classifier.weight" => Fresh::Normal(CLASSIFIER),
            _ => fresh,
        };
        let mut values = fresh_values(self.seed, name, shape, fresh);
        if name.starts_with("bert.embeddings.") && name.ends_with("embeddings.weight") {
            let positions = name.contains("position");
            for (row, values) in values.chunks_exact_mut(shape[1]).enumerate() {
                set_position(values, row, positions);
            }
        }
        if let Some((layer, projection)) = projection(name) {
            for (head, offset) in OFFSETS[layer].iter().enumerate() {
                let Some(offset) = *offset else { continue };
                let rotation = match projection {
                    Projection::Query => 0.0,
                    Projection::Key => offset,
                };
                add_rotation(&mut values, shape[1], head, rotation);
            }
        }
        Ok(values)
    }
}

/// A projection whose fresh weight depends on the head's offset.
#[derive(Clone, Copy)]
enum Projection {
    Query,
    Key,
}

/// The layer and the kind of the weight `name`; `None` unless it is that of a query or a key.
fn projection(name: &str) -> Option<(usize, Projection)> {
    let (layer, rest) = name.strip_prefix("bert.encoder.layer.")?.split_once('.')?;
    let projection = match rest {
        "attention.self.query.weight" => Projection::Query,
        "attention.self.key.weight" => Projection::Key,
        _ => return None,
    };
    Some((layer.parse().ok()?, projection))
}

/// Sets the position's dimensions in one row of an embedding table.
///
/// A row of the position embeddings becomes the sines and cosines of its position, and zeros in the other
/// dimensions. A row of another table becomes zero in the position's dimensions.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
fn set_position(values: &mut [f32], row: usize, is_position: bool) {
    if is_position {
        values.fill(0.0);
    }
    for (index, pair) in values[..POSITION_WIDTH].chunks_exact_mut(2).enumerate() {
        let (sine, cosine) = (frequency(index) * count(row)).sin_cos();
        let amplitude = if is_position { AMPLITUDE } else { 0.0 };
        pair.copy_from_slice(&[(amplitude * sine) as f32, (amplitude * cosine) as f32]);
    }
}

/// Adds, to a head's rows of a weight `[out, in]`, a rotation of each pair of sine and cosine by `offset` tokens.
// Position m has the pair (sin ωm, cos ωm), and a rotation by o tokens maps it to (sin ω(m − o), cos ω(m − o)):
// [[cos ωo, −sin ωo], [sin ωo, cos ωo]]. The product of an unrotated query at position n and a rotated key at
// position m is Σ cos ω(n − m + o) over the frequencies, which is greatest at m = n + o.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
fn add_rotation(values: &mut [f32], inputs: usize, head: usize, offset: f64) {
    for index in 0..POSITION_WIDTH / 2 {
        let (sine, cosine) = (frequency(index) * offset).sin_cos();
        let rotation = [[cosine, -sine], [sine, cosine]];
        for (row, rotation) in rotation.iter().enumerate() {
            let place = (head * POSITION_WIDTH + 2 * index + row) * inputs + 2 * index;
            for (value, rotation) in values[place..].iter_mut().zip(rotation) {
                *value += (FIRMNESS * rotation) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_has_no_token_twice() {
        let tokens = vocabulary();
        assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), tokens.len());
    }

    #[test]
    fn level_one_has_3755_hanzi() {
        assert_eq!(level_one().count(), 3_755);
    }

    #[test]
    fn the_vocabulary_has_every_character_of_the_reviews() {
        let tokens: BTreeSet<String> = vocabulary().into_iter().collect();
        for character in reviews::vocabulary() {
            assert!(
                character == ' ' || tokens.contains(&character.to_lowercase().to_string()),
                "{character:?}"
            );
        }
    }

    #[test]
    fn each_head_attends_to_its_offset_at_first() {
        let source = MiniParameters { seed: 3 };
        let config = config();
        let width = config.hidden_size;
        let take = |name: &str, rows: usize| source.take(name, &[rows, width], Fresh::Normal(0.05)).unwrap();
        let positions = take("bert.embeddings.position_embeddings.weight", 512);
        let project = |weight: &[f32], token: usize, head: usize| -> Vec<f32> {
            let row = &positions[token * width..][..width];
            let rows = weight[head * POSITION_WIDTH * width..].chunks_exact(width).take(POSITION_WIDTH);
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
