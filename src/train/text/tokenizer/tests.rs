//! Tokenizers as other programs write their files: added tokens, special tokens, and what is refused.

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::train::text::{Chunking, TextEncoder};

/// The vocabulary of these tests. Expected ids are those of `AutoTokenizer.from_pretrained` of `transformers` 5.24, with
/// tokenizers 0.23.3.
const TOKENS: [&str; 26] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "很", "好", "uber", "über", "Über", "good", "Good", "a",
    "b", "##b", "ab", "<", ">", "[", "]", "pad", "mask", "新", "词", "服", "务",
];
const TEXT: &str = "Über Good 新词很好 ab [MASK]";
/// The ids of [`TEXT`] with lower-casing, and without it.
const LOWERED: [u32; 10] = [2, 7, 10, 22, 23, 5, 6, 15, 4, 3];
const CASED: [u32; 10] = [2, 9, 11, 22, 23, 5, 6, 15, 4, 3];

/// The folder of a BERT with these files. A text is written as it is, any other value as JSON.
fn bert(files: &[(&str, Value)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("config.json", json!({ "model_type": "bert" }))].iter().chain(files) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The vocabulary as a `vocab.txt`.
fn vocab_txt() -> (&'static str, Value) {
    ("vocab.txt", json!(TOKENS.join("\n")))
}

/// The vocabulary in a `tokenizer.json` that keeps capitals.
fn cased_json() -> Value {
    let flags = BertFlags { lowercase: false, ..BertFlags::default() };
    let recipe = Recipe { path: PathBuf::new(), tokens: Tokens::default(), flags };
    serde_json::from_str(&recipe.wordpiece(&build::listed_vocabulary(TOKENS.into_iter())).unwrap()).unwrap()
}

fn ids_of(folder: &TempDir, text: &str) -> Vec<u32> {
    ids(&Checkpoint::Folder(folder.path().into()), Lowercase::Tokenizer, text)
}

fn error_of(folder: &TempDir) -> String {
    let checkpoint = Checkpoint::Folder(folder.path().into());
    tokenizer_json(&checkpoint, Lowercase::Tokenizer).unwrap_err().to_string()
}

/// A `tokenizer_config.json`.
fn config(value: Value) -> (&'static str, Value) {
    ("tokenizer_config.json", value)
}

#[test]
fn berts_own_class_takes_the_vocabulary_alone_from_tokenizer_json() {
    assert_eq!(ids_of(&bert(&[("tokenizer.json", cased_json())]), TEXT), LOWERED);
}

#[test]
fn the_general_class_takes_tokenizer_json_as_it_is() {
    let general = config(json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    assert_eq!(ids_of(&bert(&[("tokenizer.json", cased_json()), general]), TEXT), CASED);
}

#[test]
fn a_class_that_is_not_known_takes_tokenizer_json_as_it_is() {
    let unknown = config(json!({ "tokenizer_class": "MyTokenizer" }));
    assert_eq!(ids_of(&bert(&[("tokenizer.json", cased_json()), unknown]), TEXT), CASED);
}

#[test]
fn a_class_that_is_not_known_is_refused_without_tokenizer_json() {
    let error = error_of(&bert(&[vocab_txt(), config(json!({ "tokenizer_class": "MyTokenizer" }))]));
    assert!(error.contains("tokenizer_class \"MyTokenizer\" is not built in"), "{error}");
}

#[test]
fn a_tokenizer_of_words_is_refused_wherever_it_is_named() {
    let named = json!({ "tokenizer_class": "BertJapaneseTokenizer" });
    let model = json!({ "model_type": "bert", "tokenizer_class": "BertJapaneseTokenizer" });
    for (file, value) in
        [config(named), config(json!({ "word_tokenizer_type": "mecab" })), ("config.json", model)]
    {
        let error = error_of(&bert(&[vocab_txt(), (file, value)]));
        assert!(error.contains("cuts a text into words by MeCab"), "{error}");
    }
}

#[test]
fn berts_own_class_puts_special_tokens_around_a_text_whatever_tokenizer_json_says() {
    let mut without = cased_json();
    without["post_processor"] = Value::Null;
    assert_eq!(ids_of(&bert(&[("tokenizer.json", without)]), "很好"), [2, 5, 6, 3]);
}

#[test]
fn a_tokenizer_that_puts_nothing_around_a_text_leaves_it_alone() {
    let mut without = cased_json();
    without["post_processor"] = Value::Null;
    let general = config(json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    let folder = bert(&[("tokenizer.json", without), general]);
    assert_eq!(ids_of(&folder, "很好"), [5, 6]);
    // Stands against a chunk without tokens, for which no model has an answer.
    assert_eq!(ids_of(&folder, "\u{200b}"), [2, 3]);
}

#[test]
fn a_tokenizer_json_that_is_no_object_is_refused() {
    let general = config(json!({ "tokenizer_class": "PreTrainedTokenizerFast" }));
    let error = error_of(&bert(&[("tokenizer.json", json!("[1]")), general]));
    assert!(error.ends_with("tokenizer.json: the file is [1], not an object"), "{error}");
}

#[test]
fn added_tokens_beside_a_vocabulary_are_read() {
    let folder = bert(&[vocab_txt(), ("added_tokens.json", json!({ "新词": 26, "<E>": 27 }))]);
    assert_eq!(ids_of(&folder, "新词很好<E>"), [2, 26, 5, 6, 27, 3]);
}

#[test]
fn added_tokens_of_the_config_are_read_with_their_flags() {
    let token =
        json!({ "content": "XY", "lstrip": true, "rstrip": true, "normalized": false, "single_word": true });
    let folder = bert(&[vocab_txt(), config(json!({ "added_tokens_decoder": { "26": token } }))]);
    assert_eq!(ids_of(&folder, "a XY b aXY XY"), [2, 12, 26, 13, 1, 26, 3]);
}

#[test]
fn additional_special_tokens_follow_the_vocabulary() {
    let tokens = json!({ "additional_special_tokens": ["新词", "<E>"] });
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        let folder = bert(&[vocab_txt(), (file, tokens.clone())]);
        assert_eq!(ids_of(&folder, "新词很好a<E>b"), [2, 26, 5, 6, 12, 27, 13, 3], "{file}");
    }
}

#[test]
fn an_added_token_that_would_get_another_id_is_refused() {
    for added in [json!({ "新词": 31 }), json!({ "Good": 10 })] {
        let error = error_of(&bert(&[vocab_txt(), ("added_tokens.json", added)]));
        assert!(error.contains("but the vocabulary gives it"), "{error}");
    }
}

#[test]
fn special_tokens_of_another_name_are_used() {
    let renamed = TOKENS.map(|token| match token {
        "[UNK]" => "<unk>",
        "[CLS]" => "<s>",
        "[SEP]" => "</s>",
        other => other,
    });
    let names = json!({ "unk_token": "<unk>", "cls_token": { "content": "<s>" }, "sep_token": "</s>" });
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        let folder = bert(&[("vocab.txt", json!(renamed.join("\n"))), (file, names.clone())]);
        assert_eq!(ids_of(&folder, "zz 很"), [2, 1, 5, 3], "{file}");
    }
}

#[test]
fn white_space_at_the_end_of_a_line_is_no_part_of_a_token() {
    for end in [" \n", "\r\n"] {
        assert_eq!(ids_of(&bert(&[("vocab.txt", json!(TOKENS.join(end)))]), TEXT), LOWERED);
    }
}

#[test]
fn entries_that_no_fast_tokenizer_follows_are_refused() {
    for (key, value) in [
        ("do_basic_tokenize", json!(false)),
        ("never_split", json!(["Über"])),
        ("split_special_tokens", json!(true)),
    ] {
        let error = error_of(&bert(&[vocab_txt(), config(json!({ key: value }))]));
        assert!(error.contains(key) && error.contains("is not supported"), "{error}");
    }
}

#[test]
fn a_switch_of_another_kind_is_named() {
    let error = error_of(&bert(&[vocab_txt(), config(json!({ "do_lower_case": "no" }))]));
    assert!(error.ends_with("do_lower_case is \"no\", not true or false"), "{error}");
}

/// The tokenizer's ids after an export, read as `transformers` reads it: the class of the export takes tokenizer.json and
/// the added tokens of the config.
#[test]
fn an_exported_tokenizer_config_names_every_added_token() {
    let folder = bert(&[vocab_txt(), ("added_tokens.json", json!({ "新词": 26 }))]);
    let checkpoint = Checkpoint::Folder(folder.path().into());
    let json = tokenizer_json(&checkpoint, Lowercase::Tokenizer).unwrap();
    let exported = tokenizer_config(&checkpoint, &json, true, 20).unwrap();
    let expected = json!({ "content": "新词", "single_word": false, "lstrip": false, "rstrip": false,
                           "normalized": true, "special": false });
    assert_eq!(exported["added_tokens_decoder"]["26"], expected);
}

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
    let id = |entries: Value| ids_of(&bert(&[("tokenizer.json", cased_json()), config(entries)]), "Über")[1];
    assert_eq!(id(json!({ "do_lower_case": false })), 9);
    assert_eq!(id(json!({ "do_lower_case": true })), 7);
    assert_eq!(id(json!({ "do_lower_case": true, "strip_accents": false })), 8);
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
fn byte_level_bpe_is_made_from_its_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let vocab =
        json!({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "l": 4, "o": 5, "w": 6, "lo": 7, "low": 8 });
    std::fs::write(folder.path().join("vocab.json"), vocab.to_string()).unwrap();
    std::fs::write(folder.path().join("merges.txt"), "#version: 0.2\nl o\nlo w\n").unwrap();
    assert_eq!(ids(&Checkpoint::Folder(folder.path().into()), Lowercase::Tokenizer, "lowlo"), [0, 8, 7, 2]);
}
