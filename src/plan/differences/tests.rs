//! Pairs of plans that differ in one thing.

use std::path::PathBuf;

use super::*;
use crate::{
    data::Shares,
    fingerprint::DataDigests,
    samples,
    settings::Settings,
    trial::{Params, Trial, TrialId},
};

/// Digests of documents, with this digest of the test set.
fn digests(test: &str) -> DataDigests {
    DataDigests { train: "1".to_owned(), validation: "2".to_owned(), test: test.to_owned() }
}

/// Trials over these learning rates, with a checkpoint in a folder.
pub(in crate::plan) fn plan(rates: &[f64]) -> Plan {
    let trial = |(id, rate): (u32, &f64)| Trial {
        id: TrialId(id),
        params: Params(vec![("learning_rate".to_owned(), Value::Float(*rate))]),
        repeat: 0,
        fold: None,
        seed: u64::from(id),
        settings: Settings {
            learning_rate: *rate,
            checkpoint: Checkpoint::parse("/a/bert"),
            ..Settings::default()
        },
        origin: None,
        confirms: None,
    };
    let mut plan = samples::plan(0);
    plan.swept = vec!["learning_rate".to_owned()];
    plan.trials = (1..).zip(rates).map(trial).collect();
    let files = ["train", "dev", "test"].map(|name| PathBuf::from(format!("/a/{name}.csv")));
    let [train, validation, test] = files;
    plan.data.source = Source::Files { train, validation: Some(validation), test };
    plan.fingerprints.data = Some(digests("3"));
    plan.fingerprints.checkpoints.insert(Checkpoint::parse("/a/bert"), "b".to_owned());
    plan
}

/// `plan` after its project was moved from `/a` to `/b`.
pub(in crate::plan) fn moved(mut plan: Plan) -> Plan {
    let files = ["train", "dev", "test"].map(|name| PathBuf::from(format!("/b/{name}.csv")));
    let [train, validation, test] = files;
    plan.data.source = Source::Files { train, validation: Some(validation), test };
    for trial in &mut plan.trials {
        trial.settings.checkpoint = Checkpoint::parse("/b/bert");
    }
    plan.fingerprints.checkpoints = [(Checkpoint::parse("/b/bert"), "b".to_owned())].into();
    plan
}

/// The descriptions of the differences.
fn texts(before: &Plan, now: &Plan) -> Vec<String> {
    before.differences(now).into_iter().map(|difference| difference.text).collect()
}

/// Whether each difference changes the meaning of results.
fn meanings(before: &Plan, now: &Plan) -> Vec<bool> {
    before.differences(now).into_iter().map(|difference| difference.changes_meaning).collect()
}

#[test]
fn a_plan_in_another_folder_has_no_differences() {
    let before = plan(&[1e-5, 3e-5]);
    assert_eq!(texts(&before, &before), [""; 0]);
    assert_eq!(texts(&before, &moved(before.clone())), [""; 0]);
}

#[test]
fn changed_documents_are_reported_by_their_file() {
    let before = plan(&[1e-5]);
    let mut now = moved(before.clone());
    now.fingerprints.data = Some(digests("4"));
    assert_eq!(texts(&before, &now), ["/b/test.csv holds other documents than before"]);
}

#[test]
fn documents_that_changed_with_a_key_are_reported_by_the_key() {
    let before = plan(&[1e-5]);
    let mut now = moved(before.clone());
    now.fingerprints.data = Some(digests("4"));
    now.data.limit.test = Some(10);
    assert_eq!(texts(&before, &now), ["`limit` in [data] is another one"]);
}

#[test]
fn columns_that_lead_to_the_same_documents_make_no_difference() {
    let before = plan(&[1e-5]);
    let mut now = before.clone();
    now.data.text = "renamed".to_owned();
    assert_eq!(texts(&before, &now), [""; 0]);
}

#[test]
fn a_checkpoint_with_other_files_is_another_checkpoint() {
    let before = plan(&[1e-5]);
    let mut now = before.clone();
    now.fingerprints.checkpoints.insert(Checkpoint::parse("/a/bert"), "c".to_owned());
    assert_eq!(texts(&before, &now), ["the checkpoint /a/bert holds other files than before"]);
}

#[test]
fn a_checkpoint_with_another_name_and_other_files_is_reported_by_both_names() {
    let before = plan(&[1e-5]);
    let mut now = before.clone();
    now.fingerprints.checkpoints.insert(Checkpoint::parse("/a/bert"), "c".to_owned());
    now.trials[0].settings.checkpoint = Checkpoint::parse("builtin:mini");
    assert_eq!(texts(&before, &now), ["`checkpoint` was /a/bert and is now builtin:mini"]);
}

#[test]
fn two_checkpoints_that_exchanged_their_files_are_reported() {
    let mut before = plan(&[1e-5, 3e-5]);
    before.trials[1].settings.checkpoint = Checkpoint::parse("/a/other");
    before.fingerprints.checkpoints.insert(Checkpoint::parse("/a/other"), "o".to_owned());
    let mut now = before.clone();
    now.fingerprints.checkpoints =
        [(Checkpoint::parse("/a/bert"), "o".to_owned()), (Checkpoint::parse("/a/other"), "b".to_owned())]
            .into();
    assert_eq!(texts(&before, &now), ["the checkpoint /a/bert holds other files than before"]);
}

