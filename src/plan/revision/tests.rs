//! Sequences of plans of one sweep.

use proptest::prelude::*;

use super::*;
use crate::{
    fingerprint::DataDigests,
    plan::differences::tests::{moved, plan},
    search::{Confirm, RungFigure},
    trial::Confirmation,
};

/// A plan over these multiples of 1e-5 as learning rates; a trial's seed is its multiple.
fn rates(rates: &[u32]) -> Plan {
    let mut plan = plan(&rates.iter().map(|rate| 1e-5 * f64::from(*rate)).collect::<Vec<_>>());
    for (trial, rate) in plan.trials.iter_mut().zip(rates) {
        trial.seed = u64::from(*rate);
    }
    plan
}

/// The revision of a plan with a planned and a removed trial, on other training documents.
fn on_other_documents() -> Revision {
    let first = rates(&[1, 2]).revised(&rates(&[1]), &[]).plan;
    let mut other = rates(&[1, 2]);
    other.fingerprints.data =
        Some(DataDigests { train: "x".to_owned(), validation: "2".to_owned(), test: "3".to_owned() });
    first.revised(&other, &[])
}

fn ids(trials: &[Trial]) -> Vec<u32> {
    trials.iter().map(|trial| trial.id.0).collect()
}

/// The numbers of kept, added, returned and removed trials.
fn counts(revision: &Revision) -> [usize; 4] {
    [revision.kept, revision.added, revision.returned, revision.removed]
}

#[test]
fn equal_trials_keep_their_numbers() {
    let revision = rates(&[1, 2, 3]).revised(&rates(&[3, 1]), &[]);
    assert_eq!(ids(&revision.plan.trials), [3, 1], "in the order of the spec");
    assert_eq!(ids(&revision.plan.removed.trials), [2]);
}

#[test]
fn a_new_trial_gets_a_number_above_the_largest() {
    let revision = rates(&[1, 2, 3]).revised(&rates(&[4, 3, 1]), &[]);
    assert_eq!(ids(&revision.plan.trials), [4, 3, 1], "in the order of the spec");
    assert_eq!(ids(&revision.plan.removed.trials), [2]);
}

#[test]
fn a_revision_counts_kept_added_and_removed_trials() {
    let revision = rates(&[1, 2, 3]).revised(&rates(&[4, 3, 1]), &[]);
    assert_eq!(counts(&revision), [2, 1, 0, 1]);
    assert!(!revision.changes_meaning());
}

#[test]
fn a_trial_that_the_spec_has_again_returns_with_its_number() {
    let first = rates(&[1, 2, 3]);
    let second = first.revised(&rates(&[1, 4]), &[]).plan;
    let third = second.revised(&rates(&[5, 3, 1]), &[]);
    assert_eq!(ids(&third.plan.trials), [5, 3, 1]);
    assert_eq!(ids(&third.plan.removed.trials), [2, 4]);
    assert_eq!(counts(&third), [1, 1, 1, 1]);
}

#[test]
fn the_same_spec_gives_the_same_plan() {
    let plan = rates(&[1, 2]).revised(&rates(&[3, 2]), &[]).plan;
    let again = plan.revised(&rates(&[3, 2]), &[]);
    assert_eq!((again.plan, again.differences), (plan, Vec::new()));
}

#[test]
fn repeats_may_be_added() {
    let mut now = rates(&[1, 1, 2]);
    (now.trials[1].repeat, now.trials[1].seed) = (1, 77);
    let revision = rates(&[1, 2]).revised(&now, &[]);
    assert_eq!(ids(&revision.plan.trials), [1, 3, 2]);
    assert!(!revision.changes_meaning());
}

#[test]
fn on_other_documents_every_trial_is_new() {
    let revision = on_other_documents();
    assert!(revision.changes_meaning());
    assert_eq!(ids(&revision.plan.trials), [3, 4]);
    assert_eq!(revision.plan.removed, Removed { trials: vec![], retired: vec![TrialId(1), TrialId(2)] });
}

#[test]
fn trials_of_other_documents_never_return() {
    let back = on_other_documents().plan.revised(&rates(&[1, 2]), &[]).plan;
    assert_eq!(ids(&back.trials), [5, 6]);
}

