//! Files that no honest model has, and honest ones.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokenizers::{NormalizedString, Normalizer as _, NormalizerWrapper};

use super::*;

/// A small honest tokenizer with all parts.
fn honest() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{ "id": 0, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false,
                           "normalized": false, "special": true }],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFKD" }, { "type": "Lowercase" }, { "type": "StripAccents" },
            { "type": "Precompiled", "precompiled_charsmap": map(&[("Ａ", "A"), ("ﷺ", "صلى الله عليه وسلم")]) },
            { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" },
            { "type": "Prepend", "prepend": "▁" }] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": GPT2 }, "behavior": "Isolated", "invert": false },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false }] },
        "post_processor": { "type": "Sequence", "processors": [
            { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true },
            { "type": "TemplateProcessing",
              "single": [{ "SpecialToken": { "id": "[CLS]", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
              "pair": [], "special_tokens": { "[CLS]": { "id": "[CLS]", "ids": [1], "tokens": ["[CLS]"] } } }] },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "BPE", "dropout": null, "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "vocab": { "[UNK]": 0, "[CLS]": 1, "a": 2, "##b": 3, "ab": 4 }, "merges": [["a", "##b"]] },
    })
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The fault of the honest tokenizer with `value` at `pointer`.
fn fault(pointer: &str, value: Value) -> String {
    let mut tokenizer = honest();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    tokenizer.pointer_mut(parent).unwrap()[key] = value;
    match faultless(&tokenizer) {
        Ok(()) => String::new(),
        Err(Fault { field, what }) => format!("{field} {what}"),
    }
}

#[track_caller]
fn refused(pointer: &str, value: Value, words: &str) {
    let fault = fault(pointer, value);
    assert!(fault.contains(words), "no {words:?} in {fault:?}");
}

#[test]
fn an_honest_tokenizer_has_no_fault() {
    assert_eq!(faultless(&honest()), Ok(()));
    assert_eq!(faultless(&json!({ "model": { "type": "WordLevel", "vocab": { "a": 0 } } })), Ok(()));
}

#[test]
fn a_normalizer_without_bounds_is_refused() {
    let map = |map: &str| json!({ "type": "Precompiled", "precompiled_charsmap": map });
    refused(
        "/normalizer",
        map(""),
        "normalizer.precompiled_charsmap is no map of characters: it is too short",
    );
    refused("/normalizer", map("////////"), "its array has 4294967295 bytes, but 2 are there");
    refused("/normalizer", map("?"), "normalizer.precompiled_charsmap is no map of characters: ");
    refused(
        "/normalizer",
        json!({ "type": "Precompiled" }),
        "precompiled_charsmap is no map of characters: it is no text",
    );
    // A kind that the library does not know is taken by its keys.
    refused(
        "/normalizer",
        json!({ "type": "x", "precompiled_charsmap": "////////" }),
        "precompiled_charsmap",
    );
    let long = json!({ "type": "Prepend", "prepend": "a".repeat(10 << 20) });
    refused("/normalizer", long, "normalizer.prepend has 10485760 bytes, more than 1024");
    let long = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "a".repeat(10_000) });
    refused("/normalizer", long, "normalizer.content has 10000 bytes");
    let twice = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aa" });
    let chain = json!({ "type": "Sequence", "normalizers": vec![twice.clone(); 40] });
    refused("/normalizer", chain, "normalizer can make a text 1099511627776 times longer");
    let chain = json!({ "type": "Sequence", "normalizers": vec![json!({ "type": "NFC" }); 65] });
    refused("/normalizer", chain, "normalizer has more than 64 parts");
    let disguised = json!({ "type": "NFKC", "prepend": "" });
    refused("/normalizer", json!({ "type": "Sequence", "normalizers": vec![disguised; 20] }), "times longer");
    let nested =
        json!({ "type": "Sequence", "normalizers": [{ "type": "Sequence", "normalizers": [map("")] }] });
    refused("/normalizer", nested, "normalizer.normalizers[0].normalizers[0].precompiled_charsmap is");
}

