//! The `[search.halving]` section: rungs, checked against the settings of every trial.

use super::{
    document::{Content, KeyValue, Node},
    draft::SpecDraft,
    keys,
    problem::At,
    reader::{Reader, found},
};
use crate::{
    nearest::nearest,
    search::{self, Halving, RungFigure},
};

/// One of so many goes on, unless the spec says otherwise.
const ETA: u32 = 3;
/// The word for a first rung at a third of the epochs.
const THIRD: &str = "third";
/// The word for the figure that early stopping follows.
const MONITOR: &str = "monitor";

/// Reads the section. `draft` has the settings and the space.
pub(super) fn read(reader: &mut Reader<'_>, table: &Node, draft: &SpecDraft) -> Option<Halving> {
    reader.refuse_unknown(table, Some("search.halving"), &keys::HALVING);
    let eta = table.get("eta").map_or(Some(ETA), |entry| eta(reader, entry));
    let by = by(reader, table, draft);
    let first = first(reader, table, draft);
    let (eta, by, first) = (eta?, by?, first?);
    Some(Halving { eta, rungs: search::rungs(draft.settings.epochs, eta, first), by })
}

/// One of so many goes on.
fn eta(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<u32> {
    let eta = match entry.node.content {
        Content::Int(eta) => u32::try_from(eta).ok().filter(|eta| (2..=100).contains(eta)),
        _ => None,
    };
    if eta.is_none() {
        let message =
            format!("`eta` must be a whole number from 2 to 100, not {}", found(&entry.node.content));
        reader.findings.error(entry.node.at, message, "one of `eta` trials goes on at each rung; 3 is usual");
    }
    eta
}

/// What is compared.
fn by(reader: &mut Reader<'_>, table: &Node, draft: &SpecDraft) -> Option<RungFigure> {
    let figures = [RungFigure::ValLoss, RungFigure::ValF1, RungFigure::Both];
    let entry = table.get("by");
    let text = match entry.map(|entry| &entry.node.content) {
        None => MONITOR,
        Some(Content::Text(text)) => text.as_str(),
        Some(_) => "",
    };
    let is_swept = draft.space.iter().any(|swept| swept.name == "monitor");
    if text == MONITOR && is_swept {
        let at = entry.map_or(table.at, |entry| entry.node.at);
        let message = "halving compares trials by what early stopping monitors, and `monitor` is swept";
        reader.findings.error(
            at,
            message,
            "write by = \"val_loss\", \"val_f1\" or \"both\" in [search.halving]",
        );
        return None;
    }
    if text == MONITOR {
        return Some(RungFigure::from(draft.settings.monitor));
    }
    let known = figures.into_iter().find(|figure| figure.as_str() == text);
    if let (None, Some(entry)) = (known, entry) {
        let names = figures.map(RungFigure::as_str);
        let found = found(&entry.node.content);
        let message = format!("`by` must be one of \"{MONITOR}\", \"{}\", not {found}", names.join("\", \""));
        let help = nearest(text, names.into_iter().chain([MONITOR])).map_or_else(
            || "it says by which figure on validation trials are compared".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        reader.findings.error(entry.node.at, message, help);
    }
    known
}

/// The epochs of the first rung.
fn first(reader: &mut Reader<'_>, table: &Node, draft: &SpecDraft) -> Option<usize> {
    let root = reader.root;
    if draft.space.iter().any(|swept| swept.name == "epochs") {
        let message = "halving compares trials after the same share of their epochs, and `epochs` is swept";
        let help = "fix `epochs` in [train]; early stopping ends each trial by itself";
        reader.findings.error(root.place("search.space.epochs"), message, help);
        return None;
    }
    let epochs = draft.settings.epochs;
    let warmup =
        draft.values("warmup_ratio", root).iter().filter_map(|(value, _)| value.as_f64()).fold(0.0, f64::max);
    let entry = table.get("first");
    let first = match entry.map(|entry| &entry.node.content) {
        None => Some(search::first_rung(epochs, warmup)),
        Some(Content::Text(text)) if text == THIRD => Some(search::first_rung(epochs, warmup)),
        Some(Content::Int(first)) => usize::try_from(*first).ok().filter(|first| *first > 0),
        Some(_) => None,
    };
    let at = entry.map_or(table.at, |entry| entry.node.at);
    let Some(first) = first else {
        let found = entry.map_or_else(String::new, |entry| found(&entry.node.content));
        let message = format!("`first` must be \"{THIRD}\" or a whole number of epochs, not {found}");
        reader.findings.error(at, message, "after so many epochs trials are compared for the first time");
        return None;
    };
    let end = search::end_of_warmup(epochs, warmup);
    is_between(reader, at, first, end, epochs).then_some(first)
}

/// Whether the first rung comes after the warm-up, which ends after `end` epochs, and before the last of `epochs`. If not,
/// it is reported.
fn is_between(reader: &mut Reader<'_>, at: At, first: usize, end: usize, epochs: usize) -> bool {
    if first < end {
        let message = format!(
            "the first rung is after epoch {first}, and the learning rate still rises until epoch {end} (`warmup_ratio`)"
        );
        let help = if end < epochs {
            format!("write first = {end} or more: before, trials differ in how they warm up")
        } else {
            "lower `warmup_ratio` in [train]: trials are compared after their warm-up".to_owned()
        };
        reader.findings.error(at, message, help);
        return false;
    }
    if first >= epochs {
        let message =
            format!("the first rung is after epoch {first}, and trials have {epochs}: none could be halted");
        let help = if epochs < 2 {
            "halving needs at least two `epochs` in [train]".to_owned()
        } else if end >= epochs {
            "lower `warmup_ratio` in [train]: trials are compared after their warm-up".to_owned()
        } else {
            format!(
                "write first = {}{}, or raise `epochs` in [train]",
                epochs - 1,
                if epochs > 2 { " or less" } else { "" }
            )
        };
        reader.findings.error(at, message, help);
        return false;
    }
    true
}