#[test]
fn a_project_in_another_folder_keeps_its_planned_and_its_removed_trials() {
    let before = rates(&[1, 2]).revised(&rates(&[1]), &[]).plan;
    let revision = before.revised(&moved(rates(&[2, 1])), &[]);
    assert_eq!(ids(&revision.plan.trials), [2, 1]);
    assert_eq!(counts(&revision), [1, 0, 1, 0]);
}

/// A plan with a trial from each of the checkpoints `/a/bert` and `/a/other`, and a plan without the second.
fn two_checkpoints_and_one() -> (Plan, Plan) {
    let mut both = rates(&[1, 2]);
    both.swept.push("checkpoint".to_owned());
    for (trial, name) in both.trials.iter_mut().zip(["bert", "other"]) {
        let written = crate::settings::Value::Text(name.to_owned());
        trial.params.0.push(("checkpoint".to_owned(), written));
        trial.settings.checkpoint = Checkpoint::parse(&format!("/a/{name}"));
    }
    both.fingerprints.checkpoints.insert(Checkpoint::parse("/a/other"), "o".to_owned());
    let mut one = both.clone();
    one.trials.pop();
    one.fingerprints.checkpoints.remove(&Checkpoint::parse("/a/other"));
    (both, one)
}

#[test]
fn the_checkpoint_of_a_removed_trial_is_remembered() {
    let (both, one) = two_checkpoints_and_one();
    let without = both.revised(&one, &[]).plan;
    assert_eq!(without.fingerprints.checkpoints[&Checkpoint::parse("/a/other")], "o");
    assert_eq!(ids(&without.revised(&both, &[]).plan.trials), [1, 2]);
}

#[test]
fn a_removed_trial_never_returns_when_its_checkpoint_has_other_files() {
    let (mut both, one) = two_checkpoints_and_one();
    let without = both.revised(&one, &[]).plan;
    both.fingerprints.checkpoints.insert(Checkpoint::parse("/a/other"), "retrained".to_owned());
    let revision = without.revised(&both, &[]);
    assert!(!revision.changes_meaning(), "{:?}", revision.differences);
    assert_eq!(ids(&revision.plan.trials), [1, 3]);
    assert_eq!(revision.plan.removed, Removed { trials: vec![], retired: vec![TrialId(2)] });
}

#[test]
fn a_plan_without_removed_trials_has_no_field_for_them() {
    let plan = rates(&[1]);
    assert!(!serde_json::to_string(&plan).unwrap().contains("removed"));
}

#[test]
fn a_plan_with_removed_trials_reads_back_unchanged() {
    let revised = rates(&[1]).revised(&rates(&[2]), &[]).plan;
    let text = serde_json::to_string(&revised).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), revised);
}

proptest! {
    #[test]
    fn a_number_stands_for_one_configuration_for_ever(
        specs in prop::collection::vec(prop::collection::btree_set(1_u32..12, 1..8), 1..8),
    ) {
        let mut given: HashMap<u32, u64> = HashMap::new();
        let mut plan: Option<Plan> = None;
        for spec in &specs {
            let now = rates(&spec.iter().copied().collect::<Vec<_>>());
            let next = plan.map_or_else(|| now.clone(), |plan| plan.revised(&now, &[]).plan);
            for trial in &next.trials {
                prop_assert_eq!(*given.entry(trial.id.0).or_insert(trial.seed), trial.seed);
            }
            let seeds: HashSet<u64> = given.values().copied().collect();
            prop_assert_eq!(seeds.len(), given.len(), "a configuration has one number");
            let mut all: Vec<u32> = next.trials.iter().chain(&next.removed.trials).map(|t| t.id.0).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (1..=u32::try_from(given.len()).unwrap()).collect::<Vec<_>>());
            plan = Some(next);
        }
    }
}

/// A plan over these learning rates that confirms the best `top` of them with `repeats` further seeds.
fn confirmed(of: &[u32], top: u32, repeats: u32) -> Plan {
    Plan { confirm: Some(Confirm { top, repeats, by: RungFigure::ValLoss, after: 1 }), ..rates(of) }
}