#[test]
fn a_pre_tokenizer_without_bounds_is_refused() {
    refused("/pre_tokenizer", json!({ "type": "FixedLength", "length": 0 }), "pre_tokenizer.length is 0");
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true });
    let chain = json!({ "type": "Sequence", "pretokenizers": vec![byte_level; 30] });
    refused("/pre_tokenizer", chain, "pre_tokenizer has 30 parts that make a text longer");
}

#[test]
fn a_post_processor_that_the_library_panics_at_is_refused() {
    let template = |single: Value| json!({ "type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {} });
    let (a, b) = (
        json!({ "Sequence": { "id": "A", "type_id": 0 } }),
        json!({ "Sequence": { "id": "B", "type_id": 0 } }),
    );
    let special = json!({ "SpecialToken": { "id": "[CLS]", "type_id": 0 } });
    refused(
        "/post_processor",
        template(json!([special, a])),
        "post_processor.special_tokens[\"[CLS]\"] is missing",
    );
    refused("/post_processor", template(json!([a, b])), "which is not there for a single text");
    refused("/post_processor", template(json!([])), "post_processor.single has the text 0 times, not once");
    let twice = json!({ "type": "Sequence", "processors": [template(json!([a])), template(json!([a]))] });
    refused(
        "/post_processor",
        twice,
        "post_processor.processors[1] puts special tokens around those of another",
    );
}

#[test]
fn a_model_that_does_not_fit_its_vocabulary_is_refused() {
    refused("/model/merges", json!([["a", "b"]]), "model.merges[0] has the part \"b\" without the prefix");
    refused(
        "/model/merges",
        json!([["a", "##c"]]),
        "model.merges[0] needs \"##c\", which is no token of model.vocab",
    );
    refused(
        "/model/merges",
        json!(["ab ##b"]),
        "model.merges[0] needs \"abb\", which is no token of model.vocab",
    );
    refused("/model/merges", json!(["ab"]), "model.merges[0] is \"ab\", not two tokens");
    refused("/model/dropout", json!(0.1), "model.dropout is 0.1: a text would have other tokens each time");
    refused("/model/vocab", json!({ "a": -1 }), "model.vocab[\"a\"] is -1, not an id");
    refused("/model/vocab", json!({ "a": u32::MAX }), "model.vocab[\"a\"] is 4294967295, not an id");
    refused("/model/vocab", json!({ "a".repeat(5_000): 1 }), "has 5000 bytes, more than 1024");
    refused(
        "/model",
        json!({ "vocab": { "a": 0 }, "max_input_chars_per_word": 1_u64 << 40 }),
        "max_input_chars_per_word is",
    );
    let unigram =
        |vocab: Value, unknown: Value| json!({ "type": "Unigram", "vocab": vocab, "unk_id": unknown });
    refused(
        "/model",
        unigram(json!([["a", 0.0]]), json!(1)),
        "model.unk_id is 1, which is none of the 1 tokens",
    );
    refused("/model", unigram(json!([["a", 0.0]]), Value::Null), "model.unk_id is null");
    refused(
        "/model",
        unigram(json!([["a", "b"]]), json!(0)),
        "model.vocab[0] is [\"a\",\"b\"], not a token with its score",
    );
    assert_eq!(fault("/model", unigram(json!([["a", 0.0]]), json!(0))), "");
}

#[test]
fn added_tokens_without_bounds_are_refused() {
    let token = |length: usize| json!({ "id": 9, "content": "x".repeat(length) });
    refused("/added_tokens", json!([token(5_000)]), "added_tokens[0].content has 5000 bytes");
    refused("/added_tokens", json!(vec![token(1); 100_001]), "added_tokens has 100001 tokens");
    refused("/added_tokens", json!(vec![token(1_000); 9_000]), "once they are normalized");
}

#[test]
fn patterns_of_known_tokenizers_are_taken() {
    for pattern in [
        GPT2,
        // cl100k_base
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        // o200k_base
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+",
        // Digits in groups of three, from the right.
        r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))",
        // Bloom
        r" ?[^(\s|[.,!?…。，、।۔،])]+",
        r" {2,}",
        r"\s+",
        // Linear, whatever is nested: nothing looks around.
        r"(a+)+$",
    ] {
        let pattern = json!({ "Regex": pattern });
        assert_eq!(pattern::check(&pattern, "pattern"), Ok(()), "{pattern}");
    }
    assert_eq!(pattern::check(&json!({ "String": "(" }), "pattern"), Ok(()));
}

