//! A checkpoint's tokenizer as one `tokenizer.json`, whatever files the checkpoint stores it in.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    checkpoint::{Checkpoint, MINI},
    settings::Lowercase,
    train::encoder::mini,
};

/// The largest number of tokens in a `vocab.txt`; the largest known ones have some 250,000.
const TOKENS_MAX: usize = 500_000;

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
}

/// Returns the contents of a checkpoint's `tokenizer.json`. A checkpoint without one gets it made from its
/// `vocab.txt`, or else from its `vocab.json` and `merges.txt`.
///
/// # Errors
/// When the checkpoint has none of these files, or one is damaged.
pub fn tokenizer_json(checkpoint: &Checkpoint, lowercase: Lowercase) -> Result<String, TokenizerError> {
    let (path, json) = stored(checkpoint)?;
    match lowercase {
        Lowercase::Tokenizer => Ok(json),
        Lowercase::Yes | Lowercase::No => {
            let mut value = parsed(&json, &path)?;
            set_lowercase(&mut value, lowercase == Lowercase::Yes);
            Ok(value.to_string())
        }
    }
}

/// The tokenizer as the checkpoint's files describe it, and the file that messages about it name.
fn stored(checkpoint: &Checkpoint) -> Result<(PathBuf, String), TokenizerError> {
    let Some(folder) = &checkpoint.folder() else {
        return Ok((PathBuf::from(MINI), wordpiece_json(&mini::vocabulary(), true)));
    };
    let config = TokenizerConfig::read(folder)?;
    let [whole, tokens, vocabulary, merges] =
        ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| folder.join(name));
    if whole.is_file() {
        let text = read(&whole)?;
        let json = if config.is_generic() { text } else { config.normalized(text, &whole)? };
        return Ok((whole, json));
    }
    if tokens.is_file() {
        let text = read(&tokens)?;
        if text.lines().nth(TOKENS_MAX).is_some() {
            return Err(TokenizerError::TooManyTokens { path: tokens });
        }
        let list: Vec<String> = text.lines().map(str::to_owned).collect();
        let has = |token: &str| list.iter().any(|candidate| candidate == token);
        check_special(&["[UNK]", "[CLS]", "[SEP]"], has, &tokens)?;
        // BERT's default is to lower-case.
        let lowercase = config.flag("do_lower_case").unwrap_or(true);
        let json = config.normalized(wordpiece_json(&list, lowercase), &tokens)?;
        return Ok((tokens, json));
    }
    if vocabulary.is_file() && merges.is_file() {
        let vocab = parse(&vocabulary)?;
        check_special(&["<s>", "</s>"], |token| vocab.get(token).is_some(), &vocabulary)?;
        let space = config.flag("add_prefix_space").unwrap_or(false);
        let json = byte_level_json(&vocab, &read(&merges)?, space);
        return Ok((vocabulary, json));
    }
    Err(TokenizerError::Absent { folder: folder.to_owned() })
}

fn check_special(tokens: &[&str], has: impl Fn(&str) -> bool, path: &Path) -> Result<(), TokenizerError> {
    match tokens.iter().find(|token| !has(token)) {
        Some(token) => Err(TokenizerError::NoToken { path: path.to_owned(), token: (*token).to_owned() }),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, TokenizerError> {
    std::fs::read_to_string(path).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })
}

fn parse(path: &Path) -> Result<Value, TokenizerError> {
    parsed(&read(path)?, path)
}

fn parsed(text: &str, path: &Path) -> Result<Value, TokenizerError> {
    serde_json::from_str(text)
        .map_err(|error| TokenizerError::Unusable { path: path.to_owned(), source: error.into() })
}

/// A checkpoint's `tokenizer_config.json`; an empty object when the checkpoint has no such file.
struct TokenizerConfig(Value);