/// What the log has added to [`confirmed`] of the rates 1 and 2: trials 3 and 4 confirm the first one, which is number 1,
/// trials 5 and 6 the second one, and trial 6 has not begun.
fn logged() -> Vec<LoggedTrial> {
    let trial = |(id, of, place, repeat): (u32, u32, u32, u32)| {
        let why = Confirmation {
            trial: TrialId(of),
            place,
            of: 2,
            by: RungFigure::ValLoss,
            loss: 0.1,
            f1: 0.9,
            seeds: 1,
        };
        let mut trial = rates(&[of]).trials.remove(0);
        (trial.id, trial.repeat, trial.seed) = (TrialId(id), repeat, u64::from(100 * of + repeat));
        trial.confirms = Some(why);
        LoggedTrial { trial, is_begun: id < 6 }
    };
    [(3, 1, 1, 1), (4, 1, 1, 2), (5, 2, 2, 1), (6, 2, 2, 2)].map(trial).to_vec()
}

#[test]
fn a_new_trial_gets_a_number_above_those_that_the_log_has_added() {
    let revision = confirmed(&[1, 2], 2, 2).revised(&confirmed(&[1, 2, 3], 2, 2), &logged());
    assert_eq!(ids(&revision.plan.trials), [1, 2, 7]);
    assert_eq!((counts(&revision), revision.plan.removed), ([6, 1, 0, 0], Removed::default()));
}

#[test]
fn what_confirms_a_configuration_goes_and_returns_with_it() {
    let first = confirmed(&[1, 2], 2, 2);
    let without = first.revised(&confirmed(&[2], 2, 2), &logged());
    assert_eq!((ids(&without.plan.trials), counts(&without)), (vec![2], [3, 0, 0, 3]));
    assert_eq!(ids(&without.plan.removed.trials), [1, 3, 4]);
    let back = without.plan.revised(&first, &logged());
    assert_eq!((ids(&back.plan.trials), counts(&back)), (vec![1, 2], [3, 0, 3, 0]));
    assert_eq!(back.plan.removed, Removed::default());
}

#[test]
fn without_confirming_any_more_what_has_begun_stays() {
    let first = confirmed(&[1, 2], 2, 2);
    for fewer in [rates(&[1, 2]), confirmed(&[1, 2], 1, 2), confirmed(&[1, 2], 2, 1)] {
        let revision = first.revised(&fewer, &logged());
        assert_eq!(ids(&revision.plan.removed.trials), [6]);
        assert!(!revision.changes_meaning() && revision.differences.len() == 1, "{:?}", revision.differences);
        let back = revision.plan.revised(&first, &logged());
        assert_eq!((counts(&back), back.plan.removed), ([5, 0, 1, 0], Removed::default()));
    }
}

#[test]
fn a_change_of_confirm_is_told_and_changes_no_meaning() {
    let differences = confirmed(&[1, 2], 2, 2).differences(&confirmed(&[1, 2], 5, 4));
    let text = "`confirm` was top 2 by val_loss, 2 seeds more and is now top 5 by val_loss, 4 seeds more";
    assert_eq!(differences, [Difference { text: text.to_owned(), changes_meaning: false }]);
}

#[test]
fn further_seeds_that_the_search_has_now_keep_their_trials() {
    let mut now = confirmed(&[1, 1, 2, 2], 2, 2);
    for (at, seed) in [(1, 101), (3, 201)] {
        (now.trials[at].repeat, now.trials[at].seed) = (1, seed);
    }
    now.confirm = now.confirm.map(|confirm| Confirm { after: 2, ..confirm });
    let revision = confirmed(&[1, 2], 2, 2).revised(&now, &logged());
    assert_eq!((ids(&revision.plan.trials), counts(&revision)), (vec![1, 3, 2, 5], [6, 0, 0, 0]));
    // Trials 4 and 6, seeds that the search lacks, stay as they are.
    assert_eq!(revision.plan.removed, Removed::default());
    let back = revision.plan.revised(&confirmed(&[1, 2], 2, 2), &logged());
    assert_eq!((ids(&back.plan.trials), back.plan.removed), (vec![1, 2], Removed::default()));
}

#[test]
fn what_the_log_has_added_to_a_search_is_not_planned_again() {
    let mut added = rates(&[9, 3]).trials.remove(1);
    (added.id, added.seed) = (TrialId(3), 3);
    let logged = [LoggedTrial { trial: added, is_begun: true }];
    let larger = rates(&[1, 2]).revised(&rates(&[1, 2, 3, 4]), &logged);
    assert_eq!((ids(&larger.plan.trials), counts(&larger)), (vec![1, 2, 3, 4], [3, 1, 0, 0]));
    let smaller = larger.plan.revised(&rates(&[1, 2]), &logged);
    assert_eq!(ids(&smaller.plan.removed.trials), [4], "the log has trial 3");
}
