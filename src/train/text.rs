//! Text to chunks of token ids.
//!
//! A text becomes one or more chunks of at most `chunk_length` tokens, each with
//! the tokenizer's own special tokens around it.

use std::path::{Path, PathBuf};

use serde_json::json;
use tokenizers::Tokenizer;

use super::mini;
use crate::{
    checkpoint,
    settings::{LongText, Settings},
};

/// How texts become chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunking {
    /// Tokens of a chunk at most, special tokens included.
    pub length: usize,
    /// Tokens shared by neighbouring chunks.
    pub stride: usize,
    /// What becomes of a longer text.
    pub long: LongText,
}

impl Chunking {
    /// What `settings` say.
    #[must_use]
    pub const fn of(settings: &Settings) -> Self {
        Self { length: settings.chunk_length, stride: settings.chunk_stride, long: settings.long }
    }

    /// The pieces of `tokens` that `capacity` tokens hold, in order; at least one, which may be empty.
    ///
    /// `Chunk`: pieces overlap by the stride and together cover every token. The others: one piece.
    #[must_use]
    pub fn pieces(&self, tokens: &[u32], capacity: usize) -> Vec<Vec<u32>> {
        if tokens.len() <= capacity {
            return vec![tokens.to_vec()];
        }
        match self.long {
            LongText::Head => vec![tokens[..capacity].to_vec()],
            LongText::Tail => vec![tokens[tokens.len() - capacity..].to_vec()],
            LongText::HeadTail => {
                // Sun et al. 2019: 128 of 510 tokens from the head.
                let head = (capacity + 2) / 4;
                let tail = tokens.len() - (capacity - head);
                vec![[&tokens[..head], &tokens[tail..]].concat()]
            }
            LongText::Chunk => {
                let step = capacity.saturating_sub(self.stride).max(1);
                let last = (tokens.len() - capacity).div_ceil(step);
                (0..=last)
                    .map(|index| {
                        let start = index * step;
                        tokens[start..tokens.len().min(start + capacity)].to_vec()
                    })
                    .collect()
            }
        }
    }
}

/// Why a tokenizer could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Neither form of tokenizer is there.
    #[error("{folder} holds neither tokenizer.json nor vocab.txt")]
    Absent {
        /// The checkpoint's folder.
        folder: PathBuf,
    },
    /// A file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tokenizer is damaged or of a kind that is not built in.
    #[error("{path} is not a usable tokenizer: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What the tokenizers library says.
        reason: String,
    },
    /// A text could not be tokenised.
    #[error("tokenising a text: {reason}")]
    Encode {
        /// What the tokenizers library says.
        reason: String,
    },
    /// A chunk has no room for text.
    #[error("a chunk of {length} tokens has no room beside {special} special tokens")]
    NoRoom {
        /// The chunk length.
        length: usize,
        /// Special tokens of each chunk.
        special: usize,
    },
}

/// The chunks of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunked {
    /// Ids, special tokens included; never empty.
    pub chunks: Vec<Vec<u32>>,
    /// Tokens of the whole text, special tokens aside.
    pub tokens: usize,
    /// Unknown tokens among them.
    pub unknown: usize,
}

/// A checkpoint's tokenizer.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    before: Vec<u32>,
    after: Vec<u32>,
    unknown: Option<u32>,
}

impl TextEncoder {
    /// Opens the tokenizer of `checkpoint`: a folder, or `builtin:mini`.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn open(checkpoint: &str) -> Result<Self, TextError> {
        let path = if checkpoint == mini::NAME {
            PathBuf::from(mini::NAME)
        } else {
            checkpoint::folder(checkpoint).join("tokenizer.json")
        };
        Self::from_json(tokenizer_json(checkpoint)?.as_bytes(), &path)
    }

    fn from_json(json: &[u8], path: &Path) -> Result<Self, TextError> {
        let unusable = |error: tokenizers::Error| TextError::Tokenizer {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(unusable)?;
        // A file may carry the truncation of its last use; chunks are ours to cut.
        tokenizer.with_truncation(None).map_err(unusable)?;
        tokenizer.with_padding(None);
        let probe = tokenizer.encode("a", true).map_err(unusable)?;
        let special = probe.get_special_tokens_mask();
        let first = special.iter().position(|&mask| mask == 0).unwrap_or(special.len());
        let last = special.iter().rposition(|&mask| mask == 0).map_or(first, |index| index + 1);
        let (before, after) = (probe.get_ids()[..first].to_vec(), probe.get_ids()[last..].to_vec());
        let unknown = ["[UNK]", "<unk>"].iter().find_map(|token| tokenizer.token_to_id(token));
        Ok(Self { tokenizer, before, after, unknown })
    }

    /// The largest id plus one.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
    }

    /// The chunks of each text, in order.
    ///
    /// # Errors
    /// When the tokenizer fails, or chunks have no room for text.
    pub fn chunk(&self, texts: &[&str], chunking: Chunking) -> Result<Vec<Chunked>, TextError> {
        let special = self.before.len() + self.after.len();
        let capacity = chunking.length.saturating_sub(special);
        if capacity == 0 {
            return Err(TextError::NoRoom { length: chunking.length, special });
        }
        let encodings = self
            .tokenizer
            .encode_batch_fast(texts.to_vec(), false)
            .map_err(|error| TextError::Encode { reason: error.to_string() })?;
        Ok(encodings
            .iter()
            .map(|encoding| {
                let ids = encoding.get_ids();
                let chunks = chunking
                    .pieces(ids, capacity)
                    .into_iter()
                    .map(|piece| [self.before.as_slice(), &piece, &self.after].concat())
                    .collect();
                let unknown = ids.iter().filter(|&&id| Some(id) == self.unknown).count();
                Chunked { chunks, tokens: ids.len(), unknown }
            })
            .collect())
    }
}

