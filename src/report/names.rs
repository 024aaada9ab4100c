//! How classes and figures are named in pictures.

use std::collections::BTreeMap;

use super::text;
use crate::{leaderboard::figures, metrics::Target};

/// Largest width of a class's name within a sentence, in columns of a terminal.
const CLASS_COLUMNS_MAX: usize = 28;
/// Number of characters that are kept on both sides of the part in which names differ.
const CONTEXT: usize = 5;

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
/// their number, from 1, and are shortened where they are all the same instead of in the middle.
pub(super) fn distinct(names: &[String], em: f64, room: f64) -> Vec<String> {
    let mut shown: Vec<String> = names.iter().map(|name| text::fit(name, em, room)).collect();
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, name) in shown.iter().enumerate() {
        alike.entry(name.clone()).or_default().push(index);
    }
    for group in alike.values().filter(|group| group.len() > 1) {
        let whole: Vec<Vec<char>> =
            group.iter().map(|&index| text::drawn(&names[index]).chars().collect()).collect();
        let ends = common_ends(&whole);
        for (&index, name) in group.iter().zip(&whole) {
            let number = format!("{}: ", index + 1);
            let rest = room - text::width(&number, em, false);
            shown[index] = number + &text::fit(&different_part(name, ends), em, rest.max(0.0));
        }
    }
    shown
}

/// How many characters these names have in common at their beginnings and, behind that, at their ends.
fn common_ends(names: &[Vec<char>]) -> (usize, usize) {
    let Some((first, others)) = names.split_first() else { return (0, 0) };
    let mut ends = (first.len(), first.len());
    for other in others {
        let head = first.iter().zip(other).take_while(|(a, b)| a == b).count().min(ends.0);
        let tail = first.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
        ends = (head, tail.min(ends.1));
    }
    let shortest = names.iter().map(Vec::len).min().unwrap_or(0);
    (ends.0, ends.1.min(shortest - ends.0.min(shortest)))
}

/// `name` without most of what it has in common with others at both ends.
fn different_part(name: &[char], (head, tail): (usize, usize)) -> String {
    let (from, to) = (head.saturating_sub(CONTEXT), (name.len() - tail + CONTEXT).min(name.len()));
    if head + tail >= name.len() {
        return name.iter().collect();
    }
    let before = if from > 0 { "…" } else { "" };
    let behind = if to < name.len() { "…" } else { "" };
    format!("{before}{}{behind}", name[from..to].iter().collect::<String>())
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
    fn names_are_shortened_where_they_are_all_the_same() {
        let names =
            ["07", "12"].map(|number| format!("Products and services of department {number} of the house"));
        assert_eq!(distinct(&names, 16.0, 190.0), ["1: …ment 07 of t…", "2: …ment 12 of t…"]);
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
