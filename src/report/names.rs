//! How classes and figures are named in pictures.

use super::text;
use crate::{leaderboard::figures, metrics::Target};

/// Largest width of a class's name within a sentence, in columns of a terminal.
const CLASS_COLUMNS_MAX: usize = 28;

/// The names of all classes: their labels, or their numbers from 0 where a label is unknown.
pub(super) fn classes(labels: &[String], count: usize) -> Vec<String> {
    (0..count)
        .map(|class| labels.get(class).map_or_else(|| class.to_string(), |label| figures::plain(label)))
        .collect()
}

/// The name of the F1 that counts: `F1 of 好评`, or the average's name.
pub(super) fn f1(target: Target, labels: &[String]) -> String {
    let class = target.positive().and_then(|class| labels.get(class));
    class.map_or_else(
        || target.f1_name().to_owned(),
        |label| format!("F1 of {}", figures::shorten(&figures::plain(label), CLASS_COLUMNS_MAX)),
    )
}

/// `names` as pictures show them, each in at most `room` pixels.
///
/// Different names stay different: names that would look the same, shortened or transliterated, begin with
/// their number, from 1.
pub(super) fn distinct(names: &[String], em: f64, room: f64) -> Vec<String> {
    let short: Vec<String> = names.iter().map(|name| text::fit(name, em, room)).collect();
    let mut sorted: Vec<&String> = short.iter().collect();
    sorted.sort_unstable();
    let is_shared = |name: &String| {
        let from = sorted.partition_point(|other| *other < name);
        sorted.get(from + 1) == Some(&name)
    };
    let numbered = |(index, name): (usize, &String)| {
        if !is_shared(name) {
            return name.clone();
        }
        let number = format!("{}: ", index + 1);
        let rest = room - text::width(&number, em, false);
        number + &text::fit(&names[index], em, rest.max(0.0))
    };
    short.iter().enumerate().map(numbered).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn distinct_of(names: &[&str], room: f64) -> Vec<String> {
        distinct(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), 16.0, room)
    }

    #[test]
    fn names_that_fit_stay() {
        assert_eq!(distinct_of(&["good", "好评"], 120.0), ["good", "好评"]);
    }

    #[test]
    fn names_that_are_shortened_to_the_same_text_are_numbered() {
        let names = distinct_of(
            &["products for the kitchen, new ones", "products for the bath, new ones", "other"],
            120.0,
        );
        assert!(
            names[0].starts_with("1: ") && names[1].starts_with("2: ") && names[2] == "other",
            "{names:?}"
        );
    }

    #[test]
    fn names_that_are_transliterated_to_the_same_text_are_numbered() {
        let names = distinct_of(&["囍", "Xi"], 120.0);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 2);
    }

    #[test]
    fn two_hundred_names_with_equal_ends_stay_different_and_within_their_room() {
        let names: Vec<String> =
            (0..200).map(|class| format!("the same beginning {class:03} the same end")).collect();
        let shown = distinct(&names, 16.0, 150.0);
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), 200, "{shown:?}");
        assert!(shown.iter().all(|name| text::width(name, 16.0, false) <= 150.0));
    }

    #[test]
    fn the_f1_of_a_class_names_the_class() {
        let labels = ["差评", "好评"].map(str::to_owned);
        assert_eq!(f1(Target::Class(1), &labels), "F1 of 好评");
        assert_eq!(f1(Target::Average(crate::metrics::Average::Macro), &labels), "macro-F1");
    }
}
