//! Which tokenizer a checkpoint's files ask for, by the rules of `AutoTokenizer` in `transformers` 5.
//!
//! `transformers` builds some classes from the vocabulary and the flags of `tokenizer_config.json` alone, even where
//! there is a `tokenizer.json`; of all others it takes `tokenizer.json` as it is
//! (`models/auto/tokenization_auto.py`, `tokenization_utils_tokenizers.py`).

use serde_json::Value;

use super::{error::TokenizerError, files::TokenizerFiles};

/// A kind of tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// BERT's `WordPiece` tokenizer, built from a vocabulary.
    WordPiece,
    /// `RoBERTa`'s byte-level BPE tokenizer, built from a vocabulary and merges.
    ByteLevel,
    /// The Unigram tokenizer of XLM-RoBERTa and `CamemBERT`, built from a vocabulary with scores.
    Unigram,
    /// Whatever `tokenizer.json` says.
    AsStored,
}

/// The classes that are built in.
const CLASSES: [(&str, Kind); 17] = [
    ("BertTokenizer", Kind::WordPiece),
    ("DistilBertTokenizer", Kind::WordPiece),
    ("ElectraTokenizer", Kind::WordPiece),
    ("LayoutLMTokenizer", Kind::WordPiece),
    ("LxmertTokenizer", Kind::WordPiece),
    ("MobileBertTokenizer", Kind::WordPiece),
    ("SqueezeBertTokenizer", Kind::WordPiece),
    ("RobertaTokenizer", Kind::ByteLevel),
    ("BartTokenizer", Kind::ByteLevel),
    ("LongformerTokenizer", Kind::ByteLevel),
    ("LEDTokenizer", Kind::ByteLevel),
    ("XLMRobertaTokenizer", Kind::Unigram),
    ("CamembertTokenizer", Kind::Unigram),
    ("PreTrainedTokenizerFast", Kind::AsStored),
    ("PreTrainedTokenizer", Kind::AsStored),
    ("TokenizersBackend", Kind::AsStored),
    ("PythonBackend", Kind::AsStored),
];

/// The classes that cut a text into words by a program of their own, and this program. None of them can be written
/// down in a `tokenizer.json`.
const WORD_CLASSES: [(&str, &str); 13] = [
    ("BertJapaneseTokenizer", "MeCab, Sudachi or Juman++"),
    ("BertweetTokenizer", "a tokenizer for tweets"),
    ("BioGptTokenizer", "Moses"),
    ("CpmTokenizer", "jieba"),
    ("CpmAntTokenizer", "jieba"),
    ("FSMTTokenizer", "Moses"),
    ("FlaubertTokenizer", "Moses"),
    ("GPTNeoXJapaneseTokenizer", "a Japanese word list"),
    ("JumanppTokenizer", "Juman++"),
    ("MecabTokenizer", "MeCab"),
    ("PhobertTokenizer", "VnCoreNLP"),
    ("RoFormerTokenizer", "jieba"),
    ("XLMTokenizer", "Moses"),
];

/// The keys of `BertJapaneseTokenizer` in `tokenizer_config.json`, each with the value that asks for nothing special.
const WORD_KEYS: [(&str, &str); 2] =
    [("word_tokenizer_type", "basic"), ("subword_tokenizer_type", "wordpiece")];

/// Returns the kind of tokenizer that `files` ask for. `is_stored`: whether there is a `tokenizer.json`.
///
/// # Errors
/// When the kind is not built in.
pub(super) fn kind(files: &TokenizerFiles, is_stored: bool) -> Result<Kind, TokenizerError> {
    let own = || files.family.map_or("PreTrainedTokenizerFast", |family| family.tokenizer_class);
    let named = files.class();
    let class = named.as_ref().map_or_else(own, |(_, class)| class);
    let known = CLASSES.iter().find(|(known, _)| *known == class).map(|(_, kind)| *kind);
    refuse_word_class(files)?;
    // Where `tokenizer.json` is to be taken as it is, entries for another class mean nothing.
    if !(is_stored && known == Some(Kind::AsStored)) {
        refuse_word_keys(files)?;
        refuse_entries(files)?;
    }
    if files.flag("split_special_tokens")? == Some(true) {
        return Err(TokenizerError::Entry {
            path: files.config_path(),
            entry: "split_special_tokens true".to_owned(),
            why: "special tokens in a text would be cut into parts; remove the entry to read them as tokens",
        });
    }
    match known {
        Some(kind) => Ok(kind),
        // As in `transformers`, another class is no obstacle where `tokenizer.json` describes it.
        None if is_stored => Ok(Kind::AsStored),
        None => {
            let path = named.as_ref().map_or_else(|| files.config_path(), |(path, _)| path.clone());
            Err(TokenizerError::Class { path, class: class.to_owned() })
        }
    }
}

/// Refuses a class that cuts a text into words by a program of its own.
fn refuse_word_class(files: &TokenizerFiles) -> Result<(), TokenizerError> {
    if let Some((path, class)) = files.class()
        && let Some((_, words)) = WORD_CLASSES.iter().find(|(known, _)| *known == class)
    {
        return Err(TokenizerError::Words { path, what: format!("tokenizer_class \"{class}\""), words });
    }
    Ok(())
}

/// Refuses entries that ask for words by a program of its own, whatever the class is.
fn refuse_word_keys(files: &TokenizerFiles) -> Result<(), TokenizerError> {
    // These keys mean something to one class alone. Where another class is named, `transformers` ignores them too, but
    // then the class is more likely wrong than the keys.
    for (key, usual) in WORD_KEYS {
        let Some(found) = files.config.get(key).and_then(Value::as_str).filter(|found| *found != usual)
        else {
            continue;
        };
        let what = format!("{key} \"{found}\"");
        return Err(TokenizerError::Words { path: files.config_path(), what, words: "MeCab or the like" });
    }
    Ok(())
}

/// Refuses entries of `tokenizer_config.json` that change the tokens and are not built in.
fn refuse_entries(files: &TokenizerFiles) -> Result<(), TokenizerError> {
    let refused = |entry: String, why| Err(TokenizerError::Entry { path: files.config_path(), entry, why });
    if files.flag("do_basic_tokenize")? == Some(false) {
        return refused(
            "do_basic_tokenize false".to_owned(),
            "texts would not be cut at punctuation, which no fast tokenizer of `transformers` can do; remove the entry \
             if the model was trained without it",
        );
    }
    if files.flag("split_special_tokens")? == Some(true) {
        return refused(
            "split_special_tokens true".to_owned(),
            "special tokens in a text would be cut into parts; remove the entry to read them as tokens",
        );
    }
    // Lists of special tokens are harmless: a special token is never cut.
    let is_known = |token: &Value| token.as_str().is_some_and(|token| token.starts_with(['[', '<']));
    match files.config.get("never_split").and_then(Value::as_array) {
        Some(tokens) if !tokens.iter().all(is_known) => refused(
            format!("never_split {}", Value::Array(tokens.clone())),
            "no fast tokenizer of `transformers` can do this; remove the entry, or list the words in added_tokens.json \
             if the vocabulary has them",
        ),
        _ => Ok(()),
    }
}
