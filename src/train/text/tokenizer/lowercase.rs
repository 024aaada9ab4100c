//! Lower-casing, turned on or off in a `tokenizer.json`.

use serde_json::{Value, json};

/// Turns the lower-casing of a `tokenizer.json` on or off.
pub(super) fn set_lowercase(tokenizer: &mut Value, on: bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
