//! Which part of the numbers an axis shows, and where its ticks stand.

use crate::{leaderboard::figures, plan::Scale, settings::Value};

/// A factor between the ends of an axis above which it is logarithmic.
const LOG_FACTOR: f64 = 10.0;

/// A stretch of numbers with a way to measure it. Both ends are finite and differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Where.
    pub(super) at: f64,
    /// What stands beside it.
    pub(super) label: String,
}

impl Axis {
    /// From `low` to `high`, evenly. Equal or unordered ends are moved apart.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let (low, high) = (bounded(low), bounded(high));
        if high > low && high - low > 1e-12 * (low.abs() + high.abs()) {
            Self { low, high, log: false }
        } else {
            let margin = (0.5 * low.abs()).max(0.5);
            Self { low: low - margin, high: low + margin, log: false }
        }
    }

    /// Around the finite ones of `values` with a margin; logarithmic when all are positive and
    /// the greatest is more than `factor` times the least. 0 to 1 when there is none.
    pub(super) fn around(values: impl Iterator<Item = f64>, margin: f64, factor: f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self::linear(0.0, 1.0);
        }
        if low > 0.0 && high / low > factor {
            let apart = (high.ln() - low.ln()) * margin;
            // Logarithms of what underflowed to 0 would be infinite.
            let end = |ln: f64| ln.exp().clamp(1e-300, 1e300);
            return Self { low: end(low.ln() - apart), high: end(high.ln() + apart), log: true };
        }
        let apart = (high - low) * margin;
        Self::linear(low - apart, high + apart)
    }

    /// Around the values of a setting, divided as its range was; without a range, by their spacing.
    pub(super) fn of_setting(values: impl Iterator<Item = f64>, scale: Option<Scale>) -> Self {
        let factor = match scale {
            None => LOG_FACTOR,
            Some(Scale::Linear) => f64::INFINITY,
            Some(Scale::Log) => 1.0,
        };
        Self::around(values, 0.06, factor)
    }

    /// From shortly before the first of these epochs to shortly after the last.
    pub(super) fn of_epochs(epochs: impl Iterator<Item = f64>) -> Self {
        let (low, high) = epochs
            .filter(|epoch| epoch.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), epoch| (low.min(epoch), high.max(epoch)));
        if high > low {
            let margin = 0.04 * (high - low);
            Self::linear((low - margin).max(0.0), high + margin)
        } else if low.is_finite() {
            Self::linear(low - 1.0, low + 1.0)
        } else {
            Self::linear(0.0, 1.0)
        }
    }

    /// Whether it is logarithmic.
    pub(super) const fn is_log(&self) -> bool {
        self.log
    }

    /// Where `value` stands, 0 at the lower end to 1 at the upper; held to the ends. `None` unless
    /// finite (and positive, on a logarithmic axis).
    pub(super) fn position(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.log && value <= 0.0) {
            return None;
        }
        let position = if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        Some(position.clamp(0.0, 1.0))
    }

    /// At most about `most` ticks at round numbers.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        let most = most.max(2);
        if self.log {
            // From the densest set to the sparsest.
            for digits in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
                let ticks = self.log_ticks(digits, 1);
                if ticks.len() <= most && ticks.len() >= 2 {
                    return ticks;
                }
            }
            for every in [2, 3, 5, 10, 20, 50, 100, 200, 500] {
                let ticks = self.log_ticks(&[1.0], every);
                if (2..=most).contains(&ticks.len()) {
                    return ticks;
                }
            }
        }
        self.linear_ticks(most).into_iter().filter(|tick| self.position(tick.at).is_some()).collect()
    }

    /// Ticks at whole epochs, as long as two of them can be seen.
    pub(super) fn epoch_ticks(&self) -> Vec<Tick> {
        let ticks = self.ticks(12);
        let is_whole = |tick: &&Tick| (tick.at - tick.at.round()).abs() < 1e-9;
        let whole: Vec<Tick> = ticks.iter().filter(is_whole).cloned().collect();
        let short = |tick: Tick| Tick { label: figures::number(tick.at), at: tick.at };
        if whole.len() >= 2 { whole } else { ticks }.into_iter().map(short).collect()
    }

    fn log_ticks(&self, digits: &[f64], every: i32) -> Vec<Tick> {
        #[expect(clippy::cast_possible_truncation, reason = "exponents of finite numbers")]
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        (first..=last)
            .filter(|exponent| exponent.rem_euclid(every) == 0)
            .flat_map(|exponent| digits.iter().map(move |digit| digit * 10_f64.powi(exponent)))
            .filter(|at| (self.low..=self.high).contains(at))
            .map(|at| Tick { at, label: figures::number(at) })
            .collect()
    }

    fn linear_ticks(&self, most: usize) -> Vec<Tick> {
        #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
        let least = (self.high - self.low) / most as f64;
        let decade = 10_f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|digit| digit * decade)
            .find(|step| *step >= least * (1.0 - 1e-9))
            .unwrap_or(10.0 * decade);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, take() bounds"
        )]
        let decimals = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
        let first = (self.low / step - 1e-9).ceil();
        (0..=most)
            .map(|index| {
                #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
                let at = (first + index as f64) * step;
                Tick { at, label: tick_label(at, decimals) }
            })
            .take_while(|tick| tick.at <= self.high + 1e-9 * step)
            .collect()
    }
}

/// `value` in the range in which differences of ends do not overflow.
fn bounded(value: f64) -> f64 {
    if value.is_finite() { value.clamp(-1e300, 1e300) } else { 0.0 }
}

