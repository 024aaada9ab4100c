//! Models that mean harm, against the real program: refused by the dry run, the run and `predict`, before any trial, in
//! bounded memory. And texts that are longer than any honest one.

use serde_json::{Value, json};

use crate::{
    common::{checkpoint, place::Place, texts::csv},
    hostile::{dry_run, place, run, spec},
};

/// A `tokenizer.json` for the small BERT.
fn tokenizer() -> Value {
    let vocabulary = checkpoint::VOCABULARY.lines().zip(0_u32..);
    let vocabulary: serde_json::Map<String, Value> =
        vocabulary.map(|(token, id)| (token.to_owned(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": { "type": "NFKC" },
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "\\p{L}|\\s+(?!\\S)|\\S" },
                           "behavior": "Isolated", "invert": false },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2] },
        "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocabulary },
    })
}

/// Chunks that fit the window of the small BERT.
const TEXT: &str = "[text]\nchunk_length = 16\nchunk_stride = 4\n";

/// A place with a spec of a small BERT with these files in the folder `model`.
fn with_model(tokenizer: &str, config: &Value) -> Place {
    let place = place(&(spec("hostile", "model") + TEXT));
    place.write("model/config.json", config.to_string());
    place.write("model/model.safetensors", checkpoint::fixture("tiny-bert", "model.safetensors"));
    place.write("model/tokenizer.json", tokenizer);
    place.write("model/tokenizer_config.json", r#"{ "tokenizer_class": "PreTrainedTokenizerFast" }"#);
    place
}

/// The `config.json` of the small BERT, with this value.
fn config(key: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_slice(&checkpoint::fixture("tiny-bert", "config.json")).unwrap();
    config[key] = value;
    config
}

/// A small BERT whose `tokenizer.json` has this value.
fn with_tokenizer(pointer: &str, value: Value) -> Place {
    let mut tokenizer = tokenizer();
    *tokenizer.pointer_mut(pointer).unwrap() = value;
    with_model(&tokenizer.to_string(), &config("id2label", json!({ "0": "a", "1": "b" })))
}

/// Expects that dry run, run and `predict` refuse the model in these words, and that nothing is left behind.
#[track_caller]
fn refused_everywhere(place: &Place, words: &str) {
    dry_run(place).refused(2, words);
    run(place, &["run", "s.toml", "--devices", "cpu:1"]).refused(2, words);
    assert!(!place.path("results/hostile").exists(), "a refused run has left results");
    run(place, &["predict", "--model", "model", "text"]).refused(2, words);
}

#[test]
fn an_honest_model_is_taken() {
    let ran = dry_run(&with_tokenizer("/decoder", Value::Null));
    assert_eq!(ran.code, Some(0), "{}", ran.text);
}

#[test]
fn what_a_model_says_never_speaks_to_the_terminal() {
    let evil = "\u{1b}[31m\u{202e}".repeat(50_000);
    let vocabulary = json!({ "[UNK]": 0, (evil.get(..700).unwrap()): 1_000_000 });
    refused_everywhere(&with_tokenizer("/model/vocab", vocabulary), "the tokenizer has 1000001 tokens");
    for key in ["model_type", "hidden_act"] {
        let place = with_model(&tokenizer().to_string(), &config(key, json!(evil)));
        refused_everywhere(&place, &format!("{key} \""));
    }
    let place = with_tokenizer("/decoder", Value::Null);
    place.write(
        "model/tokenizer_config.json",
        json!({ "tokenizer_class": "A", "cls_token": evil }).to_string(),
    );
    assert_eq!(dry_run(&place).code, Some(0));
}

#[test]
fn damaged_maps_of_characters_are_refused() {
    for (map, words) in [
        ("", "normalizer.precompiled_charsmap is no map of characters: it is too short; get"),
        (
            "////////",
            "normalizer.precompiled_charsmap is no map of characters: its array has 4294967295 bytes",
        ),
    ] {
        let map = json!({ "type": "Precompiled", "precompiled_charsmap": map });
        refused_everywhere(&with_tokenizer("/normalizer", map), words);
    }
}

#[test]
fn special_tokens_beyond_the_embeddings_are_refused() {
    let template = json!({
        "type": "TemplateProcessing", "pair": [],
        "single": [{ "SpecialToken": { "id": "x", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "special_tokens": { "x": { "id": "x", "ids": [4_000_000_000_u32], "tokens": ["x"] } },
    });
    let ends = |kind: &str| {
        json!({ "type": kind, "sep": ["[SEP]", 9_999], "cls": ["[CLS]", 2], "trim_offsets": true,
                                    "add_prefix_space": false })
    };
    for (processor, id) in
        [(ends("BertProcessing"), "9999"), (ends("RobertaProcessing"), "9999"), (template, "4000000000")]
    {
        let words = format!("the tokenizer's post_processor puts the token {id} around each text, but");
        refused_everywhere(&with_tokenizer("/post_processor", processor), &words);
    }
}

#[test]
fn normalizers_without_bounds_are_refused() {
    let replace = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aa" });
    for (normalizer, words) in [
        (
            json!({ "type": "Prepend", "prepend": "a".repeat(10_000_000) }),
            "normalizer.prepend has 10000000 bytes",
        ),
        (
            json!({ "type": "Sequence", "normalizers": vec![replace; 40] }),
            "normalizer can make a text 1099511627776",
        ),
        (
            json!({ "type": "Replace", "pattern": { "Regex": "(a+)+(?!b)" }, "content": "" }),
            "normalizer.pattern looks around and has a repetition within a repetition",
        ),
    ] {
        refused_everywhere(&with_tokenizer("/normalizer", normalizer), words);
    }
}

#[test]
fn vocabularies_that_do_not_fit_are_refused() {
    for (model, words) in [
        (
            json!({ "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                 "max_input_chars_per_word": 100, "vocab": { "a": 0 } }),
            "Missing [UNK] token from the vocabulary",
        ),
        (
            json!({ "type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
                 "max_input_chars_per_word": 100, "vocab": { "a": 1_000_000_000 } }),
            "the tokenizer has 1000000001 tokens",
        ),
        (
            json!({ "type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]] }),
            "model.unk_id is 7, which is none of the 1",
        ),
        (
            json!({ "type": "BPE", "vocab": { "a": 0, "b": 1 }, "merges": [["a", "b"]] }),
            "model.merges[0] needs \"ab\", which is no token of model.vocab",
        ),
    ] {
        refused_everywhere(&with_tokenizer("/model", model), words);
    }
}

/// What the library reads and the check of the file does not see: the first of two equal keys.
#[test]
fn what_passes_the_check_ends_at_the_wall() {
    let bomb = r#"{"normalizer":{"type":"Precompiled","precompiled_charsmap":"////////"},"#;
    let text = tokenizer().to_string().replacen('{', bomb, 1);
    let place = with_model(&text, &config("id2label", json!({ "0": "a", "1": "b" })));
    refused_everywhere(
        &place,
        "cannot be used: reading it takes more than 4 GiB of memory; get the model's files again",
    );
}

#[test]
fn sizes_that_are_not_those_of_the_tensors_are_refused_by_their_keys() {
    for (key, value, words) in [
        (
            "num_hidden_layers",
            json!(1_000_000),
            "num_hidden_layers is 1000000; it must be from 1 to 1000: correct it",
        ),
        ("num_hidden_layers", json!(900), "config.json asks for more layers than the file has, which is 2"),
        ("hidden_size", json!(12_000_000), "config.json says hidden_size 12000000, the file has"),
        ("vocab_size", json!(16_000_000), "config.json says vocab_size 16000000, the file has"),
        ("intermediate_size", json!(16_000_000), "config.json says intermediate_size 16000000, the file has"),
        (
            "max_position_embeddings",
            json!(16_000_000),
            "config.json says max_position_embeddings 16000000, the file has",
        ),
        (
            "max_position_embeddings",
            json!(1_u64 << 50),
            "max_position_embeddings is 1125899906842624; it must be",
        ),
        ("layer_norm_eps", json!(-1.0), "layer_norm_eps is -1.0; it must be from 0 to 1"),
    ] {
        let place = with_model(&tokenizer().to_string(), &config(key, value));
        dry_run(&place).refused(2, words);
        run(&place, &["run", "s.toml", "--devices", "cpu:1"]).refused(2, words);
    }
}

#[test]
fn files_without_end_are_refused() {
    let place = with_model(&tokenizer().to_string(), &config("id2label", json!({ "0": "a", "1": "b" })));
    for (file, limit) in
        [("config.json", "16 MiB"), ("tokenizer.json", "128 MiB"), ("tokenizer_config.json", "16 MiB")]
    {
        let path = place.path("model").join(file);
        let whole = std::fs::read(&path).unwrap();
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        dry_run(&place).refused(2, &format!("{file}: it has more than {limit}, so it is no such file"));
        std::fs::write(&path, whole).unwrap();
    }
}

/// The small BERT with texts of which one is this text.
fn with_text(text: &str) -> Place {
    let place = with_tokenizer("/decoder", Value::Null);
    for (file, long) in [("train.csv", Some(text)), ("validation.csv", None), ("test.csv", None)] {
        let text = |row: usize| {
            long.filter(|_| row == 7).map_or_else(|| format!("很好 {file} {row}"), str::to_owned)
        };
        place.write(file, csv((0..40).map(|row| (text(row), ["a", "b"][row % 2]))));
    }
    let spec = "name = \"hostile\"\n[data]\ntrain = \"train.csv\"\nvalidation = \"validation.csv\"\n\
         test = \"test.csv\"\n[model]\ncheckpoint = \"model\"\n";
    place.write_spec(&(spec.to_owned() + TEXT));
    place
}

#[test]
fn a_text_of_a_megabyte_is_taken() {
    let ran = dry_run(&with_text(&"很好 very good ".repeat(70_000)));
    assert_eq!(ran.code, Some(0), "{}", ran.text);
}

#[test]
fn a_text_longer_than_any_book_is_refused_with_its_row() {
    dry_run(&with_text(&"a ".repeat(2_500_000))).refused(2, "the text has 5000000 bytes, more than 4 MiB");
}

#[test]
fn a_text_that_its_normalizer_makes_too_long_is_refused_with_its_row() {
    let ran = dry_run(&with_text(&"\u{fdfa}".repeat(1_200_000)));
    ran.refused(
        2,
        "cannot be tokenised: the tokenizer's normalizer may make more than 16 MiB of its 3600000 bytes",
    );
    assert!(ran.text.contains("row 8 of train, "), "{}", ran.text);
}
