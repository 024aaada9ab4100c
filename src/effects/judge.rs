//! What each setting did: its importance, whether that is more than chance, and the mean figure by its value.
//!
//! **Importance** is the share of the variance of a forest's figure, over the space of the settings, that one setting
//! explains by itself (functional analysis of variance: Hutter, Hoos and Leyton-Brown 2014). With few trials a setting
//! without any effect has a large share too, so what its values show in random order is taken away from both parts of
//! the fraction. On a whole grid this is the analysis of variance of its cells, and the correction is that of epsilon
//! squared (Kelley 1935). With a single setting, the whole is the variance of the figures, the chance of training
//! included: of the forest's variance it would always explain everything.
//!
//! **Whether it is more than chance** says a permutation test: the setting's values are put in random order among the
//! points that may be exchanged ([`Sample::exchangeable`]), and a forest is grown each time. For grids and for draws
//! the test is exact. P-values are corrected for the number of settings (Holm 1979).
//!
//! **Intervals** come from forests over random halves of the points. The spread of a figure over halves is about the
//! standard error of the figure over all points (the delete-half jackknife: Shao and Wu 1989, Annals of Statistics 17).
//!
//! How often each is right stands in `docs/statistics.md`.

use rayon::prelude::*;

use super::{
    forest::{self, Asked, Means},
    sample::{Axis, Sample},
};
use crate::{chance::Chance, numbers::count, system::threads};

/// Points below which nothing is said.
pub const POINTS_MIN: usize = 12;
/// Points from which forests are grown at most; of more, so many are chosen at random.
pub const POINTS_MAX: usize = 256;
/// The level below which an effect counts as more than chance.
pub const LEVEL: f64 = 0.05;

/// Trees of the forest that is shown.
const TREES: usize = 64;
/// Trees of a forest that is one of many, and of one over many points, where trees differ less.
const TREES_OF_MANY: usize = 16;
const TREES_OF_LARGE: usize = 8;
/// Points from which on there are many.
const LARGE: usize = 64;
/// Random halves of the points.
const HALVES: usize = 40;
/// Orders of a setting's values at most, with up to five settings.
const ORDERS: usize = 199;
/// Orders for each setting at most, with more settings: the least p-value is then below the level all the same.
const ORDERS_OF_EACH: usize = 40;
/// Orders at least, for the mean of a setting without effect.
const ORDERS_MIN: usize = 20;
/// As soon as so many orders show as much, the p-value is above the level and no more are needed (Besag and Clifford
/// 1991, Biometrika 78).
const EXCEEDED_ENOUGH: usize = 12;
/// Standard errors on both sides of a figure.
const WIDTH: f64 = 2.0;
/// The same for a mean over a range, where a forest is also smoother than the truth.
const WIDTH_OVER_RANGE: f64 = 2.6;
/// Relative difference below which two variances are equal but for rounding.
const ROUNDING: f64 = 1e-9;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Band {
    /// The figure.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What a setting did.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Its importance, 0 to 1.
    pub importance: Band,
    /// How often a setting without effect would show as much, corrected for the number of settings.
    pub p_value: f64,
    /// The mean figure at each slot of its axis.
    pub means: Vec<Band>,
    /// Whether the mean at each slot is not distinguishable from the best one.
    pub is_best: Vec<bool>,
}

impl Effect {
    /// Whether it is more than chance.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.p_value <= LEVEL
    }
}

/// What two settings did together beyond the sum of what each did.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// The two settings of highest importance, the higher first.
    pub settings: (usize, usize),
    /// The share of the variance, as an importance.
    pub importance: Band,
    /// How often settings without an interaction would show as much; approximate.
    pub p_value: f64,
}

/// What the settings of a sample did.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// For each setting.
    pub effects: Vec<Effect>,
    /// Of the first two, if there are two.
    pub together: Option<Together>,
}

