//! The estimator beside Optuna's figures, and what holds for every proposal.

use serde::Deserialize;

use super::{parzen::Parzen, *};

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

/// A history, and what Optuna says of it.
#[derive(Deserialize)]
struct Case {
    history: Vec<Tried>,
    good: Vec<usize>,
    bad: Vec<usize>,
    candidates: Vec<Vec<f64>>,
    order: Orders,
    log_good: Vec<f64>,
    log_bad: Vec<f64>,
    acquisition: Vec<f64>,
    best: usize,
    stable: Stable,
}

#[derive(Deserialize)]
struct Tried {
    point: Vec<f64>,
    state: String,
    score: Option<f64>,
    epoch: Option<u32>,
}

/// How numpy sorted the whole numbers.
#[derive(Deserialize)]
struct Orders {
    good: Vec<usize>,
    bad: Vec<usize>,
}

/// Densities with whole numbers sorted stably.
#[derive(Deserialize)]
struct Stable {
    log_good: Vec<f64>,
    log_bad: Vec<f64>,
}

const SPACE: [Dimension; 4] = [
    Dimension::LogUniform(1e-5, 1e-3),
    Dimension::Uniform(0.0, 0.5),
    Dimension::Int(2, 9),
    Dimension::Categorical(2),
];
/// The place of the whole number in [`SPACE`].
const INT: usize = 2;

impl Case {
    fn history(&self) -> Vec<Observation> {
        let observed = |tried: &Tried| Observation {
            point: tried.point.clone(),
            outcome: match (&*tried.state, tried.score, tried.epoch) {
                ("complete", Some(score), _) => Outcome::Complete { score },
                ("pruned", Some(score), Some(epoch)) => Outcome::Halted { epoch, score },
                ("running", ..) => Outcome::Running,
                other => panic!("{other:?}"),
            },
        };
        self.history.iter().map(observed).collect()
    }

    /// The density of the trials at `places`, with equal whole numbers in the order of numpy.
    fn density(&self, places: &[usize], numpy: &[usize]) -> Parzen {
        let points: Vec<&[f64]> = places.iter().map(|at| &*self.history[*at].point).collect();
        Parzen::sorted(&SPACE, &points, &|dimension, column| {
            if dimension == INT { numpy.to_vec() } else { parzen::ascending(column) }
        })
    }
}

fn cases() -> Vec<Case> {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../tests/fixtures/search/tpe.json")).unwrap();
    assert_eq!(fixture.cases.len(), 6);
    fixture.cases
}

#[track_caller]
fn assert_near(found: impl IntoIterator<Item = f64>, expected: &[f64]) {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-9, "{found} instead of {expected}");
    }
}

#[test]
fn good_trials_are_those_of_optuna() {
    for case in cases() {
        let split = split(&case.history());
        assert_eq!((split.good, split.bad), (case.good, case.bad));
    }
}

#[test]
fn densities_are_those_of_optuna_where_equal_values_are_sorted_alike() {
    for case in cases() {
        let good = case.density(&case.good, &case.order.good);
        let bad = case.density(&case.bad, &case.order.bad);
        let at = |density: &Parzen| -> Vec<f64> {
            case.candidates.iter().map(|point| density.log_density(point)).collect()
        };
        let (good, bad) = (at(&good), at(&bad));
        let acquisition: Vec<f64> = good.iter().zip(&bad).map(|(good, bad)| good - bad).collect();
        let best = (0..acquisition.len())
            .rev()
            .max_by(|one, other| acquisition[*one].total_cmp(&acquisition[*other]));
        assert_near(good, &case.log_good);
        assert_near(bad, &case.log_bad);
        assert_near(acquisition, &case.acquisition);
        assert_eq!(best, Some(case.best));
    }
}

#[test]
fn densities_are_those_of_optuna_with_a_stable_sort() {
    for case in cases() {
        let densities = Densities::new(&SPACE, &case.history());
        assert_near(case.candidates.iter().map(|point| densities.log_good(point)), &case.stable.log_good);
        assert_near(case.candidates.iter().map(|point| densities.log_bad(point)), &case.stable.log_bad);
    }
}

#[test]
fn the_same_names_propose_the_same_points() {
    for case in cases() {
        let history = case.history();
        let first = propose(&SPACE, &history, &["7", "12"]);
        assert_eq!(propose(&SPACE, &history, &["7", "12"]), first);
        assert_ne!(propose(&SPACE, &history, &["7", "13"]), first);
    }
}

