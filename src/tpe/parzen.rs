//! A Parzen estimator: a mixture of one kernel for each observed point and one for what is known beforehand.
//!
//! With n points, kernel i = 0 … n − 1 stands at point i and kernel n, the prior, in the middle of the space. A kernel
//! is a product over the dimensions d, and p(x) is the sum over i of wᵢ ∏ kᵢ(x) with a factor for each d:
//! - **Weights.** The newest 25 points and the prior weigh 1; older points weigh on a line from 1 / n for the oldest one
//!   to 1 (Bergstra, Yamins and Cox 2013). Then they are divided by their sum.
//! - **Numbers.** A normal distribution between the bounds, on a logarithmic scale if the dimension has one. Its
//!   deviation is the greater one of the distances to the neighbouring points (Bergstra et al. 2011); an outermost
//!   point has only one neighbour, since bounds are none, unless it is the only point. It is at most the width of the
//!   range, and at least that divided by min(100, n + 2) ("magic clip"). The prior's is the width of the range.
//! - **Whole numbers.** The mass of such a distribution within half a unit of the number; the range is wider by that.
//! - **Choices.** (c + 1 / (n + 1)) / (1 + C / (n + 1)) of C choices, c being 1 for the point's own one, else 0; the prior
//!   has 1 / C each.
//!
//! A dimension of one value has no part in this.

use std::collections::HashMap;

use super::{
    dimension::Dimension,
    normal::{LOG_SQRT_2_PI, log_mass, log_mass_around, quantile},
};
use crate::{chance::Chance, numbers::count};

/// Points that weigh the full 1.
const RECENT: usize = 25;

/// The mixture.
#[derive(Debug)]
pub(super) struct Parzen {
    /// By kernel: the sum of the weights up to it, the last one being 1 but for rounding.
    cumulated: Vec<f64>,
    /// By kernel: the logarithm of its weight.
    log_weights: Vec<f64>,
    axes: Vec<Axis>,
}

impl Parzen {
    /// The mixture over `points`, the oldest first.
    pub(super) fn new(space: &[Dimension], points: &[&[f64]]) -> Self {
        Self::sorted(space, points, &|_, column| ascending(column))
    }

    /// The mixture, with `order` telling how the values of a dimension ascend: it matters for equal values alone.
    pub(super) fn sorted(
        space: &[Dimension],
        points: &[&[f64]],
        order: &dyn Fn(usize, &[f64]) -> Vec<usize>,
    ) -> Self {
        let mut weights = weights(points.len());
        weights.push(1.0);
        let sum: f64 = weights.iter().sum();
        let mut cumulated = Vec::with_capacity(weights.len());
        for weight in &mut weights {
            *weight /= sum;
            cumulated.push(cumulated.last().unwrap_or(&0.0) + *weight);
        }
        let axes = space.iter().enumerate().map(|(at, dimension)| {
            let column: Vec<f64> = points.iter().map(|point| point[at]).collect();
            Axis::new(*dimension, &column, &|scaled: &[f64]| order(at, scaled))
        });
        let log_weights = weights.iter().map(|weight| libm::log(*weight)).collect();
        Self { cumulated, log_weights, axes: axes.collect() }
    }

    /// ln p(x).
    pub(super) fn log_density(&self, point: &[f64]) -> f64 {
        let mut terms = self.log_weights.clone();
        for (axis, value) in self.axes.iter().zip(point) {
            axis.add_log_density(*value, &mut terms);
        }
        let highest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if highest == f64::NEG_INFINITY {
            return highest;
        }
        let sum: f64 = terms.iter().map(|term| libm::exp(term - highest)).sum();
        libm::log(sum) + highest
    }

    /// A point: of one kernel in all dimensions. Takes one number of the stream for the kernel and one for each
    /// dimension.
    pub(super) fn draw(&self, chance: &mut Chance) -> Vec<f64> {
        let unit = chance.unit();
        let last = self.cumulated.len() - 1;
        let kernel = self.cumulated.partition_point(|sum| *sum <= unit).min(last);
        self.axes.iter().map(|axis| axis.draw(kernel, chance.unit())).collect()
    }
}

/// Weights of `n` points before they are divided by their sum, the oldest first.
fn weights(n: usize) -> Vec<f64> {
    let older = n.saturating_sub(RECENT);
    // From 1 / n to 1 in so many equal steps; a single older point stands at the beginning of the line.
    let (from, steps) = (1.0 / count(n.max(1)), count(older.max(2) - 1));
    let ramp = (0..older).map(|at| from + (1.0 - from) * count(at) / steps);
    ramp.chain(std::iter::repeat_n(1.0, n - older)).collect()
}

