//! One random tree: boxes of settings with a figure for each.
//!
//! Each box is cut at a random place of each setting, and the cut that leaves the least variance is kept
//! (extremely randomised trees: Geurts, Ernst and Wehenkel 2006, Machine Learning 63). Boxes are cut until each has
//! one point, or points with the same values. So on a whole grid every tree has exactly the cells' means, and its
//! analysis of variance is that of the grid.

use super::sample::{Axis, Sample, level};
use crate::{chance::Chance, numbers::count};

/// The values of a setting in a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Span {
    /// From above the first to the second, as shares of the range.
    Interval(f64, f64),
    /// A bit for each value.
    Levels(u64),
}

/// A box, and the mean figure of its points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub(super) spans: Vec<Span>,
    pub(super) figure: f64,
}

impl Span {
    fn whole(axis: Axis) -> Self {
        match axis {
            Axis::Numbers => Self::Interval(0.0, 1.0),
            Axis::Levels { count, .. } => Self::Levels(lowest(count)),
        }
    }

    /// The share of the setting's values that the box has.
    pub(super) fn weight(self, axis: Axis) -> f64 {
        match self {
            Self::Interval(low, high) => high - low,
            Self::Levels(bits) => f64::from(bits.count_ones()) / count(axis.slots().max(1)),
        }
    }

    pub(super) fn has(self, value: f64) -> bool {
        match self {
            Self::Interval(low, high) => (low < value || low == 0.0) && value <= high,
            Self::Levels(bits) => bits >> level(value) & 1 == 1,
        }
    }
}

/// A word with this many of its lowest bits set.
fn lowest(bits: usize) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Points on each side of a cut through a range, at the least: a box of one point would have its noise for a figure.
const SIDE_MIN: usize = 2;

/// A box that may be cut.
struct Open {
    rows: Vec<usize>,
    spans: Vec<Span>,
}

/// A cut of a box.
struct Cut {
    setting: usize,
    left: Span,
    right: Span,
    /// The larger, the less variance is left.
    gain: f64,
}

/// The leaves of a tree over these points of `sample`; none without a point.
pub(super) fn grow(sample: &Sample, rows: Vec<usize>, chance: &mut Chance) -> Vec<Leaf> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut leaves = Vec::with_capacity(rows.len());
    let mut open = vec![Open { rows, spans: sample.axes.iter().map(|&axis| Span::whole(axis)).collect() }];
    while let Some(node) = open.pop() {
        match best_cut(sample, &node, chance) {
            None => {
                let sum: f64 = node.rows.iter().map(|&row| sample.figures[row]).sum();
                leaves.push(Leaf { figure: sum / count(node.rows.len()), spans: node.spans });
            }
            Some(Cut { setting, left, right, .. }) => {
                let column = &sample.columns[setting];
                let (here, there) = node.rows.into_iter().partition(|&row| left.has(column[row]));
                let mut spans = node.spans.clone();
                spans[setting] = right;
                open.push(Open { rows: there, spans });
                spans = node.spans;
                spans[setting] = left;
                open.push(Open { rows: here, spans });
            }
        }
    }
    leaves
}

/// The best of one random cut for each setting; `None` if the points have the same figure or the same values.
fn best_cut(sample: &Sample, node: &Open, chance: &mut Chance) -> Option<Cut> {
    let (first, others) = node.rows.split_first()?;
    if others.iter().all(|&row| sample.figures[row] == sample.figures[*first]) {
        return None;
    }
    let mut best: Option<Cut> = None;
    for (setting, column) in sample.columns.iter().enumerate() {
        let axis = sample.axes[setting];
        let Some((left, right)) = random_cut(axis, node.spans[setting], column, &node.rows, chance) else {
            continue;
        };
        let gain = gain(sample, &node.rows, column, left);
        if best.as_ref().is_none_or(|best| gain > best.gain) {
            best = Some(Cut { setting, left, right, gain });
        }
    }
    best
}

/// The sum of both sides' squared sums over their numbers: the total less this is the variance that is left.
fn gain(sample: &Sample, rows: &[usize], column: &[f64], left: Span) -> f64 {
    let mut sides = [(0.0, 0_usize); 2];
    for &row in rows {
        let (sum, points) = &mut sides[usize::from(left.has(column[row]))];
        *sum += sample.figures[row];
        *points += 1;
    }
    sides.iter().filter(|(_, points)| *points > 0).map(|(sum, points)| sum * sum / count(*points)).sum()
}

