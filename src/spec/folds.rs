//! `folds` in `[data]`: into how many parts train and validation are divided, each of which is validated on once.

use super::{
    document::{Content, Node},
    reader::{Reader, found},
};
use crate::data::{Limit, Shares, Source};

/// The fewest and the most folds. Each fold is a trial for each configuration.
const FOLDS: std::ops::RangeInclusive<u32> = 2..=20;
/// What is written for no folds, as with `--set`.
const NONE: &str = "none";

/// Whether `data` asks for folds, so that no validation set is needed. A wrong value counts too, since it is reported.
pub(super) fn are_asked(data: &Node) -> bool {
    data.get("folds").is_some_and(|entry| !is_none(&entry.node.content))
}

fn is_none(content: &Content) -> bool {
    matches!(content, Content::Text(text) if text == NONE)
}

/// The number of folds; `None` if the value is wrong.
#[expect(clippy::option_option, reason = "absent and wrong are different")]
pub(super) fn folds(reader: &mut Reader<'_>, data: &Node) -> Option<Option<u32>> {
    let Some(entry) = data.get("folds").filter(|entry| !is_none(&entry.node.content)) else {
        return Some(None);
    };
    let folds = match entry.node.content {
        Content::Int(folds) => u32::try_from(folds).ok().filter(|folds| FOLDS.contains(folds)),
        _ => None,
    };
    if folds.is_none() {
        let (least, most) = (FOLDS.start(), FOLDS.end());
        let found = found(&entry.node.content);
        let message =
            format!("`folds` must be a whole number from {least} to {most}, or \"{NONE}\", not {found}");
        let help =
            "each configuration is trained once for each fold, which it validates on; 5 or 10 are usual";
        reader.findings.error(entry.node.at, message, help);
    }
    folds.map(Some)
}

/// Refuses a limit for a validation set that is not there.
pub(super) fn check_limit(reader: &mut Reader<'_>, source: &Source, limit: Limit) {
    let is_there = match source {
        Source::Files { validation, .. } => validation.is_some(),
        Source::Single { split: Shares { validation, .. }, .. }
        | Source::Reviews { split: Shares { validation, .. } } => *validation > 0,
    };
    if !is_there && limit.validation.is_some() {
        let at = reader.root.place("data.limit.validation");
        let help = "with `folds`, limit train and test: each fold is a part of train";
        reader.findings.error(at, "there is no validation set to limit", help);
    }
}