/// The places of `values`, ascending; among equal ones in their order.
pub(super) fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    order
}

/// One dimension of all kernels.
#[derive(Debug)]
enum Axis {
    /// A dimension of this one value.
    Constant(f64),
    /// The choices of the points, and how many there are.
    Choices {
        chosen: Vec<f64>,
        choices: usize,
    },
    Numbers(Numbers),
    WholeNumbers(WholeNumbers),
}

impl Axis {
    fn new(dimension: Dimension, column: &[f64], order: &dyn Fn(&[f64]) -> Vec<usize>) -> Self {
        let (low, high) = dimension.bounds();
        if low >= high {
            return Self::Constant(low);
        }
        match dimension {
            Dimension::Categorical(choices) => Self::Choices { chosen: column.to_vec(), choices },
            Dimension::Uniform(..) => {
                Self::Numbers(Numbers::new(Kernels::new(column, (low, high), order), false))
            }
            Dimension::LogUniform(..) => {
                let column: Vec<f64> = column.iter().map(|value| libm::log(*value)).collect();
                let range = (libm::log(low), libm::log(high));
                let mut numbers = Numbers::new(Kernels::new(&column, range, order), true);
                numbers.bounds = (low, high);
                Self::Numbers(numbers)
            }
            Dimension::Int(..) => {
                Self::WholeNumbers(WholeNumbers::new(Kernels::new(column, (low - 0.5, high + 0.5), order)))
            }
        }
    }

    /// Adds each kernel's ln k(`value`) to its term.
    fn add_log_density(&self, value: f64, terms: &mut [f64]) {
        match self {
            Self::Constant(_) => {}
            Self::Choices { chosen, choices } => add_log_choices(chosen, *choices, value, terms),
            Self::Numbers(numbers) => numbers.add_log_density(value, terms),
            Self::WholeNumbers(numbers) => numbers.add_log_density(value, terms),
        }
    }

    /// The value that has `unit` of the distribution of `kernel` below it.
    fn draw(&self, kernel: usize, unit: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Choices { chosen, choices } => draw_choice(chosen, *choices, kernel, unit),
            Self::Numbers(numbers) => numbers.draw(kernel, unit),
            Self::WholeNumbers(numbers) => numbers.draw(kernel, unit),
        }
    }
}

/// The share of a choice that is not the point's own one, and what its own one has in addition.
fn shares(points: usize, choices: usize) -> (f64, f64) {
    let kernels = count(points + 1);
    let sum = 1.0 + count(choices) / kernels;
    (1.0 / kernels / sum, 1.0 / sum)
}

fn add_log_choices(chosen: &[f64], choices: usize, value: f64, terms: &mut [f64]) {
    let (other, own) = shares(chosen.len(), choices);
    let (log_other, log_own) = (libm::log(other), libm::log(other + own));
    let points = chosen.iter().map(|chosen| if *chosen == value { log_own } else { log_other });
    let prior = std::iter::once(-libm::log(count(choices)));
    for (term, log) in terms.iter_mut().zip(points.chain(prior)) {
        *term += log;
    }
}

fn draw_choice(chosen: &[f64], choices: usize, kernel: usize, unit: f64) -> f64 {
    let (mut other, mut own) = shares(chosen.len(), choices);
    if kernel >= chosen.len() {
        (other, own) = (1.0 / count(choices), 0.0);
    }
    let mut sum = 0.0;
    let choice = (0..choices).find(|choice| {
        sum += other + if chosen.get(kernel) == Some(&count(*choice)) { own } else { 0.0 };
        unit < sum
    });
    count(choice.unwrap_or(choices - 1))
}

/// Normal distributions between two bounds.
#[derive(Debug)]
struct Kernels {
    means: Vec<f64>,
    deviations: Vec<f64>,
    low: f64,
    high: f64,
}

impl Kernels {
    /// A kernel for each of `values`, and the prior.
    fn new(values: &[f64], range: (f64, f64), order: &dyn Fn(&[f64]) -> Vec<usize>) -> Self {
        let (low, high) = range;
        let width = high - low;
        let least = width / count(values.len() + 2).min(100.0);
        let order = order(values);
        let mut deviations = vec![width; values.len() + 1];
        for (place, at) in order.iter().enumerate() {
            let value = values[*at];
            let below = place.checked_sub(1).map(|place| value - values[order[place]]);
            let above = order.get(place + 1).map(|next| values[*next] - value);
            let gap = match (below, above) {
                (None, None) => (value - low).max(high - value),
                (Some(gap), None) | (None, Some(gap)) => gap,
                (Some(below), Some(above)) => below.max(above),
            };
            deviations[*at] = gap.clamp(least, width);
        }
        let middle = 0.5 * (low + high);
        let means = values.iter().copied().chain(std::iter::once(middle)).collect();
        Self { means, deviations, low, high }
    }

