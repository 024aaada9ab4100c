//! From texts to chunks of token ids.
//!
//! A text becomes one or more chunks of at most `chunk_length` tokens. Each chunk has
//! the tokenizer's own special tokens around it.

use std::path::{Path, PathBuf};

use tokenizers::{ModelWrapper, Tokenizer};

use super::{
    chunking::Chunking,
    tokenizer::{TokenizerError, tokenizer_json},
};
use crate::{
    checkpoint::{Checkpoint, MINI},
    settings::Lowercase,
};

/// Why texts could not be tokenised.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The tokenizer could not be opened.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A text could not be tokenised.
    #[error("tokenising a text")]
    Encode {
        /// The error of the tokenizers library.
        source: tokenizers::Error,
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
    /// Ids, special tokens included. There is at least one chunk, and none is empty.
    pub chunks: Vec<Vec<u32>>,
    /// Tokens of the whole text, special tokens aside.
    pub tokens: usize,
    /// Unknown tokens among them.
    pub unknown: usize,
    /// Whether the text has more tokens than one chunk holds.
    pub is_long: bool,
}

/// A checkpoint's tokenizer, ready for use.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    /// Ids of the special tokens before each chunk.
    before: Vec<u32>,
    /// Ids of the special tokens after each chunk.
    after: Vec<u32>,
    /// The id of the unknown token.
    unknown: Option<u32>,
    /// The chunk of a text that leaves no token; not empty.
    nothing: Vec<u32>,
}

impl TextEncoder {
    /// Opens the tokenizer of `checkpoint`: a folder, or `builtin:mini`.
    ///
    /// # Errors
    /// When the checkpoint has no tokenizer, or a damaged one.
    pub fn open(checkpoint: &Checkpoint, lowercase: Lowercase) -> Result<Self, TextError> {
        Ok(Self::of_json(checkpoint, &tokenizer_json(checkpoint, lowercase)?)?)
    }

    /// Opens `json`, the contents of the `tokenizer.json` of `checkpoint`.
    pub(crate) fn of_json(checkpoint: &Checkpoint, json: &str) -> Result<Self, TokenizerError> {
        let path =
            checkpoint.folder().map_or_else(|| PathBuf::from(MINI), |folder| folder.join("tokenizer.json"));
        Self::from_json(json, &path)
    }

