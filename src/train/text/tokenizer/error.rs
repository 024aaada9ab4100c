//! Why a tokenizer could not be opened.

use std::path::PathBuf;

/// The largest number of tokens in a `vocab.txt`; the largest known ones have some 250,000.
pub(super) const TOKENS_MAX: usize = 500_000;

/// Why a tokenizer could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The checkpoint has none of the files that a tokenizer can be stored in.
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
        /// The system's error.
        source: std::io::Error,
    },
    /// The tokenizer is damaged or of a kind that is not built in.
    #[error("{path} is not a usable tokenizer")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of the library that read it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of a `tokenizer.json` that no honest tokenizer has.
    #[error("{path}: {field} {what}; get the model's files again, or choose another model")]
    Part {
        /// The file.
        path: PathBuf,
        /// The part, such as `normalizer.precompiled_charsmap`.
        field: String,
        /// The rest of a sentence that begins with the part.
        what: String,
    },
    /// The library that reads tokenizers gave up on this one.
    #[error(
        "{path} is not a usable tokenizer: reading it failed with \"{message}\"; get the model's files again, or choose another model"
    )]
    Panicked {
        /// The file.
        path: PathBuf,
        /// What the library said.
        message: String,
    },
    /// The vocabulary is longer than any known one.
    #[error("{path} is not a usable tokenizer: it has more than {TOKENS_MAX} tokens")]
    TooManyTokens {
        /// The file.
        path: PathBuf,
    },
    /// The vocabulary lacks a special token.
    #[error("{path} is not a usable tokenizer: it has no token {token}")]
    NoToken {
        /// The file.
        path: PathBuf,
        /// The special token.
        token: String,
    },
    /// The tokenizer first cuts a text into words by a program that is not built in.
    #[error(
        "{path}: {what} cuts a text into words by {words}, which is not built in, and tokens without it would not be \
         those that the model was trained on; choose a model with another tokenizer, or give the model a \
         tokenizer.json of its own and write \"tokenizer_class\": \"PreTrainedTokenizerFast\""
    )]
    Words {
        /// The file that says it.
        path: PathBuf,
        /// The entry, such as `tokenizer_class "BertJapaneseTokenizer"`.
        what: String,
        /// The program, for people.
        words: &'static str,
    },
    /// The tokenizer is of a class that is not built in, and no `tokenizer.json` describes it.
    #[error(
        "{path}: tokenizer_class \"{class}\" is not built in, and there is no tokenizer.json that describes it; save \
         the tokenizer with save_pretrained of a fast tokenizer of `transformers`, which writes tokenizer.json"
    )]
    Class {
        /// The file that names the class.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// An entry that changes the tokens and is not built in.
    #[error("{path}: {entry} is not supported: {why}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry, such as `do_basic_tokenize false`.
        entry: String,
        /// What it would do, and a way out.
        why: &'static str,
    },
    /// An entry of another kind than expected.
    #[error("{path}: {key} is {found}, not {expected}")]
    Kind {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// An added token whose id is not the next free one, so that it would get another id.
    #[error(
        "{path}: the added token {token:?} has id {declared}, but the vocabulary gives it {given}; the ids of added \
         tokens must follow the vocabulary without a gap, and a token of the vocabulary keeps its id"
    )]
    AddedId {
        /// The file with the vocabulary.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its id by the files.
        declared: u64,
        /// The id that it would get.
        given: u64,
    },
}
