//! Means over a forest of random trees: the effect of one setting, and of two together.
//!
//! A tree is constant in each of its boxes, so its mean over all other settings is exact: the sum of the boxes'
//! figures by the share of the space that they fill (Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for
//! Assessing Hyperparameter Importance", ICML). What is returned is the mean over the trees.

use super::{
    sample::{Axis, Sample},
    tree::{self, Leaf, Span},
};
use crate::{
    chance::Chance,
    numbers::{self, count},
};

/// Most cells of a grid over which its variance is computed.
const CELLS_MAX: usize = 512;
/// Random places of a space that is larger.
const PLACES: usize = 128;

/// The means that are wanted of a forest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Means {
    /// For each setting that was asked for, the mean at each of its slots.
    pub(super) single: Vec<Vec<f64>>,
    /// For each pair that was asked for, the mean at each of the slots of both, those of the second one after
    /// another.
    pub(super) pairs: Vec<Vec<f64>>,
    /// The variance of the forest's figure over the whole space.
    pub(super) variance: f64,
}

/// What is asked of a forest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) settings: &'a [usize],
    pub(super) pairs: &'a [(usize, usize)],
    pub(super) trees: usize,
    /// Places of the space over which the forest's variance is computed.
    pub(super) places: &'a [Vec<f64>],
}

/// The means of a forest over these points of `sample`.
pub(super) fn means(sample: &Sample, rows: &[usize], asked: Asked<'_>, chance: &mut Chance) -> Means {
    let axes = &sample.axes;
    let mut single: Vec<Vec<f64>> = asked.settings.iter().map(|&at| vec![0.0; axes[at].slots()]).collect();
    let size = |&(a, b): &(usize, usize)| axes[a].slots_of_pair() * axes[b].slots_of_pair();
    let mut pairs: Vec<Vec<f64>> = asked.pairs.iter().map(|pair| vec![0.0; size(pair)]).collect();
    let mut figures = vec![0.0; asked.places.len()];
    for _ in 0..asked.trees {
        for leaf in tree::grow(sample, rows.to_vec(), chance) {
            let weights: Vec<f64> =
                leaf.spans.iter().zip(axes).map(|(span, &axis)| span.weight(axis)).collect();
            for (mean, &at) in single.iter_mut().zip(asked.settings) {
                add_single(mean, axes[at], leaf.spans[at], leaf.figure * others(&weights, &[at]));
            }
            for (figure, place) in figures.iter_mut().zip(asked.places) {
                if leaf.spans.iter().zip(place).all(|(span, &value)| span.has(value)) {
                    *figure += leaf.figure;
                }
            }
            for (mean, &pair) in pairs.iter_mut().zip(asked.pairs) {
                add_pair(mean, axes, pair, &leaf, leaf.figure * others(&weights, &[pair.0, pair.1]));
            }
        }
    }
    let trees = count(asked.trees.max(1));
    single.iter_mut().chain(&mut pairs).flatten().chain(&mut figures).for_each(|mean| *mean /= trees);
    Means { single, pairs, variance: variance(&figures) }
}

/// Places that stand for the whole space: every cell of a small grid, else random ones.
pub(super) fn places(axes: &[Axis], chance: &mut Chance) -> Vec<Vec<f64>> {
    let cells = axes.iter().try_fold(1_usize, |cells, axis| match axis {
        Axis::Numbers => None,
        Axis::Levels { count, .. } => cells.checked_mul(*count).filter(|cells| *cells <= CELLS_MAX),
    });
    let Some(cells) = cells else {
        let place = |axis: &Axis, chance: &mut Chance| match axis {
            Axis::Numbers => chance.unit(),
            Axis::Levels { count, .. } => {
                numbers::count_u64(chance.below(u64::try_from(*count).unwrap_or(1)))
            }
        };
        return (0..PLACES).map(|_| axes.iter().map(|axis| place(axis, chance)).collect()).collect();
    };
    let cell = |mut rest: usize| {
        let level = |axis: &Axis| {
            let level = rest % axis.slots().max(1);
            rest /= axis.slots().max(1);
            count(level)
        };
        axes.iter().map(level).collect()
    };
    (0..cells).map(cell).collect()
}

/// The share of the space that a box fills in all settings but these.
fn others(weights: &[f64], but: &[usize]) -> f64 {
    weights.iter().enumerate().filter(|(at, _)| !but.contains(at)).map(|(_, weight)| weight).product()
}

fn add_single(mean: &mut [f64], axis: Axis, span: Span, figure: f64) {
    let slots = mean.len();
    for (slot, mean) in mean.iter_mut().enumerate() {
        if span.has(axis.at(slot, slots)) {
            *mean += figure;
        }
    }
}

fn add_pair(mean: &mut [f64], axes: &[Axis], (a, b): (usize, usize), leaf: &Leaf, figure: f64) {
    let (rows, columns) = (axes[a].slots_of_pair(), axes[b].slots_of_pair());
    let across: Vec<usize> =
        (0..columns).filter(|&slot| leaf.spans[b].has(axes[b].at(slot, columns))).collect();
    for row in (0..rows).filter(|&slot| leaf.spans[a].has(axes[a].at(slot, rows))) {
        for &column in &across {
            mean[row * columns + column] += figure;
        }
    }
}

/// The variance of these means, which count alike.
pub(super) fn variance(means: &[f64]) -> f64 {
    let n = count(means.len().max(1));
    let mean = means.iter().sum::<f64>() / n;
    means.iter().map(|each| (each - mean).powi(2)).sum::<f64>() / n
}

/// The variance of what two settings do together beyond the sum of what each does.
pub(super) fn interaction(pair: &[f64], columns: usize) -> f64 {
    let columns = columns.max(1);
    let rows = pair.len() / columns;
    let mean = pair.iter().sum::<f64>() / count(pair.len().max(1));
    let of_row: Vec<f64> = pair.chunks(columns).map(|row| row.iter().sum::<f64>() / count(columns)).collect();
    let of_column: Vec<f64> = (0..columns)
        .map(|column| pair.iter().skip(column).step_by(columns).sum::<f64>() / count(rows.max(1)))
        .collect();
    let beyond = |(at, figure): (usize, &f64)| {
        (figure - of_row[at / columns] - of_column[at % columns] + mean).powi(2)
    };
    pair.iter().enumerate().map(beyond).sum::<f64>() / count(pair.len().max(1))
}
