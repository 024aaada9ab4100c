//! The form in which texts are compared: without the differences of Unicode width, case, punctuation and white space.

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use super::punctuation::is_punctuation;

/// `text` in Unicode's form NFKC and in lower case, without punctuation and white space.
pub(super) fn normal_form(text: &str) -> String {
    if text.is_ascii() {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        return letters.map(|c| c.to_ascii_lowercase()).collect();
    }
    text.nfkc().flat_map(char::to_lowercase).filter(|c| !is_punctuation(*c)).collect()
}

/// The number of letters and digits of a text in normal form, counted up to `most`.
pub(super) fn letters(normal: &str, most: usize) -> usize {
    normal.chars().filter(|c| c.is_alphanumeric()).take(most).count()
}

/// A digest of a normal form: 64 bits of its SHA-256, and 0 for the empty one alone.
pub(super) fn digest(form: &str) -> u64 {
    if form.is_empty() {
        return 0;
    }
    let hash: [u8; 32] = Sha256::digest(form.as_bytes()).into();
    let mut first = [0; 8];
    first.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
    u64::from_le_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_case_punctuation_and_white_space_do_not_count() {
        assert_eq!(normal_form("ＡＢＣ，好 的！"), normal_form("abc 好的"));
        assert_eq!(normal_form("It's GOOD..."), "itsgood");
    }

    #[test]
    fn words_digits_and_emoji_count() {
        for (one, other) in [("好", "不好"), ("5 stars", "4 stars"), ("好👍", "好👎")] {
            assert_ne!(normal_form(one), normal_form(other));
        }
    }

    #[test]
    fn nothing_is_left_of_punctuation() {
        assert_eq!(normal_form("。。。 ~~ !? ……"), "");
    }

    #[test]
    fn letters_are_counted_without_emoji() {
        assert_eq!(letters(&normal_form("好 👍 5!"), 9), 2);
        assert_eq!(letters("abcdef", 3), 3);
    }
}
