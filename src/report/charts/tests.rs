//! The charts of made-up sweeps: which are drawn, that they are the same each time, and their sizes.

use super::*;
use crate::{
    chance::Chance,
    effects::{Effects, Figure, Observed},
    leaderboard::{Calibration, Classified, Leaderboard, Prediction, RankBy, build},
    plan::Scale,
    report::error::ReportError,
    samples::{record, scores, study},
    settings::Value,
    study::{Study, TrialRecord},
};

/// How a made-up sweep lies.
#[derive(Clone, Copy)]
enum Space {
    Grid,
    Draws,
}

/// Values of a category, some of which no font has and some of which would be markup.
const CATEGORIES: [&str; 4] =
    ["均值池化", "سلبي جدا", "<script>\u{202e}x", "a rather long name of a checkpoint/model-base"];

/// A trial with these values, whose F1 follows from them.
fn trial(id: u32, params: Vec<(String, Value)>, quality: f64) -> TrialRecord {
    let mut record = record(id, &[0.9, 0.5]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 200")]
    let wrong = (200.0 * (1.0 - quality.clamp(0.0, 1.0))) as u64;
    if let Some(outcome) = &mut record.outcome {
        outcome.validation = scores(wrong, 0.5);
        outcome.test = scores(wrong, 0.5);
    }
    record.trial.params.0 = params;
    record
}

/// A sweep of `trials` trials over the first `settings` of five.
fn sweep(space: Space, trials: u32, settings: usize) -> Study {
    let mut chance = Chance::new(&["charts", &trials.to_string(), &settings.to_string()]);
    let names = ["learning_rate", "pooling", "dropout", "batch_size", "weight_decay"];
    let records = (0..trials).map(|at| {
        let mut quality = 0.7 + 0.03 * chance.unit();
        let mut rest = at;
        let params = names.iter().take(settings).enumerate().map(|(setting, name)| {
            let level = rest % 4;
            rest /= 4;
            let share = match space {
                Space::Grid => f64::from(level) / 3.0,
                Space::Draws => chance.unit(),
            };
            let value = match setting {
                0 => Value::Float(10_f64.powf(-5.0 + 3.0 * share)),
                1 => Value::Text(CATEGORIES[level as usize].to_owned()),
                2 => Value::Float(0.5 * share),
                3 => Value::Int([8, 16, 32, 64][level as usize]),
                _ => Value::Float(10_f64.powf(-4.0 + 4.0 * share)),
            };
            quality += match setting {
                0 => 0.25 - (share - 0.6).powi(2),
                1 => 0.04 * f64::from(level),
                _ => 0.0,
            };
            ((*name).to_owned(), value)
        });
        let params = params.collect();
        trial(at + 1, params, quality)
    });
    let mut study = study(records.collect());
    study.swept = names.iter().take(settings).map(|name| (*name).to_owned()).collect();
    if matches!(space, Space::Draws) {
        for (name, scale) in
            [("learning_rate", Scale::Log), ("dropout", Scale::Linear), ("weight_decay", Scale::Log)]
        {
            study.scales.insert(name.to_owned(), scale);
        }
    }
    study
}

/// Every chart of a sweep: `None` where it is not drawn.
struct Drawn {
    study: Study,
    board: Leaderboard,
    observed: Observed,
    effects: Effects,
}

type Png = Option<Result<Vec<u8>, ReportError>>;

impl Drawn {
    fn of(study: Study) -> Self {
        let mut board = build(&study, RankBy::TestF1, &|_| None);
        for (at, row) in board.rows.iter_mut().enumerate().skip(1) {
            row.tied = [Some(true), Some(false), None][at % 7 % 3].filter(|_| at < 30);
        }
        let observed = Observed::of(&study, Figure::ValF1);
        let effects = Effects::of_observed(&study.sweep, &observed);
        Self { study, board, observed, effects }
    }

    fn all(&self) -> [(&'static str, Png); 6] {
        [
            ("leaderboard", leaderboard(&self.study, &self.board)),
            ("importance", importance(&self.study, &self.effects)),
            ("parallel", parallel(&self.study, &self.observed, &self.effects)),
            ("heatmap", heat_map(&self.study, &self.effects)),
            ("calibration", calibration(&self.study, &self.board, &overconfident())),
            ("expected_best", expected_best(&self.study, &self.effects)),
        ]
    }

    /// The names of the charts that are drawn.
    fn names(&self) -> Vec<&'static str> {
        self.all().into_iter().filter_map(|(name, png)| png.map(|png| (name, png.unwrap()).0)).collect()
    }
}

/// The calibration of a model that is more certain than right.
fn overconfident() -> Calibration {
    let mut chance = Chance::new(&["overconfident"]);
    let predictions: Vec<Classified> = (0..400)
        .map(|id| {
            let probability = 0.5 + 0.5 * chance.unit().sqrt();
            let label = usize::from(chance.unit() >= probability - 0.1);
            Classified { prediction: Prediction { id, label, predicted: 0 }, probability }
        })
        .collect();
    Calibration::of(&predictions).unwrap()
}

#[test]
fn a_grid_has_no_expected_best_and_draws_over_ranges_have_no_map() {
    let grid = Drawn::of(sweep(Space::Grid, 16, 2));
    assert_eq!(grid.names(), ["leaderboard", "importance", "parallel", "heatmap", "calibration"]);
    let mut draws = sweep(Space::Draws, 16, 1);
    draws.swept = vec!["learning_rate".to_owned()];
    let draws = Drawn::of(draws);
    assert_eq!(draws.names(), ["leaderboard", "importance", "calibration", "expected_best"]);
}

#[test]
fn of_four_trials_nothing_is_drawn_that_would_say_what_a_setting_did() {
    let few = Drawn::of(sweep(Space::Grid, 4, 2));
    assert_eq!(few.names(), ["leaderboard", "calibration"]);
}

#[test]
fn charts_are_the_same_to_the_byte_each_time() {
    let [first, second] = [0, 1].map(|_| Drawn::of(sweep(Space::Grid, 16, 2)).all());
    for ((name, first), (_, second)) in first.into_iter().zip(second) {
        assert!(first.map(Result::unwrap) == second.map(Result::unwrap), "{name}");
    }
}

#[test]
fn charts_of_many_trials_and_of_huge_values_are_drawn() {
    let many = Drawn::of(sweep(Space::Draws, 320, 2));
    assert!(many.names().contains(&"parallel"));
    let mut odd = sweep(Space::Draws, 20, 3);
    for (record, value) in odd.trials.iter_mut().zip([f64::MAX, f64::MIN_POSITIVE, 0.0, -1.0, 1e300]) {
        record.trial.params.0[0].1 = Value::Float(value);
    }
    assert!(Drawn::of(odd).names().contains(&"importance"));
}