/// Judges the settings of a sample; `None` with fewer than [`POINTS_MIN`] points, or if all figures are the same.
#[must_use]
pub fn judge(sample: &Sample) -> Option<Judged> {
    let is_varied = sample.figures.windows(2).any(|pair| pair[0] != pair[1]);
    if sample.len() < POINTS_MIN || !is_varied || sample.axes.is_empty() {
        return None;
    }
    let thinned = thinned(sample);
    let sample = thinned.as_ref().unwrap_or(sample);
    let settings: Vec<usize> = (0..sample.axes.len()).collect();
    let places = forest::places(&sample.axes, &mut Chance::new(&["effects", "places"]));
    let asked = Asked { settings: &settings, pairs: &[], trees: TREES, places: &places };
    let shown = forest::means(sample, &all(sample), asked, &mut Chance::new(&["effects", "forest"]));
    let whole = whole(sample, &all(sample), &shown);
    let halves = halves(sample, Asked { trees: trees_of_many(sample), ..asked });
    let tests = parallel(&settings, &|&setting| Test::of(sample, setting));
    let p_values = corrected(&tests.iter().map(|test| test.p_value).collect::<Vec<_>>());
    let effect = |&at: &usize| {
        let width = if sample.axes[at] == Axis::Numbers { WIDTH_OVER_RANGE } else { WIDTH };
        let (means, is_best) = bands(&shown.single[at], &of_halves(&halves, at), width);
        let shares: Vec<f64> =
            halves.iter().map(|half| forest::variance(&half.means.single[at]) / half.whole).collect();
        let variance = forest::variance(&shown.single[at]);
        let importance = importance(variance, whole, tests[at].by_chance, spread(&shares));
        Effect { importance, p_value: p_values[at], means, is_best }
    };
    let effects: Vec<Effect> = settings.iter().map(effect).collect();
    let together = together(sample, &effects, &shown, asked);
    Some(Judged { effects, together })
}

/// A random choice of [`POINTS_MAX`] points, if there are more.
fn thinned(sample: &Sample) -> Option<Sample> {
    if sample.len() <= POINTS_MAX {
        return None;
    }
    let mut rows = all(sample);
    Chance::new(&["effects", "thinned"]).shuffle(&mut rows);
    rows.truncate(POINTS_MAX);
    rows.sort_unstable();
    let chosen = |column: &Vec<f64>| rows.iter().map(|&row| column[row]).collect();
    Some(Sample {
        axes: sample.axes.clone(),
        columns: sample.columns.iter().map(chosen).collect(),
        figures: chosen(&sample.figures),
    })
}

/// The trees of a forest that is one of many.
fn trees_of_many(sample: &Sample) -> usize {
    if sample.len() > LARGE { TREES_OF_LARGE } else { TREES_OF_MANY }
}

fn all(sample: &Sample) -> Vec<usize> {
    (0..sample.len()).collect()
}

/// Does `work` for each of `items`, on all processors if there is a pool.
fn parallel<I: Sync, T: Send>(items: &[I], work: &(dyn Fn(&I) -> T + Sync)) -> Vec<T> {
    if threads::has_pool() { items.par_iter().map(work).collect() } else { items.iter().map(work).collect() }
}

/// The variance of which shares are taken.
fn whole(sample: &Sample, rows: &[usize], means: &Means) -> f64 {
    if sample.axes.len() > 1 {
        return means.variance.max(f64::MIN_POSITIVE);
    }
    let figures: Vec<f64> = rows.iter().map(|&row| sample.figures[row]).collect();
    forest::variance(&figures).max(f64::MIN_POSITIVE)
}

/// A forest over half of the points.
struct Half {
    means: Means,
    whole: f64,
}

