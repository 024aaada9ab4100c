//! Text to chunks of token ids.
//!
//! A text becomes one or more chunks of at most `chunk_length` tokens, each with
//! the tokenizer's own special tokens around it.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::tokenizer::tokenizer_json;
use crate::{
    checkpoint::{Checkpoint, MINI},
    settings::{LongText, Lowercase, Settings},
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
    /// Chunks of a text at most, the first ones; 0: all.
    pub most: usize,
}

impl Chunking {
    /// What `settings` say.
    #[must_use]
    pub const fn of(settings: &Settings) -> Self {
        Self {
            length: settings.chunk_length,
            stride: settings.chunk_stride,
            long: settings.long,
            most: settings.max_chunks,
        }
    }

    /// Chunks of `length` tokens side by side: every token once.
    #[must_use]
    pub const fn whole(length: usize) -> Self {
        Self { length, stride: 0, long: LongText::Chunk, most: 0 }
    }

    /// The pieces of `tokens` that `capacity` tokens hold, in order; at least one, which may be empty.
    ///
    /// `Chunk`: pieces overlap by the stride and together cover every token, unless there are more than
    /// `most`. The others: one piece.
    #[must_use]
    pub fn pieces<T: Clone>(&self, tokens: &[T], capacity: usize) -> Vec<Vec<T>> {
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
                let count = (tokens.len() - capacity).div_ceil(step) + 1;
                let count = if self.most > 0 { count.min(self.most) } else { count };
                let piece = |index: usize| {
                    let start = index * step;
                    tokens[start..tokens.len().min(start + capacity)].to_vec()
                };
                (0..count).map(piece).collect()
            }
        }
    }
}

/// Why a tokenizer could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// Neither form of tokenizer is there.
    #[error("{folder} holds neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt")]
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
    /// Whether they are more than one chunk holds.
    pub is_long: bool,
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
    pub fn open(checkpoint: &Checkpoint, lowercase: Lowercase) -> Result<Self, TextError> {
        Self::of_json(checkpoint, &tokenizer_json(checkpoint, lowercase)?)
    }

    /// Opens the tokenizer `json` of `checkpoint`.
    pub(crate) fn of_json(checkpoint: &Checkpoint, json: &str) -> Result<Self, TextError> {
        let path =
            checkpoint.folder().map_or_else(|| PathBuf::from(MINI), |folder| folder.join("tokenizer.json"));
        Self::from_json(json.as_bytes(), &path)
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
        // One token that no vocabulary has: what comes to stand around it is special.
        let text = tokenizers::Token::new(u32::MAX, String::new(), (0, 0));
        let text = tokenizers::Encoding::from_tokens(vec![text], 0);
        let framed = tokenizer.post_process(text, None, true).map_err(unusable)?;
        let mut parts = framed.get_ids().split(|&id| id == u32::MAX).map(<[u32]>::to_vec);
        let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
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
                Chunked { chunks, tokens: ids.len(), unknown, is_long: ids.len() > capacity }
            })
            .collect())
    }
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
            let chunking = Chunking { stride, ..Chunking::whole(0) };
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
            let pieces = Chunking { long, ..Chunking::whole(0) }.pieces(&ids, 60);
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(pieces[0].len(), 60);
        }
    }

    proptest! {
        #[test]
        fn a_chunks_tokens_are_the_characters_at_their_offsets_and_no_character_is_lost(
            text in "[房间很好，。！a-zA-Z0-9 ]{0,120}", length in 8_usize..40, stride in 0_usize..4,
        ) {
            let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
            let chunking = Chunking { stride, ..Chunking::whole(length) };
            let chunks = &encoder.chunk(&[&text], chunking).unwrap()[0].chunks;
            let encoding = encoder.tokenizer.encode_char_offsets(text.as_str(), false).unwrap();
            let spans = chunking.pieces(encoding.get_offsets(), length - 2);
            prop_assert_eq!(chunks.len(), spans.len());
            let characters: Vec<char> = text.chars().collect();
            let mut seen = vec![false; characters.len()];
            for (chunk, spans) in chunks.iter().zip(&spans) {
                prop_assert_eq!((chunk[0], chunk[chunk.len() - 1]), (2, 3));
                prop_assert_eq!(chunk.len(), spans.len() + 2);
                for (id, &(start, end)) in chunk[1..].iter().zip(spans) {
                    let token = encoder.tokenizer.id_to_token(*id).unwrap();
                    let own: String = characters[start..end].iter().flat_map(|c| c.to_lowercase()).collect();
                    prop_assert_eq!(token.trim_start_matches("##"), own);
                    seen[start..end].fill(true);
                }
            }
            prop_assert!(characters.iter().zip(seen).all(|(character, seen)| seen || *character == ' '));
        }
    }

    #[test]
    fn at_most_the_first_chunks_are_kept() {
        let ids: Vec<u32> = (0..100).collect();
        let chunking = Chunking { most: 2, ..Chunking::whole(0) };
        assert_eq!(chunking.pieces(&ids, 30).concat(), (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn head_and_tail_are_those_of_sun_et_al() {
        let ids: Vec<u32> = (0..1_000).collect();
        let pieces = Chunking { long: LongText::HeadTail, ..Chunking::whole(512) }.pieces(&ids, 510);
        assert_eq!(pieces[0][127], 127);
        assert_eq!(pieces[0][128], 1_000 - 382);
    }

    #[test]
    fn each_chunk_begins_and_ends_with_the_special_tokens() {
        let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
        let chunking = Chunking { stride: 2, ..Chunking::whole(8) };
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
        let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
        let chunking = Chunking { stride: 2, ..Chunking::whole(8) };
        assert_eq!(encoder.chunk(&[""], chunking).unwrap()[0].chunks, [[2, 3]]);
    }
}
