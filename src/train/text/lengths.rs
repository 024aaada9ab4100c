//! How long texts may be, and what a tokenizer's normalizer may make of them.
//!
//! The tokenizers library needs about 200 bytes of memory for each byte of a text, and has no bounds of its own.

use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use super::{error::TextFault, tokenizer};
use crate::data::TEXT_BYTES_MAX;

/// Bytes of a text once it is normalized. Chinese characters with spaces around them are five thirds as long, the letters
/// of Korean syllables three times.
const NORMALIZED_BYTES_MAX: usize = 16 << 20;
/// Bytes of a text that are normalized at a time where its length is in doubt.
const SLICE_BYTES: usize = 64 << 10;
/// Bytes that one part of a normalizer may make of such a slice, by the worst that it can do.
const SLICE_BYTES_MAX: f64 = 64.0 * 1_048_576.0;
/// Tokens of all chunks of a text. Without overlap, a text of [`TEXT_BYTES_MAX`] has a sixteenth of them at most.
pub(super) const CHUNKED_TOKENS_MAX: usize = 16 * TEXT_BYTES_MAX;
/// Bytes of a text with which it is tokenised by itself, so that not many such texts are in memory at once.
pub(super) const ALONE_BYTES: usize = 256 << 10;

/// What a tokenizer's normalizer can do to the length of a text.
pub(super) struct Growth {
    /// By part of the normalizer, in their order: how many times longer it can make a text.
    parts: Vec<f64>,
    /// All parts together.
    product: f64,
}

impl Growth {
    /// The growth by `normalizer`; `None` if it has parts that are not known.
    pub(super) fn of(normalizer: Option<&NormalizerWrapper>) -> Option<Self> {
        let value = normalizer.map_or(Ok(Value::Null), serde_json::to_value).ok()?;
        let parts = tokenizer::growths(&value)?;
        let product = parts.iter().product();
        (parts.len() == normalizer.map_or(0, |normalizer| leaves(normalizer).len()))
            .then_some(Self { parts, product })
    }

    /// Refuses a text that is too long, or becomes too long when it is normalized.
    ///
    /// # Errors
    /// When it does.
    pub(super) fn check(&self, normalizer: Option<&NormalizerWrapper>, text: &str) -> Result<(), TextFault> {
        let bytes = text.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(TextFault::Long { bytes });
        }
        // Almost every text is too short to become too long.
        if times(bytes, self.product) <= times(NORMALIZED_BYTES_MAX, 1.0) {
            return Ok(());
        }
        let too_long = || TextFault::Normalized { bytes, max: NORMALIZED_BYTES_MAX };
        let mut text = text.to_owned();
        let leaves = normalizer.map(leaves).unwrap_or_default();
        for (part, growth) in leaves.into_iter().zip(&self.parts) {
            if times(SLICE_BYTES.min(text.len()), *growth) > SLICE_BYTES_MAX {
                return Err(too_long());
            }
            text = normalized(part, &text)
                .map_err(|source| TextFault::Library { source })?
                .ok_or_else(too_long)?;
        }
        Ok(())
    }
}

/// What one part of a normalizer makes of `text`, a slice at a time; `None` if that is too long. Only the length is for
/// use: at the ends of slices, characters may come out otherwise than in a whole text.
fn normalized(part: &NormalizerWrapper, text: &str) -> tokenizers::Result<Option<String>> {
    let (mut rest, mut whole) = (text, String::new());
    while !rest.is_empty() {
        let (slice, next) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
        let mut slice = NormalizedString::from(slice);
        part.normalize(&mut slice)?;
        whole.push_str(slice.get());
        if whole.len() > NORMALIZED_BYTES_MAX {
            return Ok(None);
        }
        rest = next;
    }
    Ok(Some(whole))
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
const fn times(bytes: usize, factor: f64) -> f64 {
    bytes as f64 * factor
}

/// The parts of a normalizer that have no further parts, in their order.
fn leaves(normalizer: &NormalizerWrapper) -> Vec<&NormalizerWrapper> {
    match normalizer {
        NormalizerWrapper::Sequence(list) => list.as_ref().iter().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(normalizer: &Value, text: &str) -> Result<(), TextFault> {
        let normalizer: NormalizerWrapper = serde_json::from_value(normalizer.clone()).unwrap();
        Growth::of(Some(&normalizer)).unwrap().check(Some(&normalizer), text)
    }

    #[test]
    fn a_text_of_a_megabyte_is_taken() {
        check(&json!({ "type": "NFKC" }), &"很好 very good ".repeat(80_000)).unwrap();
    }

    #[test]
    fn a_text_that_becomes_too_long_is_refused() {
        let long = "\u{fdfa}".repeat(1 << 20);
        let refused = check(&json!({ "type": "NFKC" }), &long).unwrap_err();
        assert!(matches!(refused, TextFault::Normalized { bytes: 3_145_728, .. }), "{refused:?}");
        check(&json!({ "type": "NFC" }), &long).unwrap();
    }

    #[test]
    fn a_part_after_another_is_not_run_on_a_text_that_it_could_make_too_long() {
        let replace = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "a".repeat(60) });
        let twice = json!({ "type": "Sequence", "normalizers": [replace, { "type": "Sequence", "normalizers": [replace] }] });
        check(&twice, "aaa").unwrap();
        assert!(check(&twice, &"a".repeat(30_000)).is_err());
        check(&twice, &"b".repeat(300_000)).unwrap();
    }

    #[test]
    fn a_text_longer_than_any_book_is_refused() {
        let refused = check(
            &json!({ "type": "Strip", "strip_left": true, "strip_right": true }),
            &"a ".repeat(2_500_000),
        );
        assert!(matches!(refused, Err(TextFault::Long { bytes: 5_000_000 })));
    }
}