fn halves(sample: &Sample, asked: Asked<'_>) -> Vec<Half> {
    let numbers: Vec<usize> = (0..HALVES).collect();
    parallel(&numbers, &|number| {
        let mut chance = Chance::new(&["effects", "half", &number.to_string()]);
        let mut rows = all(sample);
        chance.shuffle(&mut rows);
        rows.truncate(sample.len().div_ceil(2));
        let means = forest::means(sample, &rows, asked, &mut chance);
        let whole = whole(sample, &rows, &means);
        Half { means, whole }
    })
}

/// The means of a setting over each half.
fn of_halves(halves: &[Half], setting: usize) -> Vec<&[f64]> {
    halves.iter().map(|half| half.means.single[setting].as_slice()).collect()
}

/// The standard deviation of these figures.
fn spread(figures: &[f64]) -> f64 {
    forest::variance(figures).sqrt()
}

/// A share of the whole, less what chance shows.
fn importance(variance: f64, whole: f64, by_chance: f64, spread: f64) -> Band {
    let beyond = (whole - by_chance).max(f64::MIN_POSITIVE);
    let share = |variance: f64| ((variance - by_chance) / beyond).clamp(0.0, 1.0);
    let apart = WIDTH * spread * whole;
    Band { mean: share(variance), low: share(variance - apart), high: share(variance + apart) }
}

/// The means with their intervals, and which are not distinguishable from the best one.
fn bands(shown: &[f64], halves: &[&[f64]], width: f64) -> (Vec<Band>, Vec<bool>) {
    let best = (0..shown.len()).fold(0, |best, slot| if shown[slot] > shown[best] { slot } else { best });
    let spread_of = |figure: &dyn Fn(&[f64]) -> f64| {
        width * spread(&halves.iter().map(|half| figure(half)).collect::<Vec<_>>())
    };
    let band = |(slot, &mean): (usize, &f64)| {
        let apart = spread_of(&|half| half[slot]);
        Band { mean, low: mean - apart, high: mean + apart }
    };
    let is_best = |slot: usize| shown[best] - shown[slot] <= spread_of(&|half| half[best] - half[slot]);
    (shown.iter().enumerate().map(band).collect(), (0..shown.len()).map(is_best).collect())
}

/// The comparison of a setting with the same values in random orders.
struct Test {
    /// How often these show as much.
    p_value: f64,
    /// The variance that they show on average.
    by_chance: f64,
}

impl Test {
    fn of(sample: &Sample, setting: usize) -> Self {
        let strata = sample.exchangeable(setting);
        let mut other = sample.clone();
        let orders = if sample.axes.len() <= 5 { ORDERS } else { ORDERS_OF_EACH * sample.axes.len() - 1 };
        let name = setting.to_string();
        Self::among(orders, &mut |order| {
            let mut chance = Chance::new(&["effects", "order", &name, &order.to_string()]);
            if order > 0 {
                for stratum in &strata {
                    let mut from = stratum.clone();
                    chance.shuffle(&mut from);
                    for (&to, &from) in stratum.iter().zip(&from) {
                        other.columns[setting][to] = sample.columns[setting][from];
                    }
                }
            }
            let asked = Asked { settings: &[setting], pairs: &[], trees: trees_of_many(sample), places: &[] };
            let variance =
                forest::variance(&forest::means(&other, &all(&other), asked, &mut chance).single[0]);
            (variance, variance)
        })
    }

    /// Compares what `shown(0)` has first with that of `shown` of 1, 2 and so on, up to `orders`. What it has second
    /// is the variance.
    fn among(orders: usize, shown: &mut dyn FnMut(usize) -> (f64, f64)) -> Self {
        let (observed, _) = shown(0);
        let (mut exceeded, mut sum) = (0, 0.0);
        for order in 1..=orders {
            let (figure, variance) = shown(order);
            sum += variance;
            exceeded += usize::from(figure >= observed * (1.0 - ROUNDING));
            if exceeded >= EXCEEDED_ENOUGH && order >= ORDERS_MIN {
                return Self { p_value: count(exceeded) / count(order), by_chance: sum / count(order) };
            }
        }
        Self { p_value: count(exceeded + 1) / count(orders + 1), by_chance: sum / count(orders.max(1)) }
    }
}

