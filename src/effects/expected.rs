//! The best figure that so many random trials would have found.

use serde::Serialize;

use crate::numbers::count;

/// Draws below which nothing is said.
pub const DRAWS_MIN: usize = 8;
/// Numbers of trials for which the best is computed, at most.
const STEPS_MAX: usize = 60;

/// The best of so many random draws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExpectedBest {
    /// The number of draws.
    pub draws: usize,
    /// The expected best figure.
    pub mean: f64,
    /// In one of twenty choices of so many draws, the best is below this.
    pub low: f64,
    /// In one of twenty choices, it is above this.
    pub high: f64,
}

/// The best of 1, 2 … draws, up to all of them.
///
/// The mean over all choices of n of the N draws: the sum over the figures in ascending order of
/// `v_i` C(i − 1, n − 1) / C(N, n), which is without bias for independent draws. (Dodge and others 2019, "Show Your Work",
/// take the choices with replacement, which is too low: Tang and others 2020, "Showing Your Work Doesn't Always
/// Work", section 3.) `low` and `high` are quantiles over the same choices.
///
/// Empty with fewer than [`DRAWS_MIN`] figures.
#[must_use]
pub fn expected_best(figures: &[f64]) -> Vec<ExpectedBest> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|figure| figure.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    if sorted.len() < DRAWS_MIN {
        Vec::new()
    } else {
        steps(sorted.len()).map(|n| best_of(&sorted, n)).collect()
    }
}

/// Numbers from 1 to `last`: each one, or about [`STEPS_MAX`] whose ratios are alike.
fn steps(last: usize) -> impl Iterator<Item = usize> {
    let ratio = count(last).powf(1.0 / count(STEPS_MAX));
    let next = move |&n: &usize| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of trials")]
        let next = (count(n) * ratio) as usize;
        let next = if last <= STEPS_MAX { n + 1 } else { next.max(n + 1) };
        (n < last).then_some(next.min(last))
    };
    std::iter::successors(Some(1), next)
}

/// The best of `n` of these figures, which ascend; `n` is 1 to their number.
fn best_of(sorted: &[f64], n: usize) -> ExpectedBest {
    let all = sorted.len();
    // The chance that figure i of N, from 1, is the best of n: C(i − 1, n − 1) / C(N, n). It is n / N for the last
    // one, and falls by (i − n) / (i − 1) from i to i − 1.
    let (mut chance, mut above) = (count(n) / count(all), 0.0);
    let (mut mean, mut low, mut high) = (0.0, None, None);
    for i in (n..=all).rev() {
        let figure = sorted[i - 1];
        mean += chance * figure;
        above += chance;
        high = high.or_else(|| (above > 0.05 + 1e-12).then_some(figure));
        low = low.or_else(|| (above > 0.95 + 1e-12).then_some(figure));
        chance *= count(i - n) / count((i - 1).max(1));
    }
    let least = sorted[n - 1];
    ExpectedBest { draws: n, mean, low: low.unwrap_or(least), high: high.unwrap_or(least) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_two_of_four_is_the_mean_over_the_six_pairs() {
        // The pairs of 1, 2, 4, 8 have the maxima 2, 4, 8, 4, 8, 8.
        let best = best_of(&[1.0, 2.0, 4.0, 8.0], 2);
        assert!((best.mean - 34.0 / 6.0).abs() < 1e-12, "{best:?}");
    }

    #[test]
    fn the_best_of_one_is_the_mean_and_of_all_the_largest() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert!((best_of(&sorted, 1).mean - 3.75).abs() < 1e-12);
        assert!((best_of(&sorted, 4).mean - 8.0).abs() < 1e-12);
    }

    #[test]
    fn the_best_of_three_of_ten_is_that_of_all_choices() {
        let figures: Vec<f64> = (0..10_u32).map(|x| f64::from(x * x % 17)).collect();
        let mut sum = 0.0;
        for a in 0..10 {
            for b in 0..a {
                for c in 0..b {
                    sum += figures[a].max(figures[b]).max(figures[c]);
                }
            }
        }
        let best = expected_best(&figures)[2];
        assert_eq!(best.draws, 3);
        assert!((best.mean - sum / 120.0).abs() < 1e-12, "{best:?}");
    }

    #[test]
    fn the_expected_best_never_falls() {
        let figures: Vec<f64> = (0..5_000_u32).map(|x| f64::from(x * 7_919 % 5_000)).collect();
        let best = expected_best(&figures);
        assert!(best.len() <= STEPS_MAX + 2 && best.last().unwrap().draws == 5_000, "{}", best.len());
        assert!(best.windows(2).all(|pair| pair[0].mean <= pair[1].mean && pair[0].low <= pair[1].low));
    }

    #[test]
    fn of_too_few_draws_nothing_is_said() {
        assert_eq!(expected_best(&[0.5; DRAWS_MIN - 1]), []);
    }
}