impl TokenizerConfig {
    fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        Ok(Self(if path.is_file() { parse(&path)? } else { json!({}) }))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// Whether `transformers` takes `tokenizer.json` as it is. With BERT's own tokenizer class it overrides the
    /// normalisation of `tokenizer.json` by the flags of `tokenizer_config.json`.
    fn is_generic(&self) -> bool {
        let class = self.0.get("tokenizer_class").and_then(Value::as_str);
        matches!(class, Some("PreTrainedTokenizerFast" | "TokenizersBackend"))
    }

    /// Returns `json`, a `tokenizer.json`, with the flags of this file written into its BERT normalizer.
    fn normalized(&self, json: String, path: &Path) -> Result<String, TokenizerError> {
        let pairs = [
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ];
        let flags: Vec<(&str, bool)> = pairs
            .iter()
            .filter_map(|(key, normalizer_key)| Some((*normalizer_key, self.flag(key)?)))
            .collect();
        if flags.is_empty() {
            return Ok(json);
        }
        let mut tokenizer = parsed(&json, path)?;
        if tokenizer["normalizer"]["type"] != "BertNormalizer" {
            return Ok(json);
        }
        for (key, value) in flags {
            tokenizer["normalizer"][key] = json!(value);
        }
        Ok(tokenizer.to_string())
    }
}

/// Keys of `tokenizer_config.json` that an exported tokenizer must not have: `tokenizer.json` itself settles the first six,
/// and the others belong to another class or another machine.
const STALE_KEYS: [&str; 10] = [
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "do_basic_tokenize",
    "never_split",
    "add_prefix_space",
    "auto_map",
    "name_or_path",
    "tokenizer_file",
    "special_tokens_map_file",
];

