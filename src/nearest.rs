//! The known name that a misspelt one most likely means.

/// Characters of a name beyond which it is not compared: comparing costs the product of both lengths,
/// and nobody misspells a name that long.
const NAME_CHARACTERS_MAX: usize = 100;

/// The most similar of `names`, if any is similar enough to be meant.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = comparable(wrong);
    names
        .into_iter()
        .filter_map(|name| distance(&wrong, &comparable(name)).map(|distance| (distance, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `name` in lower case and with `_` for `-` and space: names that differ in these only are the same here.
fn comparable(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '-' | ' ') { '_' } else { c }).flat_map(char::to_lowercase).collect()
}

/// The edits between two names; `None` when the names have little in common.
fn distance(wrong: &str, name: &str) -> Option<usize> {
    let is_long = |text: &str| text.chars().nth(NAME_CHARACTERS_MAX).is_some();
    if is_long(wrong) || is_long(name) {
        return None;
    }
    let edits = strsim::damerau_levenshtein(wrong, name);
    let length = wrong.chars().count().max(name.chars().count());
    if edits * 3 <= length {
        return Some(edits);
    }
    // `warmup` means `warmup_ratio`, `stride` means `chunk_stride`.
    let part_of = wrong.chars().count() >= 4 && name.split('_').any(|word| word == wrong);
    let initials: String = name.split('_').filter_map(|word| word.chars().next()).collect();
    (part_of || (initials.len() > 1 && initials == wrong)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["learning_rate", "weight_decay", "warmup_ratio", "dropout", "epochs"];

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("learning-rat", NAMES), Some("learning_rate"));
        assert_eq!(nearest("Dropuot", NAMES), Some("dropout"));
        assert_eq!(nearest("epoch", NAMES), Some("epochs"));
    }

    #[test]
    fn a_word_of_a_name_or_its_initials_find_it() {
        assert_eq!(nearest("warmup", NAMES), Some("warmup_ratio"));
        assert_eq!(nearest("lr", NAMES), Some("learning_rate"));
    }

    #[test]
    fn a_name_like_no_other_finds_nothing() {
        assert_eq!(nearest("gpu", NAMES), None);
    }
}