/// P-values corrected for their number (Holm 1979, Scandinavian Journal of Statistics 6).
fn corrected(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let (mut corrected, mut least) = (vec![1.0; p_values.len()], 0.0_f64);
    for (rank, &at) in order.iter().enumerate() {
        least = least.max(p_values[at] * count(p_values.len() - rank)).min(1.0);
        corrected[at] = least;
    }
    corrected
}

/// What the two most important settings did together.
fn together(sample: &Sample, effects: &[Effect], shown: &Means, asked: Asked<'_>) -> Option<Together> {
    let mut order: Vec<usize> = (0..effects.len()).collect();
    order.sort_by(|&a, &b| effects[b].importance.mean.total_cmp(&effects[a].importance.mean));
    let &[first, second, ..] = order.as_slice() else { return None };
    let columns = sample.axes[second].slots_of_pair();
    let pairs = [(first, second)];
    let asked = Asked { settings: &[], pairs: &pairs, ..asked };
    let variance = |means: &Means| forest::interaction(&means.pairs[0], columns);
    let pair = forest::means(sample, &all(sample), asked, &mut Chance::new(&["effects", "pair"]));
    let halves = halves(sample, Asked { trees: trees_of_many(sample), ..asked });
    let shares: Vec<f64> = halves.iter().map(|half| variance(&half.means) / half.whole).collect();
    let test = test_together(sample, shown, pairs[0], columns);
    let whole = pair.variance.max(f64::MIN_POSITIVE);
    let importance = importance(variance(&pair), whole, test.by_chance, spread(&shares));
    Some(Together { settings: pairs[0], importance, p_value: test.p_value })
}

/// Compares two settings together with residuals in random order: what is left of the figures without the sum of all
/// single effects.
///
/// What is compared is the share of the interaction in the residuals. In a grid of two settings with one trial in each
/// cell it is all of them in every order: an interaction cannot be told from noise there. The test is approximate,
/// since residuals are those of an estimate.
fn test_together(sample: &Sample, shown: &Means, pair: (usize, usize), columns: usize) -> Test {
    let sums = additive(sample, shown);
    let residuals: Vec<f64> = sample.figures.iter().zip(&sums).map(|(figure, sum)| figure - sum).collect();
    let settings: Vec<usize> = (0..sample.axes.len()).collect();
    let asked = Asked { settings: &settings, pairs: &[pair], trees: trees_of_many(sample), places: &[] };
    let mut other = sample.clone();
    Test::among(ORDERS, &mut |order| {
        let mut chance = Chance::new(&["effects", "together", &order.to_string()]);
        if order > 0 {
            let mut from = residuals.clone();
            chance.shuffle(&mut from);
            other.figures = sums.iter().zip(&from).map(|(sum, residual)| sum + residual).collect();
        }
        let means = forest::means(&other, &all(&other), asked, &mut chance);
        let left: Vec<f64> =
            other.figures.iter().zip(additive(&other, &means)).map(|(figure, sum)| figure - sum).collect();
        let variance = forest::interaction(&means.pairs[0], columns);
        (variance / forest::variance(&left).max(f64::MIN_POSITIVE), variance)
    })
}

/// For each point the sum of what each setting does by itself.
fn additive(sample: &Sample, shown: &Means) -> Vec<f64> {
    let mean = sample.mean();
    let single = |point: usize| {
        let effect = |(at, means): (usize, &Vec<f64>)| {
            let slots = means.len();
            let center = means.iter().sum::<f64>() / count(slots.max(1));
            let slot = sample.axes[at].slot(sample.columns[at][point], slots);
            means.get(slot).map_or(0.0, |mean| mean - center)
        };
        mean + shown.single.iter().enumerate().map(effect).sum::<f64>()
    };
    (0..sample.len()).map(single).collect()
}