    fn from_json(json: &str, path: &Path) -> Result<Self, TokenizerError> {
        let unusable = |source: tokenizers::Error| TokenizerError::Unusable { path: path.to_owned(), source };
        // By `FromStr`, which is compiled with the library; `from_bytes` is generic, so that this crate would
        // compile all of the library's deserialisation once more.
        let mut tokenizer: Tokenizer = json.parse().map_err(unusable)?;
        // A file may carry the truncation and the padding of its last use. Texts are cut into chunks here.
        tokenizer.with_truncation(None).map_err(unusable)?;
        tokenizer.with_padding(None);
        // The post-processor puts special tokens around a text. A text of one token that no vocabulary has
        // shows which ids come before the text and which come after it.
        let text = tokenizers::Token::new(u32::MAX, String::new(), (0, 0));
        let text = tokenizers::Encoding::from_tokens(vec![text], 0);
        let framed = tokenizer.post_process(text, None, true).map_err(unusable)?;
        let mut parts = framed.get_ids().split(|&id| id == u32::MAX).map(<[u32]>::to_vec);
        let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let id = |names: &[&str]| names.iter().find_map(|token| tokenizer.token_to_id(token));
        let unknown = match tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => tokenizer.token_to_id(&model.unk_token),
            _ => id(&["[UNK]", "<unk>"]),
        };
        let mut nothing = [before.as_slice(), &after].concat();
        if nothing.is_empty() {
            // `transformers` fails at such a text. The special tokens that BERT and RoBERTa were trained with say the
            // same as a text without tokens.
            nothing.extend([id(&["[CLS]", "<s>"]), id(&["[SEP]", "</s>"])].into_iter().flatten());
        }
        if nothing.is_empty() {
            nothing.push(unknown.unwrap_or(0));
        }
        Ok(Self { tokenizer, before, after, unknown, nothing })
    }

    /// The largest token id plus one.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
    }

    /// The tokens whose ids are `first` or above, by id.
    pub(crate) fn tokens_from(&self, first: usize) -> Vec<String> {
        let mut tokens: Vec<(u32, String)> =
            self.tokenizer.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        tokens.retain(|(id, _)| *id as usize >= first);
        tokens.sort_unstable();
        tokens.into_iter().map(|(id, token)| format!("{token} ({id})")).collect()
    }

    /// Cuts each text into chunks of token ids, in the order of `texts`.
    ///
    /// # Errors
    /// When the tokenizer fails, or when special tokens alone fill a chunk.
    pub fn chunk(&self, texts: &[&str], chunking: Chunking) -> Result<Vec<Chunked>, TextError> {
        let special = self.before.len() + self.after.len();
        let capacity = chunking.length.saturating_sub(special);
        if capacity == 0 {
            return Err(TextError::NoRoom { length: chunking.length, special });
        }
        let encodings = self
            .tokenizer
            .encode_batch_fast(texts.to_vec(), false)
            .map_err(|source| TextError::Encode { source })?;
        Ok(encodings
            .iter()
            .map(|encoding| {
                let ids = encoding.get_ids();
                let framed = |piece: Vec<u32>| match piece.as_slice() {
                    [] => self.nothing.clone(),
                    piece => [self.before.as_slice(), piece, &self.after].concat(),
                };
                let chunks = chunking.pieces(ids, capacity).into_iter().map(framed).collect();
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

    const TEXTS: &str = "[房间很好，。！a-zA-Z0-9 ]{0,120}";

    /// By token, special tokens aside: its first character, and the one after its last.
    type Spans = Vec<(usize, usize)>;

    /// The chunks of a text, with the characters of their tokens.
    fn chunks_with_spans(text: &str, length: usize, stride: usize) -> Vec<(Vec<u32>, Spans)> {
        let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
        let chunking = Chunking { stride, ..Chunking::whole(length) };
        let chunks = encoder.chunk(&[text], chunking).unwrap().remove(0).chunks;
        let encoding = encoder.tokenizer.encode_char_offsets(text, false).unwrap();
        let spans = chunking.pieces(encoding.get_offsets(), length - 2);
        assert_eq!(chunks.len(), spans.len());
        chunks.into_iter().zip(spans).collect()
    }

    proptest! {
        #[test]
        fn a_chunks_tokens_are_the_characters_at_their_offsets(
            text in TEXTS, length in 8_usize..40, stride in 0_usize..4,
        ) {
            let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
            let characters: Vec<char> = text.chars().collect();
            for (chunk, spans) in chunks_with_spans(&text, length, stride) {
                prop_assert_eq!((chunk[0], chunk[chunk.len() - 1]), (2, 3));
                prop_assert_eq!(chunk.len(), spans.len() + 2);
                for (id, &(start, end)) in chunk[1..].iter().zip(&spans) {
                    let token = encoder.tokenizer.id_to_token(*id).unwrap();
                    let own: String = characters[start..end].iter().flat_map(|c| c.to_lowercase()).collect();
                    prop_assert_eq!(token.trim_start_matches("##"), own);
                }
            }
        }

        #[test]
        fn no_character_of_a_text_is_lost(
            text in TEXTS, length in 8_usize..40, stride in 0_usize..4,
        ) {
            let characters: Vec<char> = text.chars().collect();
            let mut seen = vec![false; characters.len()];
            for (_, spans) in chunks_with_spans(&text, length, stride) {
                for (start, end) in spans {
                    seen[start..end].fill(true);
                }
            }
            prop_assert!(characters.iter().zip(seen).all(|(character, seen)| seen || *character == ' '));
        }
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
