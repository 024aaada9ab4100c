//! Facts about effects: of known functions, grids, studies with halted trials, and too few trials.

use super::*;
use crate::{
    chance::Chance,
    event::RungDecision,
    plan::Scale,
    samples::{failed, record, study},
    search::{Halving, RungFigure, SearchPlan, Verdict},
    settings::Value,
    study::{Decided, Study, TrialRecord},
    trial::{FailureKind, State, TrialId},
};

/// A grid of ordered levels whose figure is `figure` of the indices.
fn grid(levels: &[usize], figure: impl Fn(&[f64]) -> f64) -> Sample {
    let cells: usize = levels.iter().product();
    let mut columns = vec![Vec::new(); levels.len()];
    let mut figures = Vec::new();
    for cell in 0..cells {
        let mut rest = cell;
        let at: Vec<f64> = levels
            .iter()
            .map(|count| {
                let level = u32::try_from(rest % count).unwrap();
                rest /= count;
                f64::from(level)
            })
            .collect();
        figures.push(figure(&at));
        columns.iter_mut().zip(at).for_each(|(column, level)| column.push(level));
    }
    let axes = levels.iter().map(|&count| Axis::Levels { count, is_ordered: true }).collect();
    Sample { axes, columns, figures }
}

/// Points drawn evenly over `settings` ranges, whose figure is `figure` of them.
fn draws(settings: usize, points: usize, figure: impl Fn(&[f64], &mut Chance) -> f64) -> Sample {
    let mut chance = Chance::new(&["draws of a test"]);
    let rows: Vec<Vec<f64>> = (0..points).map(|_| (0..settings).map(|_| chance.unit()).collect()).collect();
    let figures = rows.iter().map(|row| figure(row, &mut chance)).collect();
    let columns = (0..settings).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
    Sample { axes: vec![Axis::Numbers; settings], columns, figures }
}

#[test]
fn the_raw_shares_of_a_whole_grid_are_those_of_its_analysis_of_variance() {
    // Over four and three levels, the indices have the variances 5 / 4 and 2 / 3; twice the second has 8 / 3.
    let sample = grid(&[4, 3], |at| at[0] + 2.0 * at[1]);
    let places = forest::places(&sample.axes, &mut Chance::new(&["places"]));
    let asked = forest::Asked { settings: &[0, 1], pairs: &[(0, 1)], trees: 3, places: &places };
    let rows: Vec<usize> = (0..12).collect();
    let means = forest::means(&sample, &rows, asked, &mut Chance::new(&["grid"]));
    let shares = means.single.iter().map(|mean| forest::variance(mean) / means.variance);
    let expected = [1.25 / (1.25 + 8.0 / 3.0), 8.0 / 3.0 / (1.25 + 8.0 / 3.0)];
    for (share, expected) in shares.zip(expected) {
        assert!((share - expected).abs() < 1e-12, "{share} {expected}");
    }
    assert!(forest::interaction(&means.pairs[0], 3) < 1e-20);
}

#[test]
fn the_interaction_of_a_whole_grid_is_that_of_its_analysis_of_variance() {
    // The product of two signs has no effect of either alone.
    let sample = grid(&[2, 2, 3], |at| (2.0 * at[0] - 1.0) * (2.0 * at[1] - 1.0) + 0.01 * at[2]);
    let judged = judge(&sample).unwrap();
    assert!(judged.effects[0].importance.mean < 1e-9 && judged.effects[1].importance.mean < 1e-9);
    let asked = forest::Asked { settings: &[], pairs: &[(0, 1)], trees: 2, places: &[] };
    let rows: Vec<usize> = (0..12).collect();
    let means = forest::means(&sample, &rows, asked, &mut Chance::new(&["signs"]));
    assert!((forest::interaction(&means.pairs[0], 2) - 1.0).abs() < 1e-12);
}