#[test]
fn candidates_are_within_the_space_and_the_most_promising_comes_first() {
    for case in cases() {
        let history = case.history();
        let densities = Densities::new(&SPACE, &history);
        let proposed = propose(&SPACE, &history, &["1"]);
        assert_eq!(proposed.len(), CANDIDATES);
        assert!(proposed.iter().flat_map(|point| SPACE.iter().zip(point)).all(|(it, value)| it.has(*value)));
        let promise: Vec<f64> = proposed.iter().map(|point| densities.acquisition(point)).collect();
        assert!(promise.is_sorted_by(|one, other| one >= other), "{promise:?}");
    }
}

/// A trial of `value` in a space of one dimension.
fn tried(value: f64, outcome: Outcome) -> Observation {
    Observation { point: vec![value], outcome }
}

#[test]
fn proposals_come_from_where_scores_are_high() {
    let space = [Dimension::Uniform(0.0, 1.0)];
    let history: Vec<Observation> = (0..50)
        .map(|at| f64::from(at) / 50.0)
        .map(|x| tried(x, Outcome::Complete { score: -(x - 0.7) * (x - 0.7) }))
        .collect();
    for seed in 0..20 {
        let first = propose(&space, &history, &[&seed.to_string()]).remove(0);
        assert!((first[0] - 0.7).abs() < 0.1, "{first:?}");
    }
}

#[test]
fn a_draw_without_a_history_is_of_the_prior() {
    let mut means = [0.0; 4];
    for seed in 0..500_u32 {
        let point = propose(&SPACE, &[], &[&seed.to_string()]).remove(0);
        assert!(SPACE.iter().zip(&point).all(|(dimension, value)| dimension.has(*value)));
        point.iter().zip(&mut means).for_each(|(value, mean)| *mean += value / 500.0);
    }
    assert!((means[INT] - 5.5).abs() < 0.3 && (means[3] - 0.5).abs() < 0.1, "{means:?}");
}

#[test]
fn failed_trials_change_nothing() {
    let case = &cases()[2];
    let mut history = case.history();
    let before = propose(&SPACE, &history, &["5"]);
    history.insert(3, Observation { point: vec![2e-4, 0.1, 3.0, 0.0], outcome: Outcome::Failed });
    assert_eq!(propose(&SPACE, &history, &["5"]), before);
}

#[test]
fn trials_of_another_space_are_left_out() {
    let case = &cases()[2];
    let mut history = case.history();
    let before = propose(&SPACE, &history, &["5"]);
    let score = 1.0;
    for point in [vec![2e-2, 0.1, 3.0, 0.0], vec![2e-4, 0.1, 3.0, 2.0], vec![2e-4, 0.1, 3.5, 1.0], vec![2e-4]]
    {
        history.insert(0, Observation { point, outcome: Outcome::Complete { score } });
    }
    assert_eq!(propose(&SPACE, &history, &["5"]), before);
}

#[test]
fn halted_trials_are_good_only_when_complete_ones_are_too_few() {
    let complete = |score| tried(0.5, Outcome::Complete { score });
    let halted = |epoch, score| tried(0.5, Outcome::Halted { epoch, score });
    let mut history = vec![halted(2, 0.9), complete(0.1), halted(3, 0.5), halted(3, 0.6), halted(3, 0.6)];
    assert_eq!(split(&history).good, [1]);
    history.extend((0..16).map(|_| halted(1, 0.99)));
    assert_eq!(split(&history).good, [1, 3, 4]);
}

#[test]
fn a_score_that_is_no_number_is_the_worst_one() {
    let complete = |score| tried(0.5, Outcome::Complete { score });
    let history = [complete(f64::NAN), complete(f64::NEG_INFINITY), complete(-1e9), complete(-f64::NAN)];
    assert_eq!(split(&history).good, [2]);
}

#[test]
fn a_dimension_of_one_value_has_it() {
    let space =
        [Dimension::Uniform(0.3, 0.3), Dimension::Int(4, 4), Dimension::Categorical(1), Dimension::Int(0, 1)];
    let history: Vec<Observation> = (0..12)
        .map(|at| Observation {
            point: vec![0.3, 4.0, 0.0, f64::from(at % 2)],
            outcome: Outcome::Complete { score: f64::from(at) },
        })
        .collect();
    let point = propose(&space, &history, &["0"]).remove(0);
    assert_eq!(point[..3], [0.3, 4.0, 0.0]);
    assert!(Densities::new(&space, &history).acquisition(&point).is_finite());
}

#[test]
fn equal_points_still_have_a_width() {
    let space = [Dimension::LogUniform(1e-6, 1e-2)];
    let history = vec![tried(1e-4, Outcome::Complete { score: 0.5 }); 40];
    let densities = Densities::new(&space, &history);
    for point in propose(&space, &history, &["0"]) {
        assert!(densities.acquisition(&point).is_finite(), "{point:?}");
    }
}