    /// The logarithm of a kernel's mass between the bounds, before it is cut off there.
    fn log_mass(&self, kernel: usize) -> f64 {
        let (mean, deviation) = (self.means[kernel], self.deviations[kernel]);
        log_mass((self.low - mean) / deviation, (self.high - mean) / deviation)
    }

    /// The logarithm of a kernel's mass within half a unit of `value`, likewise.
    fn log_mass_around(&self, kernel: usize, value: f64) -> f64 {
        let (mean, deviation) = (self.means[kernel], self.deviations[kernel]);
        log_mass_around((value - mean) / deviation, 1.0 / deviation)
    }

    fn draw(&self, kernel: usize, unit: f64) -> f64 {
        let (mean, deviation) = (self.means[kernel], self.deviations[kernel]);
        let standard = quantile(unit, (self.low - mean) / deviation, (self.high - mean) / deviation);
        (mean + deviation * standard).clamp(self.low, self.high)
    }
}

/// Kernels of a dimension of numbers.
#[derive(Debug)]
struct Numbers {
    kernels: Kernels,
    /// By kernel: ln(σ √(2π)) and the logarithm of the mass between the bounds.
    log_scales: Vec<f64>,
    /// Whether means and deviations are of logarithms.
    is_log: bool,
    /// The bounds of values.
    bounds: (f64, f64),
}

impl Numbers {
    fn new(kernels: Kernels, is_log: bool) -> Self {
        let log_scale =
            |(at, deviation): (usize, &f64)| libm::log(*deviation) + LOG_SQRT_2_PI + kernels.log_mass(at);
        let log_scales = kernels.deviations.iter().enumerate().map(log_scale).collect();
        let bounds = (kernels.low, kernels.high);
        Self { kernels, log_scales, is_log, bounds }
    }

    fn add_log_density(&self, value: f64, terms: &mut [f64]) {
        let value = if self.is_log { libm::log(value) } else { value };
        let kernels = self.kernels.means.iter().zip(&self.kernels.deviations).zip(&self.log_scales);
        for (term, ((mean, deviation), log_scale)) in terms.iter_mut().zip(kernels) {
            let standard = (value - mean) / deviation;
            *term += -0.5 * standard * standard - log_scale;
        }
    }

    fn draw(&self, kernel: usize, unit: f64) -> f64 {
        let value = self.kernels.draw(kernel, unit);
        let value = if self.is_log { libm::exp(value) } else { value };
        value.clamp(self.bounds.0, self.bounds.1)
    }
}

/// Kernels of a dimension of whole numbers. Many are equal, and each is computed once.
#[derive(Debug)]
struct WholeNumbers {
    kernels: Kernels,
    /// By kernel: its place in `different`.
    places: Vec<usize>,
    /// By different kernel: the first kernel that is equal to it, and the logarithm of its mass between the bounds.
    different: Vec<(usize, f64)>,
}

impl WholeNumbers {
    fn new(kernels: Kernels) -> Self {
        let mut known = HashMap::new();
        let mut different = Vec::new();
        let mut places = Vec::with_capacity(kernels.means.len());
        for (at, pair) in kernels.means.iter().zip(&kernels.deviations).enumerate() {
            let place = *known.entry((pair.0.to_bits(), pair.1.to_bits())).or_insert_with(|| {
                different.push((at, kernels.log_mass(at)));
                different.len() - 1
            });
            places.push(place);
        }
        Self { kernels, places, different }
    }

    fn add_log_density(&self, value: f64, terms: &mut [f64]) {
        let log_densities: Vec<f64> = self
            .different
            .iter()
            .map(|(kernel, log_all)| self.kernels.log_mass_around(*kernel, value) - log_all)
            .collect();
        for (term, place) in terms.iter_mut().zip(&self.places) {
            *term += log_densities[*place];
        }
    }

    fn draw(&self, kernel: usize, unit: f64) -> f64 {
        let (low, high) = (self.kernels.low + 0.5, self.kernels.high - 0.5);
        (low + (self.kernels.draw(kernel, unit) - low).round_ties_even()).clamp(low, high)
    }
}
