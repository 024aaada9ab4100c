//! The choice, by example and by property.

use proptest::prelude::*;

use super::*;
use crate::{
    samples::{self, collapsed, failed},
    search::RungFigure,
    settings::Value,
    study::Study,
    trial::{FailureKind, Params},
};

const BY_LOSS: Confirm = Confirm { top: 2, repeats: 2, by: RungFigure::ValLoss, after: 1 };

/// A complete trial of configuration `configuration` with this validation loss.
fn trial(id: u32, configuration: i64, repeat: u32, loss: f64) -> TrialRecord {
    let mut record = samples::record(id, &[loss]);
    record.trial.params = Params(vec![("dropout".to_owned(), Value::Int(configuration))]);
    record.trial.repeat = repeat;
    record
}

fn study(trials: Vec<TrialRecord>, confirm: Confirm) -> Study {
    Study { confirm: Some(confirm), ..samples::study(trials) }
}

/// For each configuration that is to be confirmed: its first trial, its place, and the seeds that it lacks.
fn missing(study: &Study) -> Vec<(u32, u32, Vec<u32>)> {
    let missing = study.unconfirmed().into_iter();
    missing.map(|own| (own.trial.id.0, own.why.place, own.repeats)).collect()
}

/// Adds what is missing, each trial complete with this loss.
fn add(study: &mut Study, loss: f64) {
    for own in study
        .unconfirmed()
        .iter()
        .map(|own| (own.trial.clone(), own.repeats.clone(), own.why.clone()))
        .collect::<Vec<_>>()
    {
        let (of, repeats, why) = own;
        for repeat in repeats {
            let mut record = samples::record(study.next_id(), &[loss]);
            record.trial.params = of.params.clone();
            (record.trial.repeat, record.trial.confirms) = (repeat, Some(why.clone()));
            study.trials.push(record);
        }
    }
}

#[test]
fn the_best_by_validation_are_chosen_and_equal_ones_go_by_number() {
    let trials = vec![trial(1, 1, 0, 0.5), trial(2, 2, 0, 0.3), trial(4, 4, 0, 0.4), trial(3, 3, 0, 0.4)];
    let study = study(trials, BY_LOSS);
    assert_eq!(missing(&study), [(2, 1, vec![1, 2]), (3, 2, vec![1, 2])]);
    let why = &study.unconfirmed()[0].why;
    assert_eq!((why.of, why.by, why.loss, why.seeds), (4, RungFigure::ValLoss, 0.3, 1));
}

#[test]
fn equal_ones_go_by_the_other_figure_before_they_go_by_number() {
    let figures = |record: &mut TrialRecord, loss, f1| {
        let validation = &mut record.outcome.as_mut().unwrap().validation;
        (validation.loss, validation.f1) = (loss, f1);
    };
    let mut trials = vec![trial(1, 1, 0, 0.5), trial(2, 2, 0, 0.5), trial(3, 3, 0, 0.5)];
    figures(&mut trials[0], 0.5, 0.8);
    figures(&mut trials[1], 0.3, 0.8);
    figures(&mut trials[2], 0.3, 0.9);
    let order = |by| {
        let study = study(trials.clone(), Confirm { top: 3, by, ..BY_LOSS });
        missing(&study).into_iter().map(|own| own.0).collect::<Vec<_>>()
    };
    assert_eq!((order(RungFigure::ValF1), order(RungFigure::ValLoss)), (vec![3, 2, 1], vec![3, 2, 1]));
}

#[test]
fn nothing_is_chosen_before_the_search_is_over() {
    for state in [State::Waiting, State::Running, State::Paused] {
        let mut study = study(vec![trial(1, 1, 0, 0.5), trial(2, 2, 0, 0.3), trial(3, 3, 0, 0.4)], BY_LOSS);
        study.trials[0].state = state;
        assert_eq!(missing(&study), []);
        assert_eq!(
            (study.confirmations_to_come(), study.is_over()),
            (4, false),
            "two of three, two seeds each"
        );
    }
}

#[test]
fn what_confirms_changes_no_place_and_is_not_planned_twice() {
    let mut study = study(vec![trial(1, 1, 0, 0.5), trial(2, 2, 0, 0.3), trial(3, 3, 0, 0.4)], BY_LOSS);
    assert_eq!((study.confirmations_to_come(), study.is_over()), (4, false));
    add(&mut study, 0.9);
    assert_eq!(missing(&study), []);
    assert_eq!((study.trials.len(), study.confirmations_to_come(), study.is_over()), (7, 0, true));
    study.trials.remove(4);
    assert_eq!(missing(&study), [(2, 1, vec![2])], "a run that was killed goes on where it was");
}

