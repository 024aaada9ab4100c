//! Which trial of a sweep with folds is exported, and how its configuration is trained on all documents.

use super::exit::{Exit, Stop};
use crate::{
    data::Source,
    display::{plain, shell_word},
    leaderboard::{self, RankBy, verdict},
    plan::Plan,
    settings::Value,
    study::{Study, TrialRecord},
    trial::Trial,
};

/// Of the configuration that ranks first over all folds, the trial with the highest validation F1. Folds are not equally
/// hard, so that this says little of the trials: none of them is known to be the best, and any may stand for its
/// configuration.
pub(super) fn best<'a>(study: &'a Study, rank_by: RankBy, arguments: &str) -> Result<&'a TrialRecord, Stop> {
    let board = leaderboard::build(study, rank_by, &|_| None);
    let configurations = leaderboard::configurations(&board, &|_| None, &|_| None);
    let first = configurations.rows.iter().find(|row| row.rank.is_some() && !row.is_put_last());
    let trials = first.iter().flat_map(|row| &row.trials).filter_map(|trial| study.trial(*trial));
    let fit = trials.filter(|record| !verdict::judge(record).is_some_and(verdict::Verdict::is_unfit));
    let f1 = |record: &TrialRecord| record.outcome.as_ref().map(|outcome| outcome.validation.f1);
    let measured = fit.filter_map(|record| Some((record, f1(record)?)));
    // Of equal ones, the first.
    let best = measured.reduce(|best, own| if own.1 > best.1 { own } else { best });
    best.map(|(record, _)| record).ok_or_else(|| {
        let first = study.trials.iter().find(|record| record.outcome.is_some());
        let named = first.map_or_else(String::new, |record| {
            format!(
                "; to export a trial all the same: sweep export-best {} --trial {}",
                plain(arguments),
                record.trial.id.0
            )
        });
        let name = plain(&study.sweep);
        let message =
            format!("{name} has no configuration whose folds are all complete and fit for use{named}");
        Stop::new(Exit::NoneComplete, &message)
    })
}

/// Says what the model of a fold was trained on, and how its configuration is trained on all documents: lines.
pub(super) fn advice(plan: &Plan, trial: &Trial) -> Option<String> {
    let (fold, folds) = (trial.fold?, plan.data.folds?);
    let model = format!(
        "it is the model of fold {fold}, trained on the other {} of {folds} folds of the documents\n",
        folds - 1
    );
    if !has_validation(&plan.data.source) {
        return Some(format!(
            "{model}to train this configuration on all of them, give the spec a validation set, and remove `folds`\n"
        ));
    }
    let values: Vec<String> = trial
        .params
        .0
        .iter()
        .map(|(name, value)| format!("{name} = {{ grid = [{}] }}", toml(value)))
        .collect();
    let search = format!("search={{ space = {{ {} }} }}", values.join(", "));
    let search =
        if values.is_empty() { String::new() } else { format!(" --set {}", shell_word(&plain(&search))) };
    let name = shell_word(&format!("name={}-final", plain(&plan.sweep)));
    Some(format!(
        "{model}to train this configuration on train without folds: sweep run SPEC --set {name} --set \
         data.folds=none{search}\n"
    ))
}

/// Whether there is a validation set without folds.
const fn has_validation(source: &Source) -> bool {
    match source {
        Source::Files { validation, .. } => validation.is_some(),
        Source::Single { split, .. } | Source::Reviews { split } => split.validation > 0,
    }
}

/// A value as TOML writes it.
fn toml(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples::{plan, record, scores, study},
        trial::{Params, State, TrialId},
    };

    /// Two configurations of two folds each: the second one is better over both, and the first one has the best fold.
    fn four() -> Study {
        let of = |id: u32, wrong: u64| {
            let mut record = record(id, &[0.6, 0.5]);
            record.trial.params = Params(vec![("dropout".to_owned(), Value::Int(i64::from((id - 1) / 2)))]);
            record.trial.fold = Some(1 + (id - 1) % 2);
            record.outcome.as_mut().unwrap().validation = scores(wrong, 0.5);
            record
        };
        let mut study = study(vec![of(1, 5), of(2, 60), of(3, 20), of(4, 18)]);
        study.folds = Some(2);
        study
    }

    #[test]
    fn the_best_configuration_over_all_folds_is_exported_and_not_the_best_fold_of_any() {
        assert_eq!(best(&four(), RankBy::ValF1, "a").unwrap().trial.id, TrialId(4));
    }

    #[test]
    fn a_configuration_that_lacks_a_fold_is_not_exported() {
        let mut study = four();
        study.trials[2].state = State::Waiting;
        assert_eq!(best(&study, RankBy::ValF1, "a").unwrap().trial.id, TrialId(1));
        study.trials[1].state = State::Waiting;
        let stop = best(&study, RankBy::ValF1, "a").unwrap_err();
        assert!(stop.message.contains("no configuration whose folds are all complete"), "{}", stop.message);
        assert!(stop.message.ends_with("sweep export-best a --trial 1"), "{}", stop.message);
    }

    #[test]
    fn the_way_to_a_model_of_all_documents_is_a_command() {
        let mut plan = plan(1);
        plan.data.folds = Some(5);
        let mut trial = plan.trials[0].clone();
        trial.fold = Some(3);
        trial.params = Params(vec![
            ("learning_rate".to_owned(), Value::Float(3e-5)),
            ("pooling".to_owned(), Value::Text("cls".to_owned())),
        ]);
        let advice = advice(&plan, &trial).unwrap();
        assert!(advice.contains("model of fold 3, trained on the other 4 of 5 folds"), "{advice}");
        let search = "--set name=test-final --set data.folds=none --set 'search={ space = { learning_rate = { grid = [3e-5] }, \
                      pooling = { grid = [\"cls\"] } } }'\n";
        assert!(advice.ends_with(search), "{advice}");
    }
}
