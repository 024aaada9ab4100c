//! What a reader of the effects must know: whole sentences.

use super::{
    judge::POINTS_MIN,
    observed::{Design, Figure, Observed},
    sample::{Axis, LEVELS_MAX, Sample},
};

/// Why nothing is said of importance.
pub(super) fn silence(observed: &Observed, sample: &Sample) -> String {
    let figure = observed.figure.describe();
    if observed.settings.is_empty() {
        "No swept setting has more than one value among the trials that are compared.".to_owned()
    } else if sample.len() < POINTS_MIN {
        let points = points(observed);
        let count = sample.len();
        format!(
            "{count} {points} {are} too few to say what a setting did: with fewer than {POINTS_MIN}, settings without any \
             effect look important.",
            are = if count == 1 { "is" } else { "are" },
            points = if count == 1 { points.trim_end_matches('s') } else { points },
        )
    } else {
        format!("Every trial has the same {figure}: no setting made a difference.")
    }
}

/// What a point of the sample is.
fn points(observed: &Observed) -> &'static str {
    let is_grid = observed.settings.iter().all(|setting| setting.axis != Axis::Numbers);
    if is_grid { "trials" } else { "configurations" }
}

/// The sentences about how the effects came about, and how far they can be believed.
pub(super) fn notes(observed: &Observed) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(epoch) = observed.until_epoch {
        let halted = observed.trials.iter().filter(|trial| trial.is_halted).count();
        notes.push(format!(
            "{} halted, and nobody knows what they would have reached. So every trial counts with its best validation \
             F1 of the first {epoch} epochs, until when none was halted: this favours what learns fast.",
            if halted == 1 { "1 trial was".to_owned() } else { format!("{halted} trials were") }
        ));
    }
    notes.extend(left_out(observed));
    if observed.figure == Figure::TestF1 {
        notes.push(
            "These are test figures: whoever chooses settings by them has no unseen test set any more."
                .to_owned(),
        );
    }
    if observed.design == Design::Proposals {
        notes.push(
            "Later configurations follow from the results of earlier ones, so the tests against chance are approximate."
                .to_owned(),
        );
    }
    for name in &observed.unjudged {
        notes.push(format!("Nothing is said of {name}: it has more than {LEVELS_MAX} different texts."));
    }
    notes
}

/// The trials that are left out, in a sentence.
fn left_out(observed: &Observed) -> Option<String> {
    let out = observed.left_out;
    let kinds = [
        (out.failed, "failed"),
        (out.unfinished, "not over"),
        (out.halted, "halted, with an unknown final figure"),
        (out.unknown, "without a figure or a value"),
        (out.confirming, "that confirm configurations, which results have chosen"),
        (out.incomplete, "of configurations that lack a fold"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    (!kinds.is_empty()).then(|| format!("Left out: {}.", kinds.join(", ")))
}