fn tick_label(at: f64, decimals: usize) -> String {
    if at != 0.0 && (at.abs() >= 1e5 || decimals > 4) {
        return figures::number(at);
    }
    // -0.0 would be shown with its sign.
    format!("{:.decimals$}", if at == 0.0 { 0.0 } else { at })
}

/// How the values of a swept setting stand on a horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spread {
    /// Each value has a column, in this order.
    Columns(Vec<Value>),
    /// By size.
    Numbers(Axis),
}

/// The spread of a setting with these values, one a trial, and the scale of its range, if it has one.
///
/// Texts have columns, and so have numbers that repeat (those of a grid): at most eight
/// different ones, each met at least twice on average.
pub(super) fn spread(values: &[Value], scale: Option<Scale>) -> Spread {
    let mut distinct: Vec<Value> = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(value.clone());
        }
    }
    let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    let repeated = distinct.len() <= 8 && distinct.len() * 2 <= values.len();
    if numbers.len() < values.len() || repeated || distinct.len() <= 1 {
        distinct.sort_by(|a, b| match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (None, None) => a.to_string().cmp(&b.to_string()),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        Spread::Columns(distinct)
    } else {
        Spread::Numbers(Axis::of_setting(numbers.into_iter(), scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers_with_equal_decimals() {
        assert_eq!(labels(Axis::linear(0.13, 0.71), 6), ["0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]);
        assert_eq!(labels(Axis::linear(-0.1, 0.1), 5), ["-0.10", "-0.05", "0.00", "0.05", "0.10"]);
        assert_eq!(labels(Axis::linear(0.0, 2e6), 4), ["0", "500000", "1000000", "1500000", "2000000"]);
    }

    #[test]
    fn learning_rates_have_ticks_at_ones_and_threes() {
        let axis = Axis::of_setting([1e-5, 3e-4].into_iter(), None);
        assert!(axis.is_log());
        assert_eq!(labels(axis, 4), ["1e-5", "3e-5", "1e-4", "3e-4"]);
    }

    #[test]
    fn a_factor_of_ten_stays_linear_and_zero_is_never_on_a_logarithmic_axis() {
        assert!(!Axis::of_setting([0.01, 0.1].into_iter(), None).is_log());
        assert!(!Axis::of_setting([0.0, 100.0].into_iter(), None).is_log());
        assert!(!Axis::of_setting([-1.0, 100.0].into_iter(), None).is_log());
    }

    #[test]
    fn an_axis_is_divided_as_the_range_was_drawn() {
        let axis = |ends: [f64; 2], scale| Axis::of_setting(ends.into_iter(), Some(scale));
        assert!(axis([1e-3, 2e-3], Scale::Log).is_log() && !axis([1e-4, 1.0], Scale::Linear).is_log());
        assert!(!axis([0.0, 1.0], Scale::Log).is_log(), "0 has no logarithm");
        let ticks = axis([1e-3, 2e-3], Scale::Log).ticks(6);
        assert!((2..=7).contains(&ticks.len()), "{ticks:?}");
    }

    #[test]
    fn no_range_of_numbers_is_without_ticks_or_with_too_many() {
        let wild =
            [0.0, -1.0, 1.0, 1e-300, 1e300, -1e300, f64::MAX, f64::NAN, f64::INFINITY, 0.5, 0.5 + 1e-16];
        for low in wild {
            for high in wild {
                for axis in [Axis::linear(low, high), Axis::around([low, high].into_iter(), 0.05, 10.0)] {
                    let ticks = axis.ticks(6);
                    assert!((1..=7).contains(&ticks.len()), "{low} {high} {axis:?} {ticks:?}");
                    assert!(ticks.iter().all(|tick| axis.position(tick.at).is_some()));
                }
            }
        }
    }

    #[test]
    fn the_epoch_axis_has_whole_ticks_even_for_one_evaluation() {
        let labels = |epochs: &[f64]| -> Vec<String> {
            let ticks = Axis::of_epochs(epochs.iter().copied()).epoch_ticks();
            ticks.into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels(&[1.0]), ["0", "1", "2"]);
        assert_eq!(labels(&[1.0, 2.0, 3.0]), ["1", "2", "3"]);
    }

    #[test]
    fn positions_are_held_to_the_ends_and_absent_for_what_is_no_number() {
        let axis = Axis::linear(0.0, 2.0);
        assert_eq!(axis.position(1.0), Some(0.5));
        assert_eq!(axis.position(9.0), Some(1.0));
        assert_eq!(axis.position(f64::NAN), None);
    }

    #[test]
    fn a_grid_has_columns_in_order_and_random_draws_have_an_axis() {
        let grid: Vec<Value> = [0.3, 0.1, 0.3, 0.1].map(Value::Float).to_vec();
        assert_eq!(spread(&grid, None), Spread::Columns(vec![Value::Float(0.1), Value::Float(0.3)]));
        let draws: Vec<Value> = (1..9).map(|draw| Value::Float(f64::from(draw) * 1e-5)).collect();
        assert!(matches!(spread(&draws, None), Spread::Numbers(axis) if !axis.is_log()));
        let mixed = [Value::Text("encoder".to_owned()), Value::Int(2), Value::Int(0)];
        assert!(matches!(spread(&mixed, None), Spread::Columns(columns) if columns[0] == Value::Int(0)));
        assert_eq!(spread(&[], None), Spread::Columns(Vec::new()));
    }
}