#[test]
fn the_correction_of_one_setting_is_that_of_epsilon_squared() {
    // Three values with four trials each. SS between = 8, SS within = 10: eta squared 4 / 9, and epsilon squared
    // (8 − 2 · 10 / 9) / 18. By chance (3 − 1) / (12 − 1) of the variance is explained, so many orders come near it.
    let figures = [0.0, 1.0, 2.0, 1.0, 1.0, 2.0, 3.0, 2.0, 2.0, 3.0, 4.0, 3.0];
    let between: f64 = [1.0, 2.0, 3.0_f64].iter().map(|mean| 4.0 * (mean - 2.0).powi(2)).sum();
    let total: f64 = figures.iter().map(|figure: &f64| (figure - 2.0).powi(2)).sum();
    let epsilon = (between - 2.0 * (total - between) / 9.0) / total;
    let sample = Sample {
        axes: vec![Axis::Levels { count: 3, is_ordered: true }],
        columns: vec![(0..12_u32).map(|at| f64::from(at / 4)).collect()],
        figures: figures.to_vec(),
    };
    let judged = judge(&sample).unwrap();
    assert!((judged.effects[0].importance.mean - epsilon).abs() < 0.05, "{judged:?} {epsilon}");
}

#[test]
fn a_setting_that_decides_is_found_among_settings_without_effect() {
    let sample = draws(4, 40, |at, chance| -(at[2] - 0.6).powi(2) + 0.02 * chance.unit());
    let judged = judge(&sample).unwrap();
    let clear: Vec<bool> = judged.effects.iter().map(Effect::is_clear).collect();
    assert_eq!(clear, [false, false, true, false]);
    assert!(judged.effects[2].importance.mean > 0.7, "{:?}", judged.effects[2].importance);
    let best: Vec<usize> = (0..32).filter(|&slot| judged.effects[2].is_best[slot]).collect();
    assert!(best.contains(&19) && best.len() < 20, "{best:?}");
}

#[test]
fn noise_is_not_taken_for_an_effect() {
    let sample = draws(5, 30, |_, chance| chance.unit());
    assert!(judge(&sample).unwrap().effects.iter().all(|effect| !effect.is_clear()));
}

#[test]
fn the_values_of_a_grid_without_effect_are_exchanged_within_their_cells_only() {
    let sample = grid(&[4, 3], |at| at[0]);
    assert!(sample.exchangeable(1).iter().all(|stratum| stratum.len() == 3));
    assert_eq!(sample.exchangeable(1).len(), 4);
}

#[test]
fn any_draws_may_be_exchanged() {
    assert_eq!(draws(3, 20, |at, _| at[0]).exchangeable(1).len(), 1);
}

#[test]
fn eleven_points_say_nothing() {
    assert_eq!(judge(&draws(2, POINTS_MIN - 1, |at, _| at[0])), None);
}

#[test]
fn equal_figures_say_nothing() {
    assert_eq!(judge(&draws(2, 20, |_, _| 0.5)), None);
}

#[test]
fn the_same_sample_is_judged_the_same() {
    let sample = draws(3, 24, |at, chance| at[0] + chance.unit());
    assert_eq!(judge(&sample), judge(&sample));
}

#[test]
fn ten_thousand_draws_are_judged_by_some_of_them() {
    let judged = judge(&draws(2, 10_000, |at, _| at[1])).unwrap();
    assert!(judged.effects[1].is_clear());
}

/// A complete trial of a learning rate and a dropout, with this F1 on validation.
fn trial(id: u32, learning_rate: f64, dropout: f64, wrong: u32) -> TrialRecord {
    let mut record = record(id, &[0.9, f64::from(wrong) / 100.0]);
    record.trial.params.0 = vec![
        ("learning_rate".to_owned(), Value::Float(learning_rate)),
        ("dropout".to_owned(), Value::Float(dropout)),
    ];
    record
}

/// A grid of four learning rates and three dropouts in which the learning rate decides.
fn of_grid() -> Study {
    let trials = (0..12_u32).map(|at| {
        let wrong = [60, 30, 10, 20][(at / 3) as usize] + at % 3;
        trial(at + 1, [1e-5, 1e-4, 1e-3, 1e-2][(at / 3) as usize], [0.0, 0.1, 0.2][(at % 3) as usize], wrong)
    });
    study(trials.collect())
}

#[test]
fn a_grid_names_the_setting_that_decides_and_its_best_value() {
    let effects = Effects::of(&of_grid(), Figure::ValF1);
    assert_eq!((effects.design, effects.trials, effects.silent.as_deref()), (Design::Grid, 12, None));
    let rate = &effects.settings[0];
    assert!(rate.is_clear() && rate.importance.unwrap().share > 0.9, "{rate:?}");
    assert_eq!(rate.best.as_ref().map(|best| best.value.clone()), Some(Value::Float(1e-3)));
    assert_eq!(effects.by_importance()[0], 0);
}