/// By role: the special tokens of BERT and of `RoBERTa`.
const SPECIAL_TOKENS: [(&str, [&str; 2]); 5] = [
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

/// Returns a `tokenizer_config.json` with which `transformers` takes `tokenizer`, the contents of a
/// `tokenizer.json`, as it is.
///
/// `token_types`: whether the model has token-type embeddings. `window`: its longest input in tokens.
///
/// # Errors
/// When a file of the checkpoint is damaged.
pub fn tokenizer_config(
    checkpoint: &Checkpoint,
    tokenizer: &str,
    token_types: bool,
    window: usize,
) -> Result<Value, TokenizerError> {
    let (TokenizerConfig(mut config), map) = match &checkpoint.folder() {
        Some(folder) => {
            let map = folder.join("special_tokens_map.json");
            (TokenizerConfig::read(folder)?, if map.is_file() { parse(&map)? } else { Value::Null })
        }
        None => (TokenizerConfig(json!({})), Value::Null),
    };
    let tokenizer = parsed(tokenizer, &PathBuf::from(checkpoint.to_string()))?;
    let Some(object) = config.as_object_mut() else { return Ok(config) };
    for key in STALE_KEYS {
        object.remove(key);
    }
    for (role, usual) in SPECIAL_TOKENS {
        if object.get(role).is_none_or(Value::is_null) {
            let known = map.get(role).filter(|token| !token.is_null()).cloned();
            let usual = || usual.iter().find(|token| has_token(&tokenizer, token)).map(|token| json!(token));
            if let Some(token) = known.or_else(usual) {
                object.insert(role.to_owned(), token);
            }
        }
    }
    let inputs: &[&str] = if token_types {
        &["input_ids", "token_type_ids", "attention_mask"]
    } else {
        &["input_ids", "attention_mask"]
    };
    object.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    object.insert("model_input_names".to_owned(), json!(inputs));
    object.insert("model_max_length".to_owned(), json!(window));
    Ok(config)
}

/// Whether `tokenizer`, a `tokenizer.json`, has this token.
fn has_token(tokenizer: &Value, token: &str) -> bool {
    let list = tokenizer["added_tokens"].as_array();
    let is_added = list.is_some_and(|list| list.iter().any(|added| added["content"] == token));
    is_added || tokenizer["model"]["vocab"].get(token).is_some()
}

/// Turns the lower-casing of a `tokenizer.json` on or off.
fn set_lowercase(tokenizer: &mut Value, on: bool) {
    let normalizer = tokenizer["normalizer"].take();
    let (normalizer, found) = with_lowercase(normalizer, on);
    tokenizer["normalizer"] = match normalizer {
        normalizer if found || !on => normalizer,
        Value::Null => json!({ "type": "Lowercase" }),
        other => json!({ "type": "Sequence", "normalizers": [{ "type": "Lowercase" }, other] }),
    };
}

/// Returns a normalizer with its lower-casing on or off, and whether it has a lower-casing part.
fn with_lowercase(mut normalizer: Value, on: bool) -> (Value, bool) {
    match normalizer["type"].as_str() {
        Some("BertNormalizer") => {
            normalizer["lowercase"] = json!(on);
            (normalizer, true)
        }
        Some("Lowercase") => (if on { normalizer } else { Value::Null }, true),
        Some("Sequence") => {
            let Some(parts) = normalizer["normalizers"].as_array_mut() else { return (normalizer, false) };
            let mut any = false;
            let switched = std::mem::take(parts).into_iter().map(|part| {
                let (part, found) = with_lowercase(part, on);
                any |= found;
                part
            });
            *parts = switched.filter(|part| !part.is_null()).collect();
            (normalizer, any)
        }
        _ => (normalizer, false),
    }
}

/// Returns the `tokenizer.json` of `RoBERTa`'s byte-level BPE tokenizer, from the contents of `vocab.json` and
/// `merges.txt`.
fn byte_level_json(vocab: &Value, merges: &str, prefix_space: bool) -> String {
    let id = |token: &str| vocab.get(token).and_then(Value::as_u64);
    let special: Vec<Value> = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        .iter()
        .filter_map(|token| Some(added_token(token, id(token)?)))
        .collect();
    let merges: Vec<&str> =
        merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty()).collect();
    let ends = |token: &str| json!([token, id(token).unwrap_or(0)]);
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special, "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": true },
        "post_processor": { "type": "RobertaProcessing", "sep": ends("</s>"), "cls": ends("<s>"),
                            "trim_offsets": true, "add_prefix_space": prefix_space },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocab, "merges": merges },
    })
    .to_string()
}

fn added_token(token: &str, id: u64) -> Value {
    json!({ "id": id, "content": token, "single_word": false, "lstrip": token == "<mask>",
            "rstrip": false, "normalized": false, "special": true })
}

