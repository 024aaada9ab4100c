//! Characters that a reader cannot see, or that change how their neighbours are shown.
//!
//! A text from outside may hold characters that reverse the direction of writing (`good` is then shown as
//! `doog`), or that have no width (two different labels then look the same). They are shown by their code points:
//! `‹U+202E›`. Where such a character belongs to the spelling of a word or to an emoji, it stays: a joiner in a
//! Persian or Hindi word, a variation selector behind a hanzi, the parts of a family or a flag.
//!
//! Right-to-left letters need none of this. They have their direction by themselves.

use unicode_normalization::char::canonical_combining_class;

const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';
/// Follows a digit in the emoji of a key: 1️⃣.
const KEYCAP: char = '\u{20E3}';
/// The flag that the letters of a region follow, as invisible tags: 🏴󠁧󠁢󠁥󠁮󠁧󠁿.
const BLACK_FLAG: char = '\u{1F3F4}';
/// The class of the marks that take the vowel from an Indic letter, after which a joiner is spelling.
const VIRAMA: u8 = 9;

/// `text` with each hidden character replaced by what `shown` writes for it. `is_hidden` gets every other
/// character, and says whether it is to be replaced too.
pub(super) fn rewritten(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    mut shown: impl FnMut(char, &mut String),
) -> String {
    let mut written = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // The character before, if it stayed.
    let mut before = None;
    let mut is_in_flag = false;
    while let Some(c) = chars.next() {
        is_in_flag = is_tag(c) && (is_in_flag || before == Some(BLACK_FLAG));
        let next = chars.peek().copied();
        let is_replaced = is_hidden(c) || is_invisible(c) && !is_in_flag && !is_spelling(before, c, next);
        if is_replaced {
            shown(c, &mut written);
        } else {
            written.push(c);
        }
        before = (!is_replaced).then_some(c);
    }
    written
}

/// Whether `c` has no width, looks like nothing, or changes the direction of writing.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'
            | '\u{1160}'
            | '\u{17B4}'
            | '\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Whether the invisible `c` belongs to the spelling of the text around it.
fn is_spelling(before: Option<char>, c: char, next: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match c {
        ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => {
            let is_emoji = c == ZERO_WIDTH_JOINER
                && (is_pictograph(before) || before == '\u{FE0F}')
                && next.is_some_and(is_pictograph);
            let is_word = is_joined_script(before)
                && (next.is_some_and(is_joined_script) || canonical_combining_class(before) == VIRAMA);
            is_emoji || is_word
        }
        '\u{FE00}'..='\u{FE0F}' => {
            let is_key = matches!(before, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
            is_pictograph(before) || is_han(before) || is_key
        }
        '\u{E0100}'..='\u{E01EF}' => is_han(before),
        '\u{180B}'..='\u{180F}' => matches!(before, '\u{1820}'..='\u{18AA}'),
        _ => false,
    }
}

/// Whether `c` is one of the invisible letters that follow the flag of a region.
fn is_tag(c: char) -> bool {
    matches!(c, '\u{E0020}'..='\u{E007F}')
}

/// Whether `c` is, or may be shown as, a pictograph.
fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | 'Ⓜ' | '〰' | '〽' | '㊗' | '㊙'
            | '\u{2194}'..='\u{21AA}'
            | '\u{231A}'..='\u{23FF}'
            | '\u{25AA}'..='\u{25FE}'
            | '\u{2600}'..='\u{27BF}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2B05}'..='\u{2B55}'
            | '\u{1F000}'..='\u{1FAFF}'
    )
}

/// Whether `c` is a hanzi, of whose forms a variation selector chooses one.
fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

/// Whether `c` is of a script whose letters change their form by their neighbours, so that joiners are part
/// of its spelling: Arabic and its relatives, the scripts of India and South East Asia, Mongolian.
fn is_joined_script(c: char) -> bool {
    matches!(
        c,
        '\u{620}'..='\u{DFF}'
            | '\u{1000}'..='\u{109F}'
            | '\u{1780}'..='\u{17B3}'
            | '\u{17B6}'..='\u{17DD}'
            | '\u{1820}'..='\u{18AF}'
            | '\u{1900}'..='\u{1CFF}'
            | '\u{A800}'..='\u{ABFF}'
            | '\u{FB50}'..='\u{FDFF}'
            | '\u{FE70}'..='\u{FEFC}'
            | '\u{10A00}'..='\u{11FFF}'
            | '\u{1E900}'..='\u{1E95F}'
    )
}