#[test]
fn a_higher_top_and_more_repeats_add_what_is_missing() {
    let trials = vec![trial(1, 1, 0, 0.5), trial(2, 2, 0, 0.3), trial(3, 3, 0, 0.4)];
    let mut study = study(trials, BY_LOSS);
    add(&mut study, 0.9);
    study.confirm = Some(Confirm { top: 3, repeats: 3, ..BY_LOSS });
    assert_eq!(missing(&study), [(2, 1, vec![3]), (3, 2, vec![3]), (1, 3, vec![1, 2, 3])]);
    study.confirm = Some(Confirm { top: 1, repeats: 1, ..BY_LOSS });
    assert_eq!(missing(&study), []);
    study.confirm = None;
    assert_eq!((missing(&study), study.is_over()), (vec![], true));
}

#[test]
fn several_seeds_count_by_their_mean_and_further_ones_are_numbered_after_them() {
    let trials = vec![trial(1, 1, 0, 0.1), trial(2, 1, 1, 0.9), trial(3, 2, 0, 0.4), trial(4, 2, 1, 0.4)];
    let study = study(trials, Confirm { top: 1, after: 2, ..BY_LOSS });
    assert_eq!(missing(&study), [(3, 1, vec![2, 3])]);
    assert_eq!(study.unconfirmed()[0].why.seeds, 2);
}

#[test]
fn failed_halted_and_useless_configurations_are_not_confirmed() {
    let mut halted = trial(2, 2, 0, 0.1);
    (halted.state, halted.outcome) = (State::Halted, None);
    let mut diverged = trial(3, 3, 0, 0.1);
    diverged.evaluations[0].train_loss = f64::NAN;
    let mut infinite = trial(4, 4, 0, 0.1);
    infinite.outcome.as_mut().unwrap().validation.loss = f64::INFINITY;
    let mut useless = collapsed(5, 0.9);
    useless.outcome.as_mut().unwrap().validation.loss = 0.01;
    let trials = vec![
        failed(trial(1, 1, 0, 0.1), FailureKind::Data),
        halted,
        diverged,
        infinite,
        useless,
        trial(6, 6, 0, 0.6),
    ];
    let mut study = study(trials, BY_LOSS);
    assert_eq!(missing(&study), [(6, 1, vec![1, 2])]);
    assert_eq!((study.unconfirmed()[0].why.of, study.confirms_nothing()), (1, false));
    study.trials.pop();
    assert_eq!((missing(&study), study.confirms_nothing(), study.is_over()), (vec![], true, true));
}

#[test]
fn a_configuration_of_which_one_seed_is_fit_for_use_is_compared() {
    let mut useless = collapsed(1, 0.9);
    useless.trial.params = trial(1, 1, 0, 0.1).trial.params;
    let study = study(vec![useless, trial(2, 1, 1, 0.3)], Confirm { after: 2, ..BY_LOSS });
    assert_eq!(missing(&study), [(1, 1, vec![2, 3])]);
}

#[test]
fn f1_or_both_may_choose() {
    // Validation F1 falls as the loss rises in these samples, so one is turned round.
    let mut trials = vec![trial(1, 1, 0, 0.2), trial(2, 2, 0, 0.3)];
    let outcome = |record: &mut TrialRecord, loss| record.outcome.as_mut().unwrap().validation.loss = loss;
    outcome(&mut trials[1], 0.1);
    let first = |by| missing(&study(trials.clone(), Confirm { top: 1, by, ..BY_LOSS }))[0].0;
    assert_eq!((first(RungFigure::ValLoss), first(RungFigure::ValF1), first(RungFigure::Both)), (2, 1, 1));
}

proptest! {
    /// Trials in another order, and what confirms complete, waiting or failed: the same choice.
    #[test]
    fn the_choice_is_a_function_of_the_search_alone(
        losses in prop::collection::vec(0_u8..5, 1..8),
        order in any::<u64>(),
        top in 1_u32..5,
        states in prop::collection::vec(0_u8..3, 16),
    ) {
        let trials = || (1..).zip(&losses).map(|(id, loss)| trial(id, i64::from(id), 0, 0.2 + f64::from(*loss) / 10.0));
        let confirm = Confirm { top, ..BY_LOSS };
        let mut all: Vec<TrialRecord> = trials().collect();
        let expected = missing(&study(all.clone(), confirm));
        prop_assert_eq!(expected.len(), losses.len().min(top as usize));
        let places = all.len();
        all.rotate_left(usize::try_from(order % 8).unwrap() % places);
        let mut other = study(all, confirm);
        prop_assert_eq!(&missing(&other), &expected);
        add(&mut other, 0.01);
        for (record, state) in other.trials.iter_mut().filter(|record| record.trial.confirms.is_some()).zip(&states) {
            record.state = [State::Waiting, State::Failed, State::Complete][usize::from(*state)];
        }
        prop_assert_eq!(missing(&other), []);
    }
}
