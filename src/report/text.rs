//! Text in pictures: the font of each character, the width of a text, and the places of its glyphs.
//!
//! The fonts are part of the binary, so pictures are the same on every system. Each character takes
//! the first font that has it, so that Chinese class names and Latin figures can share a line. Characters
//! that no font has are transliterated.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, OutlinedGlyph, PxScale, ScaleFont, point};

use super::transliterate;
use crate::leaderboard::figures;

/// What pictures say below their texts if some of them are transliterated.
pub(super) const TRANSLITERATED: &str = "Some names are transliterated: the fonts of the pictures lack their characters. report.html has them as they are.";

/// Stands for a character that is missing even after the transliteration, which leaves none.
const MISSING: char = '?';

/// The fonts in the binary.
struct Fonts {
    latin: FontRef<'static>,
    latin_bold: FontRef<'static>,
    cjk: FontRef<'static>,
}

static FONTS: LazyLock<Fonts> = LazyLock::new(|| {
    let font = |bytes| FontRef::try_from_slice(bytes).expect("the fonts in the binary are whole");
    Fonts {
        latin: font(include_bytes!("fonts/DejaVuSans-Subset.ttf")),
        latin_bold: font(include_bytes!("fonts/DejaVuSans-Bold-Subset.ttf")),
        cjk: font(include_bytes!("fonts/DroidSansFallback-EastAsia.ttf")),
    }
});

/// The font of a character, regular or bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Latin,
    Cjk,
}

/// Whether a font has a glyph of the character; glyph 0 is "not defined".
fn has(font: &FontRef<'_>, c: char) -> bool {
    font.glyph_id(c) != GlyphId(0)
}

/// Whether some font has a glyph of the character.
fn has_glyph(c: char) -> bool {
    has(&FONTS.latin, c) || has(&FONTS.cjk, c)
}

/// `text` as pictures show it: on one line, and transliterated where no font has its characters.
pub(super) fn drawn(text: &str) -> String {
    let text = transliterate::composed(text);
    if text.is_ascii() || text.chars().all(has_glyph) {
        text
    } else {
        transliterate::transliterated(&text, has_glyph)
    }
}

/// Whether pictures transliterate some character of `text`.
pub(super) fn is_transliterated(text: &str) -> bool {
    transliterate::is_needed(&transliterate::composed(text), has_glyph)
}

/// The font of `c`, and the character that is drawn: `c`, or [`MISSING`].
fn face(c: char) -> (Face, char) {
    if has(&FONTS.latin, c) {
        (Face::Latin, c)
    } else if has(&FONTS.cjk, c) {
        (Face::Cjk, c)
    } else {
        (Face::Latin, MISSING)
    }
}

fn font(face: Face, bold: bool) -> &'static FontRef<'static> {
    match (face, bold) {
        (Face::Latin, false) => &FONTS.latin,
        (Face::Latin, true) => &FONTS.latin_bold,
        (Face::Cjk, _) => &FONTS.cjk,
    }
}

/// The scale at which an em of the font has `em` pixels.
#[expect(clippy::cast_possible_truncation, reason = "sizes of a few pixels")]
fn scale(font: &FontRef<'_>, em: f64) -> PxScale {
    // ab_glyph scales by the height of a line.
    let units = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(em as f32 * font.height_unscaled() / units)
}

/// Calls `each` for every character of `text` at `em` pixels, with font, scale, glyph, and place on the line.
/// Returns the width of the text.
fn walk(
    text: &str,
    em: f64,
    bold: bool,
    mut each: impl FnMut(&'static FontRef<'static>, PxScale, GlyphId, f32),
) -> f64 {
    let mut along = 0.0_f32;
    let mut previous: Option<(Face, GlyphId)> = None;
    for c in drawn(text).chars() {
        let (face, c) = face(c);
        let font = font(face, bold);
        let scale = scale(font, em);
        let scaled = font.as_scaled(scale);
        let glyph = scaled.glyph_id(c);
        if let Some((_, before)) = previous.filter(|(before, _)| *before == face) {
            along += scaled.kern(before, glyph);
        }
        each(font, scale, glyph, along);
        along += scaled.h_advance(glyph);
        previous = Some((face, glyph));
    }
    f64::from(along)
}

/// Width of `text` at `em` pixels.
pub(super) fn width(text: &str, em: f64, bold: bool) -> f64 {
    walk(text, em, bold, |_, _, _, _| ())
}

/// Height of a capital letter at `em` pixels.
pub(super) fn capital_height(em: f64) -> f64 {
    // In DejaVu Sans a capital letter is 1493 units high, and an em has 2048.
    0.729 * em
}

/// A glyph at its place, relative to the beginning of the base line.
pub(super) struct Glyph(OutlinedGlyph);

impl Glyph {
    /// Calls `pixel` for each pixel: its place to the right and down, and the covered share, 0 to 1.
    pub(super) fn draw(&self, mut pixel: impl FnMut(i32, i32, f32)) {
        let bounds = self.0.px_bounds();
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers; `as` saturates")]
        let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
        self.0.draw(|x, y, cover| {
            let at = |offset: u32, start: i32| start.saturating_add_unsigned(offset);
            pixel(at(x, left), at(y, top), cover);
        });
    }
}

