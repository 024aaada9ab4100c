//! The known name that a misspelt one most likely means.

/// The most similar of `names`, if any is similar enough to be meant.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = plain(wrong);
    names
        .into_iter()
        .filter_map(|name| distance(&wrong, &plain(name)).map(|distance| (distance, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Case and the choice between `-`, `_` and space tell no names apart.
fn plain(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '-' | ' ') { '_' } else { c }).flat_map(char::to_lowercase).collect()
}

/// Characters of a name beyond which nobody has misspelt it. Comparing takes the product of two lengths.
const LONGEST: usize = 100;

/// How many edits lie between two names; `None` when they have little in common.
fn distance(wrong: &str, name: &str) -> Option<usize> {
    let is_long = |text: &str| text.chars().nth(LONGEST).is_some();
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