#[test]
fn a_grid_has_no_expected_best() {
    assert!(Effects::of(&of_grid(), Figure::ValF1).expected_best.is_empty());
}

#[test]
fn random_draws_have_an_expected_best_of_every_number_of_them() {
    let trials =
        (0..12_u32).map(|at| trial(at + 1, 1e-4 * f64::from(at + 1), 0.01 * f64::from(at), at)).collect();
    let mut study = study(trials);
    study.scales.insert("learning_rate".to_owned(), Scale::Log);
    study.scales.insert("dropout".to_owned(), Scale::Linear);
    let effects = Effects::of(&study, Figure::ValF1);
    assert_eq!((effects.design, effects.expected_best.len()), (Design::Draws, 12));
}

#[test]
fn too_few_trials_have_a_reason_in_the_place_of_importance() {
    let mut study = of_grid();
    study.trials.truncate(6);
    let effects = Effects::of(&study, Figure::ValF1);
    assert!(
        effects.silent.as_ref().is_some_and(|why| why.starts_with("6 trials are too few")),
        "{effects:?}"
    );
    assert!(effects.settings.iter().all(|setting| setting.importance.is_none() && setting.means.is_empty()));
}

#[test]
fn failed_trials_are_left_out_and_counted() {
    let mut study = of_grid();
    study.trials[4] = failed(study.trials[4].clone(), FailureKind::Panic);
    let effects = Effects::of(&study, Figure::ValF1);
    assert_eq!((effects.trials, effects.left_out.failed), (11, 1));
    assert!(effects.notes.iter().any(|note| note == "Left out: 1 failed."), "{:?}", effects.notes);
}

#[test]
fn the_cells_of_a_grid_are_a_heat_map() {
    let map = Effects::of(&of_grid(), Figure::ValF1).heat_map.unwrap();
    assert_eq!((map.rows.len(), map.columns.len()), (4, 3));
    assert!(map.cells.iter().flatten().all(|cell| cell.trials == 1 && cell.mean.is_some()));
}

/// The grid, of which trial 2 was halted after one epoch.
fn halted() -> Study {
    let mut study = of_grid();
    let halving = Halving { eta: 3, rungs: vec![1], by: RungFigure::ValLoss };
    study.search = Some(SearchPlan { generation: 12, halving: Some(halving), growth: None });
    let decision = RungDecision {
        rung: 0,
        epoch: 1,
        by: RungFigure::ValLoss,
        loss: 0.9,
        f1: 0.1,
        members: (1..=12).map(TrialId).collect(),
        configurations: 12,
        quota: 4,
        beaten_by: Vec::new(),
    };
    let trial = &mut study.trials[1];
    trial.state = State::Halted;
    trial.outcome = None;
    trial.evaluations.truncate(1);
    trial.rungs.push(Decided { verdict: Verdict::Out, decision });
    study
}

#[test]
fn where_a_trial_was_halted_all_are_compared_at_its_rung() {
    let observed = Observed::of(&halted(), Figure::ValF1);
    assert_eq!((observed.until_epoch, observed.trials.len()), (Some(1), 12));
    let at_first = |record: &TrialRecord| record.evaluations[0].validation.f1;
    let expected: Vec<f64> = halted().trials.iter().map(at_first).collect();
    assert_eq!(observed.trials.iter().map(|trial| trial.figure).collect::<Vec<_>>(), expected);
}

#[test]
fn a_halted_trial_has_no_test_figure_and_is_left_out_there() {
    let observed = Observed::of(&halted(), Figure::TestF1);
    assert_eq!((observed.until_epoch, observed.trials.len(), observed.left_out.halted), (None, 11, 1));
}

#[test]
fn test_figures_are_not_used_unless_they_are_asked_for() {
    let mut study = of_grid();
    let before = Effects::of(&study, Figure::ValF1);
    for record in &mut study.trials {
        record.outcome.as_mut().unwrap().test.f1 = 0.25;
    }
    assert_eq!(Effects::of(&study, Figure::ValF1), before);
    assert!(Effects::of(&study, Figure::TestF1).silent.is_some());
}

#[test]
fn a_csv_has_a_row_for_each_value() {
    let csv = Effects::of(&of_grid(), Figure::ValF1).to_csv();
    assert_eq!(csv.lines().count(), 1 + 4 + 3, "{csv}");
}