/// The contents of a checkpoint's `tokenizer.json`; made from `vocab.txt` where there is no other.
///
/// # Errors
/// When neither is there or readable.
pub fn tokenizer_json(checkpoint: &str) -> Result<String, TextError> {
    if checkpoint == mini::NAME {
        return Ok(wordpiece_json(&mini::vocabulary(), true));
    }
    let folder = &checkpoint::folder(checkpoint);
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).map_err(|source| TextError::Read { path: path.clone(), source })
    };
    let path = folder.join("tokenizer.json");
    if path.is_file() {
        return read(path);
    }
    let vocabulary = folder.join("vocab.txt");
    if !vocabulary.is_file() {
        return Err(TextError::Absent { folder: folder.to_owned() });
    }
    let tokens: Vec<String> = read(vocabulary)?.lines().map(str::to_owned).collect();
    Ok(wordpiece_json(&tokens, lowercases(folder)?))
}

/// What `tokenizer_config.json` says of lower-casing; BERT's default is to do it.
fn lowercases(folder: &Path) -> Result<bool, TextError> {
    let path = folder.join("tokenizer_config.json");
    if !path.is_file() {
        return Ok(true);
    }
    let text =
        std::fs::read_to_string(&path).map_err(|source| TextError::Read { path: path.clone(), source })?;
    let config: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| TextError::Tokenizer { path, reason: error.to_string() })?;
    Ok(config.get("do_lower_case").and_then(serde_json::Value::as_bool).unwrap_or(true))
}

/// BERT's `WordPiece` tokenizer over `tokens`, whose places are their ids.
fn wordpiece_json(tokens: &[String], lowercase: bool) -> String {
    let id = |token: &str| tokens.iter().position(|candidate| candidate == token).unwrap_or(0);
    let special: Vec<serde_json::Value> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .iter()
        .filter(|&&token| tokens.iter().any(|candidate| candidate == token))
        .map(|&token| {
            json!({ "id": id(token), "content": token, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let vocab: serde_json::Map<String, serde_json::Value> =
        tokens.iter().enumerate().map(|(index, token)| (token.clone(), json!(index))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": lowercase },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", id("[SEP]")], "cls": ["[CLS]", id("[CLS]")] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_cover_the_whole_text_and_overlap_by_the_stride(
            tokens in 0_u32..400, capacity in 6_usize..60, stride in 0_usize..5,
        ) {
            let ids: Vec<u32> = (0..tokens).collect();
            let chunking = Chunking { length: 0, stride, long: LongText::Chunk };
            let pieces = chunking.pieces(&ids, capacity);
            let mut covered = pieces[0].clone();
            for piece in &pieces[1..] {
                prop_assert_eq!(&covered[covered.len() - stride..], &piece[..stride]);
                prop_assert!(piece.len() > stride);
                covered.extend(&piece[stride..]);
            }
            prop_assert_eq!(covered, ids);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= capacity));
        }

        #[test]
        fn one_piece_forms_fill_the_chunk(tokens in 61_u32..400, long in prop::sample::select(vec![LongText::Head, LongText::Tail, LongText::HeadTail])) {
            let ids: Vec<u32> = (0..tokens).collect();
            let pieces = Chunking { length: 0, stride: 0, long }.pieces(&ids, 60);
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(pieces[0].len(), 60);
        }
    }

    #[test]
    fn head_and_tail_are_those_of_sun_et_al() {
        let ids: Vec<u32> = (0..1_000).collect();
        let pieces = Chunking { length: 512, stride: 0, long: LongText::HeadTail }.pieces(&ids, 510);
        assert_eq!(pieces[0][127], 127);
        assert_eq!(pieces[0][128], 1_000 - 382);
    }

    #[test]
    fn each_chunk_begins_and_ends_with_the_special_tokens() {
        let encoder = TextEncoder::open(mini::NAME).unwrap();
        let chunking = Chunking { length: 8, stride: 2, long: LongText::Chunk };
        let chunked = &encoder.chunk(&["房间很好，服务也很好。"], chunking).unwrap()[0];
        assert_eq!(chunked.tokens, 11);
        assert_eq!(chunked.unknown, 0);
        assert_eq!(chunked.chunks.len(), 3);
        for chunk in &chunked.chunks {
            assert_eq!((chunk[0], *chunk.last().unwrap()), (2, 3));
        }
    }

    #[test]
    fn an_empty_text_is_its_special_tokens() {
        let encoder = TextEncoder::open(mini::NAME).unwrap();
        let chunking = Chunking { length: 8, stride: 2, long: LongText::Chunk };
        assert_eq!(encoder.chunk(&[""], chunking).unwrap()[0].chunks, [[2, 3]]);
    }

    #[test]
    fn a_vocabulary_file_alone_makes_the_same_tokenizer() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), mini::vocabulary().join("\n")).unwrap();
        let chunking = Chunking { length: 16, stride: 2, long: LongText::Chunk };
        let texts = ["Good 早餐 24h!"];
        let here = TextEncoder::open(folder.path().to_str().unwrap()).unwrap();
        let there = TextEncoder::open(mini::NAME).unwrap();
        assert_eq!(here.chunk(&texts, chunking).unwrap(), there.chunk(&texts, chunking).unwrap());
    }
}