/// Returns the `tokenizer.json` of BERT's `WordPiece` tokenizer. The id of a token is its index in `tokens`.
fn wordpiece_json(tokens: &[String], lowercase: bool) -> String {
    let id = |token: &str| tokens.iter().position(|candidate| candidate == token).unwrap_or(0);
    let special: Vec<Value> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .iter()
        .filter(|&&token| tokens.iter().any(|candidate| candidate == token))
        .map(|&token| added_token(token, id(token) as u64))
        .collect();
    let vocab: serde_json::Map<String, Value> =
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
    use super::*;
    use crate::train::text::{Chunking, TextEncoder};

    fn ids(checkpoint: &Checkpoint, lowercase: Lowercase, text: &str) -> Vec<u32> {
        let encoder = TextEncoder::open(checkpoint, lowercase).unwrap();
        encoder.chunk(&[text], Chunking::whole(64)).unwrap()[0].chunks[0].clone()
    }

    #[test]
    fn a_vocabulary_file_alone_makes_the_same_tokenizer() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), mini::vocabulary().join("\n")).unwrap();
        let text = "Good 早餐 24h!";
        let expected = ids(&Checkpoint::Mini, Lowercase::Tokenizer, text);
        assert_eq!(ids(&Checkpoint::Folder(folder.path().into()), Lowercase::Tokenizer, text), expected);
    }

    /// The ids of "Good GOOD good" by a tokenizer with the tokens "good" (5) and "Good" (6), which does not lower-case by
    /// itself.
    fn cased_ids(lowercase: Lowercase) -> Vec<u32> {
        let folder = tempfile::tempdir().unwrap();
        let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "Good"];
        std::fs::write(folder.path().join("vocab.txt"), tokens.join("\n")).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
        ids(&Checkpoint::Folder(folder.path().into()), lowercase, "Good GOOD good")[1..4].to_vec()
    }

    #[test]
    fn lower_casing_can_be_left_to_the_tokenizer() {
        assert_eq!(cased_ids(Lowercase::Tokenizer), [6, 1, 5]);
    }

    #[test]
    fn lower_casing_can_be_turned_off() {
        assert_eq!(cased_ids(Lowercase::No), [6, 1, 5]);
    }

    #[test]
    fn lower_casing_can_be_turned_on() {
        assert_eq!(cased_ids(Lowercase::Yes), [5, 5, 5]);
    }

    #[test]
    fn flags_of_tokenizer_config_override_the_normalizer_for_berts_own_class() {
        let folder = tempfile::tempdir().unwrap();
        let tokens =
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "über", "uber", "Über"].map(str::to_owned);
        std::fs::write(folder.path().join("tokenizer.json"), wordpiece_json(&tokens, false)).unwrap();
        let ids = |config: Value| {
            std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
            ids(&Checkpoint::Folder(folder.path().into()), Lowercase::Tokenizer, "Über")[1]
        };
        // AutoTokenizer.from_pretrained of `transformers` 5.24
        assert_eq!(ids(json!({})), 7);
        assert_eq!(ids(json!({ "do_lower_case": true })), 6);
        assert_eq!(ids(json!({ "do_lower_case": true, "strip_accents": false })), 5);
        let generic = json!({ "do_lower_case": true, "tokenizer_class": "PreTrainedTokenizerFast" });
        assert_eq!(ids(generic), 7);
    }

    #[test]
    fn a_vocabulary_without_its_special_tokens_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\ngood").unwrap();
        let path = folder.path().to_str().unwrap();
        let error = tokenizer_json(&Checkpoint::parse(path), Lowercase::Tokenizer).unwrap_err().to_string();
        assert!(error.ends_with("it has no token [SEP]"), "{error}");
    }

    #[test]
    fn every_kind_of_normalizer_takes_lower_casing() {
        let switched = |normalizer: Value, on| {
            let mut tokenizer = json!({ "normalizer": normalizer });
            set_lowercase(&mut tokenizer, on);
            tokenizer["normalizer"].clone()
        };
        let (lower, nfc) = (json!({ "type": "Lowercase" }), json!({ "type": "NFC" }));
        let sequence = |parts: &[&Value]| json!({ "type": "Sequence", "normalizers": parts });
        assert_eq!(switched(Value::Null, true), lower);
        assert_eq!(switched(lower.clone(), false), Value::Null);
        assert_eq!(switched(nfc.clone(), true), sequence(&[&lower, &nfc]));
        assert_eq!(switched(sequence(&[&nfc, &lower]), false), sequence(&[&nfc]));
        assert_eq!(switched(sequence(&[&nfc, &lower]), true), sequence(&[&nfc, &lower]));
    }

    #[test]
    fn byte_level_bpe_is_made_from_its_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let vocab =
            json!({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "l": 4, "o": 5, "w": 6, "lo": 7, "low": 8 });
        std::fs::write(folder.path().join("vocab.json"), vocab.to_string()).unwrap();
        std::fs::write(folder.path().join("merges.txt"), "#version: 0.2\nl o\nlo w\n").unwrap();
        assert_eq!(
            ids(&Checkpoint::Folder(folder.path().into()), Lowercase::Tokenizer, "lowlo"),
            [0, 8, 7, 2]
        );
    }
}