/// A random cut between the values of these points, if they have two.
fn random_cut(
    axis: Axis,
    span: Span,
    column: &[f64],
    rows: &[usize],
    chance: &mut Chance,
) -> Option<(Span, Span)> {
    match (axis, span) {
        (Axis::Numbers, Span::Interval(from, to)) => {
            let (low, high) = second_from_both_ends(rows.iter().map(|&row| column[row]))?;
            let cut = low + chance.unit() * (high - low);
            (low < high && cut < high).then_some((Span::Interval(from, cut), Span::Interval(cut, to)))
        }
        (Axis::Levels { is_ordered, .. }, Span::Levels(bits)) => {
            let present = rows.iter().fold(0_u64, |present, &row| present | 1 << level(column[row]));
            if present.count_ones() < 2 {
                return None;
            }
            let left =
                if is_ordered { up_to_a_level(present, chance) } else { some_levels(present, chance) } & bits;
            Some((Span::Levels(left), Span::Levels(bits & !left)))
        }
        // A span is that of its axis.
        (Axis::Numbers, Span::Levels(_)) | (Axis::Levels { .. }, Span::Interval(..)) => None,
    }
}

/// The second lowest and the second highest of some numbers: between them a cut leaves [`SIDE_MIN`] on both sides.
fn second_from_both_ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut low, mut high) = ([f64::INFINITY; SIDE_MIN], [f64::NEG_INFINITY; SIDE_MIN]);
    for value in values {
        if value < low[1] {
            low = [low[0].min(value), low[0].max(value)];
        }
        if value > high[1] {
            high = [high[0].max(value), high[0].min(value)];
        }
    }
    (low[1] < f64::INFINITY && high[1] > f64::NEG_INFINITY).then_some((low[1], high[1]))
}

/// All levels up to a random one, below the highest of `present` and from its lowest on.
fn up_to_a_level(present: u64, chance: &mut Chance) -> u64 {
    let (low, high) = (present.trailing_zeros(), present.ilog2());
    let cut = u64::from(low) + chance.below(u64::from(high - low));
    u64::MAX >> (63 - cut)
}

/// Random levels: some of `present`, and not all of it.
fn some_levels(present: u64, chance: &mut Chance) -> u64 {
    let drawn = chance.below(u64::MAX);
    if drawn & present != 0 && !drawn & present != 0 { drawn } else { present & present.wrapping_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid of three ordered levels and two others, whose figure is 10 times the first index plus the second.
    fn grid() -> Sample {
        let points: Vec<(f64, f64)> =
            (0..6).map(|point| (f64::from(point / 2), f64::from(point % 2))).collect();
        Sample {
            axes: vec![
                Axis::Levels { count: 3, is_ordered: true },
                Axis::Levels { count: 2, is_ordered: false },
            ],
            columns: vec![
                points.iter().map(|point| point.0).collect(),
                points.iter().map(|point| point.1).collect(),
            ],
            figures: points.iter().map(|point| 10.0 * point.0 + point.1).collect(),
        }
    }

    #[test]
    fn a_tree_of_a_whole_grid_has_a_leaf_for_each_cell() {
        let sample = grid();
        let leaves = grow(&sample, (0..6).collect(), &mut Chance::new(&["tree"]));
        assert_eq!(leaves.len(), 6);
        for row in 0..6 {
            let is_there = |leaf: &&Leaf| {
                leaf.spans.iter().zip(&sample.columns).all(|(span, column)| span.has(column[row]))
            };
            let leaf: Vec<&Leaf> = leaves.iter().filter(is_there).collect();
            assert_eq!((leaf.len(), leaf[0].figure), (1, sample.figures[row]));
        }
    }

    #[test]
    fn the_leaves_of_a_tree_fill_the_space() {
        let mut chance = Chance::new(&["space"]);
        let columns: Vec<Vec<f64>> = (0..3).map(|_| (0..40).map(|_| chance.unit()).collect()).collect();
        let figures = (0..40).map(|_| chance.unit()).collect();
        let sample = Sample { axes: vec![Axis::Numbers; 3], columns, figures };
        let leaves = grow(&sample, (0..40).collect(), &mut chance);
        let volume: f64 = leaves
            .iter()
            .map(|leaf| leaf.spans.iter().map(|span| span.weight(Axis::Numbers)).product::<f64>())
            .sum();
        assert!((volume - 1.0).abs() < 1e-12, "{volume}");
    }

    #[test]
    fn points_with_the_same_values_share_a_leaf_with_their_mean() {
        let sample = Sample {
            axes: vec![Axis::Numbers],
            columns: vec![vec![0.3, 0.3, 0.9, 0.9]],
            figures: vec![1.0, 2.0, 5.0, 7.0],
        };
        let leaves = grow(&sample, vec![0, 1, 2, 3], &mut Chance::new(&["same"]));
        let mut figures: Vec<f64> = leaves.iter().map(|leaf| leaf.figure).collect();
        figures.sort_by(f64::total_cmp);
        assert_eq!(figures, [1.5, 6.0]);
    }
}
