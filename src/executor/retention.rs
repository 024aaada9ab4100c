//! Which trials' parameters may be removed: pure, from a study and the sweep's `keep`.

use crate::{
    leaderboard::{self, RankBy, Standing},
    policy::Keep,
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// Complete trials that still have their parameters and rank by test F1 below the trials to keep. Trials with
/// equal figures rank alike, so that more may stay than `keep` says. Trials that are unfit for use by their
/// verdicts rank last, so that they stay only if there are too few others. Halted trials stay only if all do.
#[must_use]
pub(super) fn disposable(study: &Study, keep: Keep) -> Vec<TrialId> {
    let count = match keep {
        Keep::All => return Vec::new(),
        Keep::BestOfSweep => 1,
        Keep::Best(count) => count.get(),
    };
    if study.folds.is_some() {
        return disposable_over_folds(study, count);
    }
    let halted =
        study.trials.iter().filter(|record| record.state == State::Halted && !record.parameters_removed);
    let mut disposable: Vec<TrialId> = halted.map(|record| record.trial.id).collect();
    let complete = || study.trials.iter().filter(|record| record.state == State::Complete);
    let mut standings: Vec<Standing> = complete().map(standing).collect();
    if standings.len() <= count {
        return disposable;
    }
    let (_, worst_kept, _) = standings.select_nth_unstable_by(count - 1, Standing::compare);
    let worst_kept = *worst_kept;
    let goes =
        |record: &&TrialRecord| !record.parameters_removed && standing(record).compare(&worst_kept).is_gt();
    disposable.extend(complete().filter(goes).map(|record| record.trial.id));
    disposable
}

/// The same with folds: the trials stay that belong to the best configurations by their figures over all folds, as many as it
/// takes to have `count` trials, and those of configurations with a fold that is not over yet. Equal configurations stay
/// together.
fn disposable_over_folds(study: &Study, count: usize) -> Vec<TrialId> {
    let board = leaderboard::build(study, RankBy::ValF1, &|_| None);
    let configurations = leaderboard::configurations(&board, &|_| None, &|_| None);
    let is_open = |id: &TrialId| {
        let state = study.trial(*id).map(|record| record.state);
        matches!(state, Some(State::Waiting | State::Running | State::Paused))
    };
    let (mut kept, mut last) = (0, None);
    let mut disposable = Vec::new();
    for row in &configurations.rows {
        let stays = match row.rank {
            Some(_) => kept < count || row.rank == last,
            None => row.trials.iter().any(is_open),
        };
        if stays && row.rank.is_some() {
            (kept, last) = (kept + row.seeds, row.rank);
        } else if !stays {
            disposable.extend(row.trials.iter().filter_map(|id| study.trial(*id)));
        }
    }
    let has_parameters = |record: &&TrialRecord| {
        matches!(record.state, State::Complete | State::Halted) && !record.parameters_removed
    };
    disposable.into_iter().filter(has_parameters).map(|record| record.trial.id).collect()
}

/// Where a trial stands by test F1; trials without a figure come last.
fn standing(record: &TrialRecord) -> Standing {
    RankBy::TestF1.standing(record).unwrap_or(Standing { is_last: true, key: f64::INFINITY })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::{samples, settings::Value, trial::Params};

    /// Complete trials; the larger the loss, the worse the test F1.
    fn study(losses: &[f64]) -> Study {
        samples::study((1..).zip(losses).map(|(id, loss)| samples::record(id, &[*loss])).collect())
    }

    fn gone(study: &Study, keep: Keep) -> Vec<u32> {
        disposable(study, keep).into_iter().map(|id| id.0).collect()
    }

    fn best(count: usize) -> Keep {
        Keep::Best(NonZeroUsize::new(count).unwrap())
    }

    #[test]
    fn all_but_the_best_may_go() {
        let study = study(&[0.3, 0.1, 0.4, 0.2]);
        assert_eq!(gone(&study, Keep::BestOfSweep), [1, 3, 4]);
        assert_eq!(gone(&study, best(2)), [1, 3]);
        assert_eq!(gone(&study, best(4)), [0; 0]);
        assert_eq!(gone(&study, Keep::All), [0; 0]);
    }

    #[test]
    fn trials_as_good_as_the_last_one_that_is_kept_stay() {
        let study = study(&[0.2, 0.1, 0.2, 0.3]);
        assert_eq!(gone(&study, best(2)), [4]);
    }

    #[test]
    fn only_complete_trials_go_and_each_once() {
        let mut study = study(&[0.1, 0.2, 0.3, 0.4]);
        study.trials[1].state = State::Running;
        study.trials[2].state = State::Waiting;
        assert_eq!(gone(&study, Keep::BestOfSweep), [4]);
        study.trials[3].parameters_removed = true;
        assert_eq!(gone(&study, Keep::BestOfSweep), [0; 0]);
    }

    #[test]
    fn halted_trials_stay_only_if_all_do() {
        let mut study = study(&[0.1, 0.2]);
        study.trials[1].state = State::Halted;
        assert_eq!(gone(&study, Keep::All), [0; 0]);
        assert_eq!(gone(&study, best(4)), [2]);
    }

    #[test]
    fn a_collapsed_trial_goes_before_a_real_one_whatever_its_figures() {
        let study = samples::study(vec![samples::collapsed(1, 0.9), samples::record(2, &[0.5])]);
        assert_eq!(gone(&study, Keep::BestOfSweep), [1]);
    }

    /// Trials of folds: each configuration has two, the larger the loss the worse.
    fn folded(losses: &[f64]) -> Study {
        let of = |(id, loss): (u32, &f64)| {
            let mut record = samples::record(id, &[*loss]);
            record.trial.params = Params(vec![("dropout".to_owned(), Value::Int(i64::from((id - 1) / 2)))]);
            record.trial.fold = Some(1 + (id - 1) % 2);
            record
        };
        Study { folds: Some(2), ..samples::study((1..).zip(losses).map(of).collect()) }
    }

    #[test]
    fn with_folds_whole_configurations_stay() {
        let study = folded(&[0.6, 0.1, 0.3, 0.3, 0.7, 0.2]);
        // By single trials the second one is the best.
        assert_eq!(gone(&study, Keep::BestOfSweep), [1, 2, 5, 6]);
        assert_eq!(gone(&study, best(3)), [5, 6]);
        assert_eq!(gone(&study, Keep::All), [0; 0]);
    }

    #[test]
    fn a_configuration_whose_folds_are_not_over_keeps_what_it_has() {
        let mut study = folded(&[0.6, 0.1, 0.3, 0.3, 0.7, 0.2]);
        study.trials[1].state = State::Waiting;
        assert_eq!(gone(&study, Keep::BestOfSweep), [5, 6]);
        study.trials[1].state = State::Failed;
        assert_eq!(gone(&study, Keep::BestOfSweep), [5, 6, 1]);
    }

    proptest! {
        #[test]
        fn what_goes_ranks_below_all_that_stays(
            losses in prop::collection::vec((0_u8..40).prop_map(|loss| f64::from(loss) / 100.0), 1..20),
            count in 1_usize..6,
        ) {
            let study = study(&losses);
            let board = leaderboard::build(&study, RankBy::TestF1, &|_| None);
            let gone = disposable(&study, best(count));
            for row in &board.rows {
                prop_assert_eq!(gone.contains(&row.trial), row.rank.is_some_and(|rank| rank > count));
            }
        }
    }
}