#[test]
fn patterns_that_may_search_without_end_are_refused() {
    for pattern in
        [r"(a+)+(?!b)", r"(?=(\w*)*!)x", r"(?>(\s|\w+)*)!", r"(.+)\1", r"((a*)*)*(?<!x)", r"(?<a>x\g<a>?)"]
    {
        let what = pattern::check(&json!({ "Regex": pattern }), "pattern").unwrap_err().what;
        assert!(what.contains("without end"), "{pattern}: {what}");
    }
    let deep = "(".repeat(500) + "a" + &")".repeat(500);
    assert!(
        pattern::check(&json!({ "Regex": deep }), "pattern").unwrap_err().what.starts_with("is no pattern: ")
    );
    let long = json!({ "Regex": "a".repeat(20_000) });
    assert_eq!(pattern::check(&long, "pattern").unwrap_err().what, "has 20000 bytes, more than 10000");
    refused(
        "/decoder",
        json!({ "type": "Replace", "pattern": { "Regex": r"(a+)+(?!b)" }, "content": "" }),
        "decoder.pattern",
    );
}

/// The bytes of a map of characters, in the layout of `SentencePiece`: each node has a block of 256 units of its own.
fn map_bytes(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut units = vec![256_u32 << 10];
    units.resize(512, 0);
    for (from, to) in pairs {
        let mut block = 256;
        let bytes = from.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let at = block ^ usize::from(*byte);
            if units[at] == 0 {
                let next = units.len();
                units.resize(next + 256, 0);
                units[at] = (u32::try_from(at ^ next).unwrap() << 10) | u32::from(*byte);
            }
            block = at ^ (units[at] >> 10) as usize;
            if index + 1 == bytes.len() {
                units[at] |= 1 << 8;
                units[block] = (1 << 31) | u32::try_from(texts.len()).unwrap();
            }
        }
        texts.extend(to.bytes());
        texts.push(0);
    }
    let array: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    [&u32::try_from(array.len()).unwrap().to_le_bytes(), &array[..], &texts].concat()
}

fn map(pairs: &[(&str, &str)]) -> String {
    STANDARD.encode(map_bytes(pairs))
}

/// What the library makes of `text` by a map of characters.
fn mapped(map: &[u8], text: &str) -> String {
    let value = json!({ "type": "Precompiled", "precompiled_charsmap": STANDARD.encode(map) });
    let normalizer: NormalizerWrapper = serde_json::from_value(value).unwrap();
    let mut text = NormalizedString::from(text);
    normalizer.normalize(&mut text).unwrap();
    text.get().to_owned()
}

#[test]
fn an_honest_map_of_characters_is_measured() {
    let map = map_bytes(&[("Ａ", "A"), ("ﬀ", "ff"), ("…", "........."), ("\u{ad}", "")]);
    assert_eq!(mapped(&map, "xＡﬀ…\u{ad}"), "xAff.........");
    assert_eq!(charsmap::growth(&json!(STANDARD.encode(&map)), "map"), Ok(3.0));
}

#[test]
fn a_damaged_map_is_refused_or_harmless() {
    let map = map_bytes(&[("Ａ", "A"), ("ﬀ", "ff")]);
    let texts = ["Ａ ﬀ x", "\u{ffff}\u{10ffff}", "\u{1}~é好👍"];
    let mut refusals = 0;
    for at in (0..map.len()).filter(|at| map[*at] != 0 || at % 7 == 0) {
        for flip in [1_u8, 4, 0x80, 0xff] {
            let mut damaged = map.clone();
            damaged[at] ^= flip;
            if charsmap::growth(&json!(STANDARD.encode(&damaged)), "map").is_err() {
                refusals += 1;
            } else {
                for text in texts {
                    mapped(&damaged, text);
                }
            }
        }
    }
    assert!(refusals > 10, "{refusals}");
}
