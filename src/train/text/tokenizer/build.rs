//! The `tokenizer.json` of the tokenizers that are built from a vocabulary and flags.

use serde_json::{Map, Value, json};

/// A special token with its id.
pub(super) type Special = (String, u64);

/// The flags of BERT's normalizer.
#[derive(Clone, Copy)]
pub(super) struct BertFlags {
    pub(super) lowercase: bool,
    /// `None`: as `lowercase`.
    pub(super) strip_accents: Option<bool>,
    /// Whether each Chinese character is a word of its own.
    pub(super) chinese_characters: bool,
}

impl Default for BertFlags {
    /// The defaults of `BertTokenizer`.
    fn default() -> Self {
        Self { lowercase: true, strip_accents: None, chinese_characters: true }
    }
}

/// Returns the vocabulary of a `vocab.txt`: the id of a token is the index of its line.
// As the tokenizers library reads it: white space at the end of a line is no part of the token, and of equal lines the
// last one counts.
pub(super) fn listed_vocabulary<'a>(lines: impl Iterator<Item = &'a str>) -> Value {
    let vocab: Map<String, Value> =
        lines.enumerate().map(|(index, line)| (line.trim_end().to_owned(), json!(index))).collect();
    Value::Object(vocab)
}

/// BERT's `WordPiece` tokenizer, with `cls` before a text and `sep` after it. `vocab`: ids by token.
pub(super) fn wordpiece(vocab: &Value, flags: BertFlags, unknown: &str, [cls, sep]: [Special; 2]) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": { "type": "BertNormalizer", "clean_text": true,
                        "handle_chinese_chars": flags.chinese_characters,
                        "strip_accents": flags.strip_accents, "lowercase": flags.lowercase },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "BertProcessing", "sep": sep, "cls": cls },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab },
    })
}

/// `RoBERTa`'s byte-level BPE tokenizer. `vocab`: ids by token. `prefix_space`: whether a text begins with a space.
pub(super) fn byte_level(
    vocab: &Value,
    merges: &Value,
    prefix_space: bool,
    [cls, sep]: [Special; 2],
) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": prefix_space, "trim_offsets": true, "use_regex": true },
        "post_processor": { "type": "RobertaProcessing", "sep": sep, "cls": cls,
                            "trim_offsets": true, "add_prefix_space": prefix_space },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "", "fuse_unk": false, "vocab": vocab, "merges": merges },
    })
}

/// The Unigram tokenizer of XLM-RoBERTa and `CamemBERT`. `vocab`: tokens with scores; `unknown`: the index of the unknown
/// token; `characters`: the normalizer with `SentencePiece`'s map of characters, or null.
pub(super) fn unigram(
    vocab: &Value,
    unknown: u64,
    characters: &Value,
    prefix_space: bool,
    [cls, sep]: [Special; 2],
) -> Value {
    let scheme = if prefix_space { "always" } else { "never" };
    let spaces = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": characters,
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, spaces] },
        "post_processor": { "type": "RobertaProcessing", "sep": sep, "cls": cls,
                            "trim_offsets": true, "add_prefix_space": prefix_space },
        "decoder": spaces,
        "model": { "type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": false },
    })
}

/// The part of `normalizer` that holds `SentencePiece`'s map of characters; null where there is none.
pub(super) fn characters(normalizer: &Value) -> Value {
    let parts = normalizer["normalizers"].as_array();
    let mut parts = parts.into_iter().flatten().chain([normalizer]);
    parts.find(|part| part["type"] == "Precompiled").cloned().unwrap_or(Value::Null)
}