#[test]
fn a_swept_setting_is_reported_with_its_old_and_new_values() {
    let before = plan(&[1e-5, 3e-5]);
    assert_eq!(texts(&before, &plan(&[1e-5, 1e-4])), ["`learning_rate` takes 1e-4 instead of 3e-5"]);
    assert_eq!(
        texts(&before, &plan(&[1e-5, 3e-5, 1e-4])),
        ["the number of trials was 2 and is now 3", "`learning_rate` takes 1e-4 too"]
    );
}

#[test]
fn a_fixed_setting_is_reported_with_its_old_and_new_value() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.trials.iter_mut().for_each(|trial| trial.settings.epochs = 9);
    assert_eq!(texts(&before, &now), ["`epochs` was 3 and is now 9"]);
}

#[test]
fn a_setting_that_is_swept_now_is_reported_first() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.trials.iter_mut().for_each(|trial| trial.settings.epochs = 9);
    now.swept.push("dropout".to_owned());
    assert_eq!(texts(&before, &now)[0], "`dropout` is swept now");
}

#[test]
fn another_seed_and_another_positive_class_are_two_differences() {
    let before = plan(&[1e-5]);
    let mut now = before.clone();
    now.seed = 7;
    now.positive = Some(0);
    assert_eq!(texts(&before, &now), ["`seed` was 1 and is now 7", "`positive` was 1 and is now 0"]);
}

#[test]
fn other_classes_are_listed_without_control_characters() {
    let before = plan(&[1e-5]);
    let mut now = before.clone();
    now.seed = 7;
    now.positive = Some(0);
    now.labels.push("\u{1b}[31m2".to_owned());
    assert_eq!(texts(&before, &now)[1], "the classes were 0, 1 and are now 0, 1,  [31m2");
}

#[test]
fn other_seeds_of_trials_change_the_meaning() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.trials[0].seed = 99;
    assert_eq!(texts(&before, &now), ["its trials have other seeds"]);
    assert_eq!(meanings(&before, &now), [true]);
}

#[test]
fn another_order_of_trials_does_not_change_the_meaning() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.trials.reverse();
    assert_eq!(texts(&before, &now), ["its trials come in another order"]);
    assert_eq!(meanings(&before, &now), [false]);
}

#[test]
fn other_values_of_a_setting_that_both_sweep_do_not_change_the_meaning() {
    let before = plan(&[1e-5, 3e-5]);
    assert_eq!(meanings(&before, &plan(&[1e-5, 1e-4, 1e-3])), [false, false]);
}

#[test]
fn another_value_of_a_fixed_setting_changes_the_meaning() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = plan(&[1e-5, 1e-4]);
    now.trials.iter_mut().for_each(|trial| trial.settings.epochs = 9);
    let found = before.differences(&now);
    assert_eq!((found[0].text.as_str(), found[0].changes_meaning), ("`epochs` was 3 and is now 9", true));
    assert!(!found[1].changes_meaning, "{found:?}");
}

#[test]
fn a_setting_that_is_not_swept_any_more_changes_the_meaning() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.swept.clear();
    assert_eq!(meanings(&before, &now), [true]);
}

#[test]
fn another_average_is_reported() {
    let before = plan(&[1e-5, 3e-5]);
    let mut now = before.clone();
    now.average = Some(Average::Micro);
    assert_eq!(texts(&before, &now), ["`average` was none and is now micro"]);
}

/// `plan` with its checkpoints swept, each under its folder's name.
fn sweeping(mut plan: Plan) -> Plan {
    plan.swept.push("checkpoint".to_owned());
    for trial in &mut plan.trials {
        let written = trial.settings.checkpoint.title();
        trial.params.0.push(("checkpoint".to_owned(), Value::Text(written)));
    }
    plan
}

/// A plan that sweeps the checkpoints `/a/bert` and `/a/other`.
fn two_checkpoints() -> Plan {
    let mut both = plan(&[1e-5, 1e-5]);
    both.trials[1].settings.checkpoint = Checkpoint::parse("/a/other");
    sweeping(both)
}

#[test]
fn a_swept_checkpoint_may_be_added_or_removed_without_a_change_of_meaning() {
    let (before, both) = (sweeping(plan(&[1e-5])), two_checkpoints());
    assert_eq!(
        texts(&before, &both),
        ["the number of trials was 1 and is now 2", "`checkpoint` takes other too"]
    );
    assert_eq!(meanings(&both, &before), [false, false]);
}

#[test]
fn other_files_of_a_swept_checkpoint_change_the_meaning() {
    let before = sweeping(plan(&[1e-5]));
    let mut now = two_checkpoints();
    now.fingerprints.checkpoints.insert(Checkpoint::parse("/a/bert"), "c".to_owned());
    assert_eq!(texts(&before, &now)[0], "the checkpoint /a/bert holds other files than before");
    assert_eq!(meanings(&before, &now), [true, false, false]);
}

#[test]
fn a_swept_checkpoint_in_another_folder_is_no_difference() {
    let before = sweeping(plan(&[1e-5]));
    let moved = sweeping(moved(plan(&[1e-5])));
    assert_eq!(texts(&before, &moved), [""; 0]);
}

#[test]
fn without_fingerprints_paths_are_compared() {
    let mut before = plan(&[1e-5]);
    before.fingerprints = crate::fingerprint::Fingerprints::default();
    assert_eq!(texts(&before, &plan(&[1e-5])), [""; 0]);
    let now = moved(plan(&[1e-5]));
    assert_eq!(texts(&before, &now), ["[data] has changed", "`checkpoint` was /a/bert and is now /b/bert"]);
    let mut single = plan(&[1e-5]);
    single.data.source = Source::Single { path: PathBuf::from("/a.csv"), split: Shares::default() };
    assert_eq!(texts(&before, &single), ["[data] has changed"]);
}
