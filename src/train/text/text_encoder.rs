//! From texts to chunks of token ids.
//!
//! A text becomes one or more chunks of at most `chunk_length` tokens. Each chunk has
//! the tokenizer's own special tokens around it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use tokenizers::{ModelWrapper, Tokenizer};

use super::{
    chunking::Chunking,
    error::{TextError, TextFault},
    lengths::{ALONE_BYTES, CHUNKED_TOKENS_MAX, Growth},
    tokenizer::{TokenizerError, tokenizer_json},
};
use crate::{
    checkpoint::{Checkpoint, MINI},
    settings::Lowercase,
};

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
    growth: Growth,
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
        // The library panics at some files, in its post-processors above all.
        catch_unwind(|| Self::built(json, path)).unwrap_or_else(|panic| {
            Err(TokenizerError::Panicked { path: path.to_owned(), message: said(&*panic) })
        })
    }

    fn built(json: &str, path: &Path) -> Result<Self, TokenizerError> {
        let unusable = |source: tokenizers::Error| TokenizerError::Unusable { path: path.to_owned(), source };
        // By `FromStr`, which is compiled with the library; `from_bytes` is generic, so that this crate would
        // compile all of the library's deserialisation once more.
        let mut tokenizer: Tokenizer = json.parse().map_err(unusable)?;
        // A file may carry the truncation and the padding of its last use. Texts are cut into chunks here.
        tokenizer.with_truncation(None).map_err(unusable)?;
        tokenizer.with_padding(None);
        let (before, after) = frame(&tokenizer).map_err(unusable)?;
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
        let growth = Growth::of(tokenizer.get_normalizer());
        let growth = growth.ok_or_else(|| unusable("its normalizer has a part that is not known".into()))?;
        Ok(Self { tokenizer, before, after, unknown, nothing, growth })
    }

    /// The largest token id plus one.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
    }

    /// The ids of the special tokens around each chunk, and of the chunk of an empty text.
    pub(crate) fn special(&self) -> impl Iterator<Item = u32> {
        [&self.before, &self.after, &self.nothing].into_iter().flatten().copied()
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
        // Long texts wait: of them, one at a time is in memory.
        let at_once = |(index, text): (usize, &&str)| {
            (text.len() < ALONE_BYTES).then(|| self.chunked(index, text, chunking, capacity))
        };
        let chunked: Vec<Option<Result<Chunked, TextError>>> =
            texts.par_iter().enumerate().map(at_once).collect();
        let alone = |index: usize| self.chunked(index, texts[index], chunking, capacity);
        chunked
            .into_iter()
            .enumerate()
            .map(|(index, chunked)| chunked.unwrap_or_else(|| alone(index)))
            .collect()
    }

    /// Cuts the text with this index into chunks, with `capacity` tokens of its own in each.
    fn chunked(
        &self,
        index: usize,
        text: &str,
        chunking: Chunking,
        capacity: usize,
    ) -> Result<Chunked, TextError> {
        let ids = self.ids(text).map_err(|fault| TextError::of(index, text, fault))?;
        let tokens = chunking.count(ids.len(), capacity).saturating_mul(capacity);
        if tokens > CHUNKED_TOKENS_MAX {
            return Err(TextError::of(index, text, TextFault::Chunks { tokens, max: CHUNKED_TOKENS_MAX }));
        }
        let framed = |piece: Vec<u32>| match piece.as_slice() {
            [] => self.nothing.clone(),
            piece => [self.before.as_slice(), piece, &self.after].concat(),
        };
        let chunks = chunking.pieces(&ids, capacity).into_iter().map(framed).collect();
        let unknown = ids.iter().filter(|&&id| Some(id) == self.unknown).count();
        Ok(Chunked { chunks, tokens: ids.len(), unknown, is_long: ids.len() > capacity })
    }

    /// Cuts a text into tokens, for what may go wrong.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn attempt(&self, text: &str) -> Result<(), TextError> {
        self.ids(text).map(drop).map_err(|fault| TextError::of(0, text, fault))
    }

    /// The ids of a text's tokens, special tokens aside.
    fn ids(&self, text: &str) -> Result<Vec<u32>, TextFault> {
        let tokenizer = &self.tokenizer;
        let encode = || {
            self.growth.check(tokenizer.get_normalizer(), text)?;
            tokenizer.encode_fast(text, false).map_err(|source| TextFault::Library { source })
        };
        let encoding = catch_unwind(AssertUnwindSafe(encode))
            .unwrap_or_else(|panic| Err(TextFault::Panicked { message: said(&*panic) }))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// The ids of the special tokens before a text and after it.
// The post-processor puts them there. A text of one token that no vocabulary has shows which come before it.
fn frame(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), tokenizers::Error> {
    let text = tokenizers::Token::new(u32::MAX, String::new(), (0, 0));
    let text = tokenizers::Encoding::from_tokens(vec![text], 0);
    let framed = tokenizer.post_process(text, None, true)?;
    let parts: Vec<&[u32]> = framed.get_ids().split(|&id| id == u32::MAX).collect();
    match parts.as_slice() {
        [before, after] => Ok((before.to_vec(), after.to_vec())),
        _ => Err(format!("its post_processor has the text {} times, not once", parts.len() - 1).into()),
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
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
