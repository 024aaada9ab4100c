//! Which trials' parameters may be removed: pure, from a study and the sweep's `keep`.

use crate::{
    leaderboard::{RankBy, Standing},
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

/// Where a trial stands by test F1; trials without a figure come last.
fn standing(record: &TrialRecord) -> Standing {
    RankBy::TestF1.standing(record).unwrap_or(Standing { is_last: true, key: f64::INFINITY })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;
    use crate::{leaderboard, samples};

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
