//! `confirm` of `[search]`: how the best configurations are run again with further seeds.

use super::{
    document::{Content, Node},
    draft::SpecDraft,
    keys,
    problem::At,
    reader::{Reader, found, whole_number},
};
use crate::{
    nearest::nearest,
    search::{Confirm, RungFigure},
};

/// Configurations that are confirmed, unless the spec says otherwise.
const TOP: u32 = 5;
/// Further seeds for each, unless the spec says otherwise: with the one of the search, five.
const REPEATS: u32 = 4;
/// The word for the figure whose best epoch a trial keeps.
const BEST_EPOCH: &str = "best_epoch";
/// What helps where the choice has no figure.
const NAME_ONE: &str = "write by = \"val_loss\", \"val_f1\" or \"both\" in `confirm`";

/// Reads the table. `draft` has the settings, the space and `repeats`.
pub(super) fn read(reader: &mut Reader<'_>, (table, at): (&Node, At), draft: &SpecDraft) -> Option<Confirm> {
    reader.refuse_unknown(table, Some("search.confirm"), &keys::CONFIRM);
    if draft.space.is_empty() && reader.findings.is_clean() {
        let message = "`confirm` runs the best configurations again, and there is only one: nothing is swept";
        let help = "remove it; for several seeds of one configuration, set `repeats` in [search]";
        reader.findings.error(at, message, help);
    }
    if draft.data.as_ref().is_some_and(|data| data.folds.is_some()) {
        let message =
            "`confirm` does not go with `folds`, where each configuration is trained several times anyway";
        let help = "remove it; for several seeds of each fold, set `repeats` in [search]";
        reader.findings.error(at, message, help);
    }
    let mut number = |name, default, help| {
        table.get(name).map_or(Some(default), |entry| whole_number(reader, entry, 1, Confirm::MAX, help))
    };
    let top = number("top", TOP, "so many configurations, the best by validation, are run again");
    let repeats = number(
        "repeats",
        REPEATS,
        "each of them is run with so many further seeds; with 0 none is: remove it",
    );
    let by = by(reader, (table, at), draft);
    Some(Confirm { top: top?, repeats: repeats?, by: by?, after: draft.repeats })
}

/// By what the best are chosen.
fn by(reader: &mut Reader<'_>, (table, at): (&Node, At), draft: &SpecDraft) -> Option<RungFigure> {
    let figures = [RungFigure::ValLoss, RungFigure::ValF1, RungFigure::Both];
    let entry = table.get("by");
    let text = match entry.map(|entry| &entry.node.content) {
        None => BEST_EPOCH,
        Some(Content::Text(text)) => text.as_str(),
        Some(_) => "",
    };
    if text == BEST_EPOCH {
        let kept = draft.settings.best_epoch.figure(draft.settings.monitor);
        let is_swept = |name: &str| draft.space.iter().any(|swept| swept.name == name);
        let swept = ["best_epoch", "monitor"].into_iter().find(|name| is_swept(name));
        let Some(swept) = swept else { return Some(RungFigure::from(kept)) };
        let at = entry.map_or(at, |entry| entry.node.at);
        let message =
            format!("the best are chosen by the figure whose best epoch is kept, and `{swept}` is swept");
        reader.findings.error(at, message, NAME_ONE);
        return None;
    }
    let known = figures.into_iter().find(|figure| figure.as_str() == text);
    if let (None, Some(entry)) = (known, entry) {
        let names = figures.map(RungFigure::as_str);
        let found = found(&entry.node.content);
        let message =
            format!("`by` must be one of \"{BEST_EPOCH}\", \"{}\", not {found}", names.join("\", \""));
        let help = nearest(text, names.into_iter().chain([BEST_EPOCH])).map_or_else(
            || "it says by which figure on validation the best are chosen".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        reader.findings.error(entry.node.at, message, help);
    }
    known
}