/// The glyphs of `text` at `em` pixels.
pub(super) fn glyphs(text: &str, em: f64, bold: bool) -> Vec<Glyph> {
    let mut glyphs = Vec::new();
    walk(text, em, bold, |font, scale, id, along| {
        let glyph = id.with_scale_and_position(scale, point(along, 0.0));
        glyphs.extend(font.outline_glyph(glyph).map(Glyph));
    });
    glyphs
}

/// `text` in at most `room` pixels of the regular font. The middle of a wider text is replaced by `…`.
pub(super) fn fit(text: &str, em: f64, room: f64) -> String {
    // No picture holds 400 characters. A longer text would be slow: it is measured again for each dropped
    // one.
    let text = figures::shorten(&drawn(text), 400);
    let mut fitting = text.clone();
    let mut kept = text.chars().count();
    while width(&fitting, em, false) > room && kept > 1 {
        kept -= 1;
        let tail = kept / 2;
        let head: String = text.chars().take(kept - tail).collect();
        let skipped = text.chars().count() - tail;
        fitting = format!("{head}…{}", text.chars().skip(skipped).collect::<String>());
    }
    fitting
}

/// `parts`, joined by `between`, on at most `lines_max` lines of `room` pixels.
///
/// A part that is wider than a line is shortened. The end of the last line counts the parts that do not fit.
pub(super) fn wrap(parts: &[String], between: &str, em: f64, room: f64, lines_max: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let part = fit(part, em, room);
        let rest = parts.len() - index - 1;
        let count = |rest: usize| if rest == 0 { String::new() } else { format!("{between}+ {rest} more") };
        let is_last = wrapped.len() >= lines_max;
        match wrapped.last_mut() {
            Some(line) => {
                let longer = format!("{line}{between}{part}");
                // On the last line, room is kept for the count of the parts that may not fit.
                let counted = if is_last { count(rest) } else { String::new() };
                if width(&format!("{longer}{counted}"), em, false) <= room {
                    *line = longer;
                } else if is_last {
                    line.push_str(&count(rest + 1));
                    break;
                } else {
                    wrapped.push(part);
                }
            }
            None => wrapped.push(part),
        }
    }
    wrapped.iter().map(|line| fit(line, em, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hanzi_take_the_cjk_font_and_latin_letters_the_other() {
        assert_eq!(face('好'), (Face::Cjk, '好'));
        assert_eq!(face('，'), (Face::Cjk, '，'));
        for c in ['a', 'é', 'Ω', 'Ж', '…', '≈', '–'] {
            assert_eq!(face(c), (Face::Latin, c));
        }
    }

    #[test]
    fn traditional_hanzi_kanji_and_hangul_have_glyphs() {
        for text in
            ["負面評價", "肯定的な気持ち", "부정적", "ポジティブ", "отрицательный", "tiêu cực", "Größe/Maß"]
        {
            assert_eq!(drawn(text), text);
            assert!(!is_transliterated(text), "{text}");
        }
    }

    #[test]
    fn no_text_has_a_missing_glyph() {
        let every: String = (0..0x3_0000).filter_map(char::from_u32).collect();
        assert!(drawn(&every).chars().all(has_glyph));
        assert!(has_glyph(MISSING) && has(&FONTS.latin_bold, MISSING));
    }

    #[test]
    fn what_a_font_has_in_regular_it_has_in_bold() {
        assert!(
            (0..0x3_0000)
                .filter_map(char::from_u32)
                .all(|c| !has(&FONTS.latin, c) || has(&FONTS.latin_bold, c))
        );
    }

    #[test]
    fn scripts_without_a_font_are_transliterated_and_said_to_be() {
        for text in ["سلبي", "ไม่ดี", "नकारात्मक", "😡 angry", "囍"] {
            assert!(is_transliterated(text) && drawn(text).is_ascii(), "{text}: {}", drawn(text));
            assert!(width(text, 16.0, false) > 8.0);
            assert_eq!(drawn(&drawn(text)), drawn(text));
        }
    }

    #[test]
    fn a_hanzi_is_about_an_em_wide() {
        assert!((width("好", 20.0, false) - 20.0).abs() < 1.0, "{}", width("好", 20.0, false));
    }

    #[test]
    fn a_long_name_is_shortened_to_its_room() {
        assert!(width(&fit("models/google-bert-base-chinese-finetuned", 16.0, 120.0), 16.0, false) <= 120.0);
    }

    #[test]
    fn a_shortened_name_keeps_its_ends() {
        let fitted = fit("models/google-bert-base-chinese-finetuned", 16.0, 120.0);
        assert!(fitted.starts_with("mode") && fitted.ends_with("ned") && fitted.contains('…'), "{fitted}");
    }

    #[test]
    fn a_short_name_stays() {
        assert_eq!(fit("short", 16.0, 120.0), "short");
    }

    #[test]
    fn parts_that_do_not_fit_are_counted_on_the_last_line() {
        let parts: Vec<String> = (0..30).map(|index| format!("parameter_{index}=0.1")).collect();
        let lines = wrap(&parts, "  ", 16.0, 400.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| width(line, 16.0, false) <= 400.0), "{lines:?}");
        let shown: usize = lines.iter().map(|line| line.matches("parameter").count()).sum();
        assert!(lines[1].ends_with(&format!("+ {} more", 30 - shown)), "{lines:?}");
    }
}
