//! `duplicates` in `[data]`: a word, or a table with one for each way in which texts are alike.

use super::{
    document::{Content, KeyValue, Node},
    keys,
    reader::{Reader, choice, found},
};
use crate::{
    data::{Alike, Duplicates},
    numbers::whole,
};

/// The least and the largest threshold, in thousandths. Below the first, texts of one subject are alike, and too many are
/// compared; from 1 on, texts are the same.
const THRESHOLD: std::ops::RangeInclusive<u32> = 500..=950;

/// What happens to texts that are the same, and to those that are alike.
pub(super) fn duplicates(reader: &mut Reader<'_>, data: &Node) -> Option<(Duplicates, Alike)> {
    let policies = [("drop", Duplicates::Drop), ("error", Duplicates::Error), ("keep", Duplicates::Keep)];
    let help = "\"drop\" takes texts out of train that stand in validation or test too";
    let (exact, alike) = (Duplicates::Drop, Alike::default());
    let Some(entry) = data.get("duplicates") else { return Some((exact, alike)) };
    if !matches!(entry.node.content, Content::Table(_)) {
        return choice(reader, entry, &policies, help).map(|exact| (exact, alike));
    }
    let table = &entry.node;
    reader.refuse_unknown(table, Some("data.duplicates"), &keys::DUPLICATES);
    let mut policy = |key: &str, default: Duplicates| match table.get(key) {
        Some(entry) => choice(reader, entry, &policies, help),
        None => Some(default),
    };
    let exact = policy("exact", exact);
    let normalised = policy("normalised", alike.normalised);
    let near = near(reader, table, alike.near);
    let near_threshold = match table.get("near_threshold") {
        Some(entry) => threshold(reader, entry),
        None => Some(alike.near_threshold),
    };
    let alike = Alike { normalised: normalised?, near: near?, near_threshold: near_threshold? };
    Some((exact?, alike))
}

/// What happens to near duplicates; they need not be looked for.
#[expect(clippy::option_option, reason = "what is wrong and what is off are different")]
fn near(reader: &mut Reader<'_>, table: &Node, default: Option<Duplicates>) -> Option<Option<Duplicates>> {
    let Some(entry) = table.get("near") else { return Some(default) };
    let policies = [
        ("drop", Some(Duplicates::Drop)),
        ("error", Some(Duplicates::Error)),
        ("keep", Some(Duplicates::Keep)),
        ("off", None),
    ];
    choice(reader, entry, &policies, "\"off\" does not look for near duplicates")
}

/// The Jaccard similarity from which on texts are near duplicates, in thousandths.
fn threshold(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<u32> {
    let number = match entry.node.content {
        Content::Float(number) => number,
        Content::Int(number) => whole(number),
        _ => f64::NAN,
    };
    let thousandths = THRESHOLD.clone().find(|each| (f64::from(*each) / 1000.0 - number).abs() < 5e-4);
    if thousandths.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`near_threshold` must be a number from 0.5 to 0.95, not {found}");
        let help = "it is the share of character trigrams that two texts have in common; 0.7 is the default";
        reader.findings.error(entry.node.at, message, help);
    }
    thousandths
}
