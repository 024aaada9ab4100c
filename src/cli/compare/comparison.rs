//! What is known of two trials side by side.

use serde::Serialize;

use super::{
    documents::{DifferingDocument, differing_documents},
    side::Side,
    tested::tested,
};
use crate::{
    data::SplitName,
    leaderboard::{LeaderboardRow, Pairing, RankBy, best_evaluation},
    settings::{KEYS, Value},
    trial::State,
};

/// What is known of two trials side by side: the output with `--format json`.
#[derive(Serialize)]
pub(super) struct Comparison<'a> {
    pub(super) trials: [ComparedTrial<'a>; 2],
    /// The settings in which they differ, the seed among them.
    pub(super) settings: Vec<DifferentSetting>,
    /// Their predictions on the test set side by side; `null` where they cannot be compared.
    pub(super) test: Option<Pairing>,
    /// Why they cannot.
    pub(super) not_tested: Option<String>,
    /// The first test documents for which they predict different classes.
    pub(super) documents: Vec<DifferingDocument<'a>>,
    /// What a reader must know: whole sentences.
    pub(super) notes: Vec<String>,
}

/// One of the two.
#[derive(Serialize)]
pub(super) struct ComparedTrial<'a> {
    pub(super) sweep: &'a str,
    /// The figure by which it was chosen, as the best of its sweep.
    pub(super) best_by: Option<&'static str>,
    pub(super) validation: Option<ValidationFigures>,
    /// Epochs that were planned.
    pub(super) epochs: usize,
    #[serde(flatten)]
    pub(super) row: &'a LeaderboardRow,
}

/// Figures on the validation set, at the best evaluation.
#[derive(Serialize)]
pub(super) struct ValidationFigures {
    pub(super) loss: f64,
    pub(super) accuracy: f64,
    pub(super) f1: f64,
    pub(super) f1_low: f64,
    pub(super) f1_high: f64,
}

/// A setting in which they differ.
#[derive(Serialize)]
pub(super) struct DifferentSetting {
    pub(super) name: &'static str,
    pub(super) values: [Value; 2],
}

/// What is known of two trials; at most so many documents for which they differ.
pub(super) fn comparison<'a>(sides: [&'a Side<'a>; 2], by: RankBy, documents: usize) -> Comparison<'a> {
    let mut notes = data_notes(sides);
    notes.extend(sides.iter().filter_map(|side| unmeasured(side)));
    let (test, not_tested) = match tested(sides) {
        Ok(pairing) => (Some(pairing), None),
        Err(why) => (None, Some(why)),
    };
    notes.extend(selection_note(sides, by).filter(|_| test.is_some()));
    let (documents, note) = differing_documents(sides[0], test.as_ref(), documents);
    notes.extend(note);
    Comparison {
        trials: sides.map(ComparedTrial::new),
        settings: different_settings(sides),
        test,
        not_tested,
        documents,
        notes,
    }
}

impl<'a> ComparedTrial<'a> {
    fn new(side: &'a Side<'a>) -> Self {
        let record = side.record;
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete);
        let scores = outcome
            .map(|outcome| &outcome.validation)
            .or(best_evaluation(&record.evaluations).map(|best| &best.validation));
        Self {
            sweep: &side.opened.study.sweep,
            best_by: side.best_by.map(RankBy::describe),
            validation: scores.map(|scores| ValidationFigures {
                loss: scores.loss,
                accuracy: scores.accuracy,
                f1: scores.f1,
                f1_low: scores.f1_low,
                f1_high: scores.f1_high,
            }),
            epochs: record.trial.settings.epochs,
            row: &side.row,
        }
    }
}

fn different_settings(sides: [&Side<'_>; 2]) -> Vec<DifferentSetting> {
    let [first, second] = sides.map(|side| &side.record.trial);
    let mut settings: Vec<DifferentSetting> = KEYS
        .iter()
        .map(|key| DifferentSetting {
            name: key.name,
            values: [first, second].map(|trial| key.get(&trial.settings)),
        })
        .filter(|setting| setting.values[0] != setting.values[1])
        .collect();
    if first.seed != second.seed {
        // Seeds are below 2^53.
        let seed = |seed: u64| Value::Int(i64::try_from(seed).unwrap_or(i64::MAX));
        settings.push(DifferentSetting { name: "seed", values: [seed(first.seed), seed(second.seed)] });
    }
    settings
}

/// Says which splits of two sweeps hold other documents.
fn data_notes(sides: [&Side<'_>; 2]) -> Vec<String> {
    let [first, second] = sides.map(|side| side.opened.plan.fingerprints.data.as_ref());
    let (Some(first), Some(second)) = (first, second) else { return Vec::new() };
    if let [Some(one), Some(other)] = sides.map(|side| side.record.trial.fold)
        && one != other
        && first == second
    {
        return vec![format!(
            "They validate on different folds, {one} and {other}: their validation figures are of different documents, and \
             so were they trained. `sweep leaderboard` compares configurations over all folds."
        )];
    }
    let differs = |split: &SplitName| first.split(*split) != second.split(*split);
    let note = |split: SplitName| match split {
        SplitName::Train => "They were trained on different documents.".to_owned(),
        SplitName::Validation => {
            "Their validation figures are of different documents: they say nothing of each other.".to_owned()
        }
        SplitName::Test => "Their test figures are of different documents.".to_owned(),
    };
    SplitName::ALL.into_iter().filter(differs).map(note).collect()
}

/// Says why a trial has no test figures, if it has none.
fn unmeasured(side: &Side<'_>) -> Option<String> {
    let why = match side.record.state {
        State::Complete => return None,
        State::Halted => "was halted at a rung",
        State::Failed => "failed",
        State::Waiting => "has not run yet",
        State::Running => "is running",
        State::Paused => "is paused at a rung",
    };
    Some(format!("{} {why}, and is not measured on the test set.", side.name()))
}

/// Says what the choice of best trials does to a comparison of them.
fn selection_note(sides: [&Side<'_>; 2], by: RankBy) -> Option<String> {
    let are_chosen = sides.iter().all(|side| side.best_by.is_some());
    (are_chosen && by == RankBy::TestF1).then(|| {
        "Both were chosen by their test F1, which makes either figure optimistic, the more so the more trials it was chosen \
         from. --rank val-f1 compares those that validation chooses."
            .to_owned()
    })
}
