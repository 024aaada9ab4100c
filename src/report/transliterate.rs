//! Texts in Latin letters, for characters that no font of the pictures has.
//!
//! A character is replaced by its transliteration (北 by `Bei`), a pictograph by its name between colons
//! (🙂 by `:slightly_smiling_face:`), and a character without either by its code point (`U+E000`), so that
//! two texts hardly ever look alike and none is an empty box.

use deunicode::deunicode_char;
use unicode_normalization::UnicodeNormalization as _;
use unicode_width::UnicodeWidthChar as _;

use crate::leaderboard::figures;

/// The first of the 26 letters from which flags are composed.
const REGIONAL_A: u32 = 0x1f1e6;

/// `text` on one line, with letters and accents composed as far as Unicode has them composed.
pub(super) fn composed(text: &str) -> String {
    let plain = figures::plain(text);
    if plain.is_ascii() { plain } else { plain.nfc().collect() }
}

/// Whether some character of the composed `text` would be replaced. Characters without a width are dropped
/// silently: they change how their neighbours look, not what they are.
pub(super) fn is_needed(text: &str, has_glyph: impl Fn(char) -> bool) -> bool {
    text.chars().any(|c| !has_glyph(c) && !replacement(c).is_empty())
}

/// The composed `text`, with each character that has no glyph replaced.
pub(super) fn transliterated(text: &str, has_glyph: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    // A replaced hanzi is a syllable of its own: 北京 becomes `Bei Jing`, and 北 at the end just `Bei`.
    let mut is_syllable_over = false;
    for c in text.chars() {
        let replaced = if has_glyph(c) { None } else { Some(replacement(c)) };
        let piece = replaced.as_deref().map_or_else(|| c.to_string(), |piece| piece.trim_end().to_owned());
        if is_syllable_over && piece.starts_with(|first: char| first.is_alphanumeric() || first == ':') {
            shown.push(' ');
        }
        shown.push_str(&piece);
        is_syllable_over = match &replaced {
            Some(replaced) if replaced.is_empty() => is_syllable_over,
            Some(replaced) => replaced.ends_with(' '),
            None => false,
        };
    }
    shown
}

/// What stands for `c`; ends with a space if it is a word or a syllable of its own.
fn replacement(c: char) -> String {
    let code = u32::from(c);
    if let Some(letter) = code.checked_sub(REGIONAL_A).filter(|letter| *letter < 26) {
        return char::from_u32(u32::from('A') + letter).map_or_else(String::new, String::from);
    }
    let known =
        deunicode_char(c).map(|known| known.replace('\n', " ")).filter(|known| !known.trim().is_empty());
    match known {
        Some(name) if is_pictograph(code) => format!(":{}: ", name.trim().replace(' ', "_")),
        Some(known) => known,
        None if c.width() == Some(0) => String::new(),
        None if c.is_whitespace() => " ".to_owned(),
        None => format!("U+{code:04X} "),
    }
}

/// Whether the code point is in a block of pictographs and symbols, whose names are words.
const fn is_pictograph(code: u32) -> bool {
    matches!(code, 0x2300..=0x23ff | 0x2600..=0x27bf | 0x2b00..=0x2bff | 0x1f000..=0x1faff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text as a font with nothing but ASCII would show it.
    fn ascii(text: &str) -> String {
        transliterated(&composed(text), |c| c.is_ascii())
    }

    #[test]
    fn hanzi_become_syllables() {
        assert_eq!(ascii("负面-北京x"), "Fu Mian-Bei Jing x");
    }

    #[test]
    fn a_pictograph_becomes_its_name() {
        assert_eq!(ascii("🦀 angry"), ":crab: angry");
        assert_eq!(ascii("🦀🦀"), ":crab: :crab:");
    }

    #[test]
    fn a_character_without_a_transliteration_becomes_its_code_point() {
        assert_eq!(ascii("a\u{e000}b"), "aU+E000 b");
    }

    #[test]
    fn characters_without_a_width_are_dropped_and_need_no_notice() {
        assert_eq!(transliterated("a\u{fe0f}b", |c| c.is_ascii()), "ab");
        assert!(!is_needed("a\u{fe0f}b", |c| c.is_ascii()) && is_needed("é", |c| c.is_ascii()));
    }

    #[test]
    fn a_character_that_turns_the_direction_is_named() {
        assert_eq!(ascii("\u{202e}doog"), "<U+202E>doog");
    }

    #[test]
    fn letters_and_their_accents_are_composed() {
        assert_eq!(composed("e\u{301} \u{1107}\u{116e}"), "é 부");
    }

    #[test]
    fn a_flag_becomes_its_letters() {
        assert_eq!(ascii("🇩🇪"), "DE");
    }

    #[test]
    fn every_character_becomes_ascii() {
        for c in (0..0x3_0000).filter_map(char::from_u32) {
            let shown = ascii(&c.to_string());
            assert!(shown.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{c:?}: {shown:?}");
        }
    }
}
