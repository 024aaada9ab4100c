//! Whether the predictions of two trials can be compared, and their comparison.

use super::side::Side;
use crate::{
    data::SplitName,
    display::{self, plain},
    integrity,
    leaderboard::{Pairing, Prediction},
    trial::State,
};

/// The predictions of both trials on the test set side by side.
///
/// # Errors
/// Why they cannot be compared: a whole sentence.
pub(super) fn tested(sides: [&Side<'_>; 2]) -> Result<Pairing, String> {
    if sides.iter().any(|side| side.record.state != State::Complete) {
        return Err("A paired test takes two trials that are measured on the test set.".to_owned());
    }
    check_documents(sides)?;
    check_figures(sides)?;
    let [first, second] = sides.map(predictions);
    let (first, second) = (first?, second?);
    let study = &sides[0].opened.study;
    Pairing::new([&first, &second], study.target, study.labels.len())
        .ok_or_else(|| "Their predictions.csv are about different documents.".to_owned())
}

/// Checks that the test documents of both sweeps are the same.
fn check_documents(sides: [&Side<'_>; 2]) -> Result<(), String> {
    let [first, second] = sides.map(|side| side.opened);
    if std::ptr::eq(first, second) {
        return Ok(());
    }
    match [first, second].map(|opened| opened.plan.fingerprints.data.as_ref()) {
        [Some(first), Some(second)] if first.split(SplitName::Test) == second.split(SplitName::Test) => Ok(()),
        [Some(_), Some(_)] => Err("Their test documents are not the same, so that neither the difference of their F1 nor a \
                                   paired test says which trial is better."
            .to_owned()),
        _ => Err("It is not known whether their test documents are the same: a plan of an earlier version has no digests \
                  of them."
            .to_owned()),
    }
}

/// Checks that the same classes and the same F1 count in both sweeps.
fn check_figures(sides: [&Side<'_>; 2]) -> Result<(), String> {
    let [first, second] = sides.map(|side| &side.opened.study);
    if first.labels != second.labels {
        return Err("Their classes are not the same.".to_owned());
    }
    if first.target == second.target {
        return Ok(());
    }
    let figures = [first, second].map(|study| {
        match study.target.positive().and_then(|class| study.labels.get(class)) {
            Some(label) => format!("the F1 of class {}", plain(label)),
            None => "an average F1".to_owned(),
        }
    });
    Err(format!(
        "Different figures count in the two sweeps, {} and {}; `positive` or `average` in [data] decides.",
        figures[0], figures[1]
    ))
}

/// The predictions of a trial.
fn predictions(side: &Side<'_>) -> Result<Vec<Prediction>, String> {
    let folder = side.opened.folder.trial(side.record.trial.id);
    integrity::predictions(&folder, side.record, &side.opened.study.labels).ok_or_else(|| {
        let file = display::path(folder.predictions().path());
        let what = if folder.predictions().exists() { "is damaged" } else { "is missing" };
        format!("{file} {what}; running the sweep again trains the trial anew.")
    })
}
