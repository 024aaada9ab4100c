//! The quartiles of figures, for one value of a setting or for a range of values.

/// The quartiles of some figures. A quarter of the figures is at or below `low`, a half at or below `median`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Quartiles {
    /// The quartiles of the finite ones of `figures`, with straight lines between neighbouring figures (type
    /// 7 of Hyndman and Fan 1996). `None` without a finite figure.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.filter(|figure| figure.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let steps = sorted.len().checked_sub(1)? * quarters;
            let (below, rest) = (steps / 4, steps % 4);
            let (low, high) = (sorted.get(below)?, sorted.get(below + 1).or(sorted.last())?);
            #[expect(clippy::cast_precision_loss, reason = "0 to 3")]
            let share = rest as f64 / 4.0;
            Some(low + (high - low) * share)
        };
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }
}

/// Cuts pairs that are sorted by their first figure into at most `count` groups of about equal size. Pairs
/// with an equal first figure stay together.
pub(super) fn groups(sorted: &[(f64, f64)], count: usize) -> Vec<&[(f64, f64)]> {
    let mut groups = Vec::new();
    let mut first = 0;
    for group in 1..=count {
        let mut end = sorted.len() * group / count;
        while end > 0 && end < sorted.len() && sorted[end].0 == sorted[end - 1].0 {
            end += 1;
        }
        if end > first {
            groups.push(&sorted[first..end]);
            first = end;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_on_straight_lines_between_neighbours() {
        let quartiles = Quartiles::of([4.0, 1.0, f64::NAN, 2.0, 3.0].into_iter()).unwrap();
        assert_eq!(quartiles, Quartiles { low: 1.75, median: 2.5, high: 3.25 });
    }

    #[test]
    fn a_single_figure_is_all_quartiles() {
        assert_eq!(Quartiles::of([0.5].into_iter()), Some(Quartiles { low: 0.5, median: 0.5, high: 0.5 }));
        assert_eq!(Quartiles::of(std::iter::empty()), None);
    }

    #[test]
    fn groups_keep_equal_values_together_and_lose_nothing() {
        let pairs: Vec<(f64, f64)> = [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(|x| (x, x)).to_vec();
        let groups = groups(&pairs, 3);
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [3, 1, 3]);
    }
}
