//! The range of numbers that an axis shows, and its ticks.

use crate::{leaderboard::figures, plan::Scale, settings::Value};

/// Factor between the largest and the least value of a setting above which its axis is logarithmic. Below it,
/// values keep enough distance on a linear axis.
const LOG_FACTOR: f64 = 10.0;

/// Factor between the largest and the least loss above which their axis is logarithmic.
const LOSS_FACTOR: f64 = 50.0;
/// Least length of an axis of losses, as a share of its upper end.
const LOSS_SPAN_MIN: f64 = 0.1;

/// Largest absolute value of an end: the difference of two ends stays below the largest `f64`, 1.8e308.
const END_MAX: f64 = 1e300;
/// Least end of a logarithmic axis.
const LOG_END_MIN: f64 = 1e-300;
/// Relative distance of two ends below which they count as equal: ticks between them could hardly be distinct
/// numbers, since an `f64` has about 16 digits.
const DISTANCE_MIN: f64 = 1e-12;
/// Share of a step by which a tick may lie outside of the axis: steps are decimal numbers and have no exact
/// binary form, so a tick at the very end may be a little beyond it.
const STEP_TOLERANCE: f64 = 1e-9;

/// A range of numbers, linear or logarithmic. Both ends are finite and differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// The value at which the tick stands.
    pub(super) at: f64,
    /// The text beside the tick.
    pub(super) label: String,
}

impl Axis {
    /// A linear axis from `low` to `high`. Ends that are equal or in the wrong order are moved apart.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let (low, high) = (bounded(low), bounded(high));
        if high > low && high - low > DISTANCE_MIN * (low.abs() + high.abs()) {
            Self { low, high, log: false }
        } else {
            let margin = (0.5 * low.abs()).max(0.5);
            Self { low: low - margin, high: low + margin, log: false }
        }
    }

    /// An axis around the finite ones of `values`, with a margin of this share of their range at both ends.
    ///
    /// Logarithmic when all are positive and the greatest is more than `factor` times the least. From 0 to 1
    /// without any finite value.
    pub(super) fn around(values: impl Iterator<Item = f64>, margin: f64, factor: f64) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self::linear(0.0, 1.0);
        }
        if low > 0.0 && high / low > factor {
            let apart = (high.ln() - low.ln()) * margin;
            // The ends stay positive: a value that underflows to 0 has no finite logarithm.
            let end = |ln: f64| ln.exp().clamp(LOG_END_MIN, END_MAX);
            return Self { low: end(low.ln() - apart), high: end(high.ln() + apart), log: true };
        }
        let apart = (high - low) * margin;
        Self::linear(low - apart, high + apart)
    }

    /// An axis around the values of a setting. It has the scale of the setting's range in the spec; without a
    /// range, the scale follows from the values.
    pub(super) fn of_setting(values: impl Iterator<Item = f64>, scale: Option<Scale>) -> Self {
        let factor = match scale {
            None => LOG_FACTOR,
            Some(Scale::Linear) => f64::INFINITY,
            Some(Scale::Log) => 1.0,
        };
        Self::around(values, 0.06, factor)
    }

    /// An axis from shortly before the first of these epochs to shortly after the last.
    pub(super) fn of_epochs(epochs: impl Iterator<Item = f64>) -> Self {
        let (low, high) = epochs
            .filter(|epoch| epoch.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), epoch| (low.min(epoch), high.max(epoch)));
        if high > low {
            let margin = 0.04 * (high - low);
            Self::linear((low - margin).max(0.0), high + margin)
        } else if low.is_finite() {
            // No whole epoch but the only one: an axis that shows others would promise more evaluations.
            Self::linear(low - 0.5, low + 0.5)
        } else {
            Self::linear(0.0, 1.0)
        }
    }

    /// An axis around the finite ones of these losses. Logarithmic when they differ by a factor of more than
    /// [`LOSS_FACTOR`]. It spans at least the share [`LOSS_SPAN_MIN`] of the greatest loss, so that a loss that
    /// hardly moves looks like one.
    pub(super) fn of_losses(losses: impl Iterator<Item = f64>) -> Self {
        let axis = Self::around(losses, 0.07, LOSS_FACTOR);
        let span = LOSS_SPAN_MIN * axis.high.abs().min(END_MAX);
        if axis.log || axis.high - axis.low >= span {
            return axis;
        }
        let middle = f64::midpoint(axis.low, axis.high);
        Self::linear(middle - span / 2.0, middle + span / 2.0)
    }

    /// Whether the axis is logarithmic.
    pub(super) const fn is_log(&self) -> bool {
        self.log
    }

    /// The position of `value`: 0 at the lower end, 1 at the upper end, and held to that range.
    ///
    /// `None` unless the value is finite (and positive, on a logarithmic axis).
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

    /// At most `count_max` + 1 ticks at round numbers.
    ///
    /// A logarithmic axis has ticks at 1, 2 and 5 times powers of ten, or at fewer of these numbers if they
    /// are too many, or at every second, third … power of ten. If none of these gives at least two ticks, it
    /// has the ticks of a linear axis.
    pub(super) fn ticks(&self, count_max: usize) -> Vec<Tick> {
        let count_max = count_max.max(2);
        if self.log {
            // From the densest ticks to the sparsest.
            for digits in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
                let ticks = self.log_ticks(digits, 1);
                if ticks.len() <= count_max && ticks.len() >= 2 {
                    return ticks;
                }
            }
            for every in [2, 3, 5, 10, 20, 50, 100, 200, 500] {
                let ticks = self.log_ticks(&[1.0], every);
                if (2..=count_max).contains(&ticks.len()) {
                    return ticks;
                }
            }
        }
        self.linear_ticks(count_max).into_iter().filter(|tick| self.position(tick.at).is_some()).collect()
    }

    /// Ticks at whole epochs, if the axis has at least two of them, else at fractions; if all of these `epochs`
    /// are one, only there.
    pub(super) fn epoch_ticks(&self, epochs: impl Iterator<Item = f64>) -> Vec<Tick> {
        let mut epochs = epochs.filter(|epoch| epoch.is_finite());
        if let Some(only) = epochs.next().filter(|first| epochs.all(|epoch| epoch == *first)) {
            return vec![Tick { at: only, label: figures::number(only) }];
        }
        let ticks = self.ticks(12);
        let is_whole = |tick: &&Tick| (tick.at - tick.at.round()).abs() < 1e-9;
        let whole: Vec<Tick> = ticks.iter().filter(is_whole).cloned().collect();
        let short = |tick: Tick| Tick { label: figures::number(tick.at), at: tick.at };
        if whole.len() >= 2 { whole } else { ticks }.into_iter().map(short).collect()
    }

    /// Ticks at `digits` times powers of ten whose exponent is a multiple of `every`.
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

    /// Ticks at multiples of a step, which is the least of 1, 2 and 5 times a power of ten that gives at most
    /// `count_max` intervals: the 1-2-5 series, whose multiples are easy to read.
    fn linear_ticks(&self, count_max: usize) -> Vec<Tick> {
        #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
        let least = (self.high - self.low) / count_max as f64;
        let decade = 10_f64.powf(least.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|digit| digit * decade)
            .find(|step| *step >= least * (1.0 - STEP_TOLERANCE))
            .unwrap_or(10.0 * decade);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, take() bounds"
        )]
        let decimals = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
        let first = (self.low / step - STEP_TOLERANCE).ceil();
        let mut ticks: Vec<Tick> = (0..=count_max)
            .map(|index| {
                #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
                let at = (first + index as f64) * step;
                Tick { at, label: tick_label(at, decimals) }
            })
            .take_while(|tick| tick.at <= self.high + STEP_TOLERANCE * step)
            .collect();
        // Four significant digits may be too few to tell neighbours apart.
        if ticks.windows(2).any(|pair| pair[0].label == pair[1].label) {
            for tick in &mut ticks {
                tick.label = decimal(tick.at, decimals);
            }
        }
        ticks
    }
}

/// `value` held to at most [`END_MAX`] in both directions; 0 if it is not finite.
fn bounded(value: f64) -> f64 {
    if value.is_finite() { value.clamp(-END_MAX, END_MAX) } else { 0.0 }
}

/// The label of a tick, with this many decimals unless the number is long.
fn tick_label(at: f64, decimals: usize) -> String {
    if at != 0.0 && (at.abs() >= 1e5 || decimals > 4) {
        return figures::number(at);
    }
    decimal(at, decimals)
}

/// `at` with this many decimals.
fn decimal(at: f64, decimals: usize) -> String {
    // Negative zero would be shown as -0.
    format!("{:.decimals$}", if at == 0.0 { 0.0 } else { at })
}

/// How the values of a swept setting are placed on a horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spread {
    /// Each of these values has a column, in this order.
    Columns(Vec<Value>),
    /// Values stand on an axis by their size.
    Numbers(Axis),
}

/// The placement of a setting's values, of which there is one for each trial. `scale` is the scale of the
/// setting's range in the spec, if it has a range.
///
/// Texts have columns. So do numbers that repeat, as in a grid: at most eight different ones, each of which
/// has at least two trials on average.
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

    fn labels(axis: Axis, count_max: usize) -> Vec<String> {
        axis.ticks(count_max).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers_with_equal_decimals() {
        assert_eq!(labels(Axis::linear(0.13, 0.71), 6), ["0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]);
        assert_eq!(labels(Axis::linear(-0.1, 0.1), 5), ["-0.10", "-0.05", "0.00", "0.05", "0.10"]);
        assert_eq!(labels(Axis::linear(0.0, 2e6), 4), ["0", "500000", "1000000", "1500000", "2000000"]);
    }

    #[test]
    fn ticks_at_different_numbers_have_different_labels() {
        let ticks = labels(Axis::linear(0.722_41, 0.722_53), 6);
        assert!(ticks.len() > 3 && ticks.windows(2).all(|pair| pair[0] != pair[1]), "{ticks:?}");
    }

    #[test]
    fn losses_that_hardly_move_do_not_fill_their_axis() {
        let axis = Axis::of_losses([0.722_4, 0.722_5].into_iter());
        let ends = [0.722_4, 0.722_5].map(|loss| axis.position(loss).unwrap());
        assert!(ends[1] - ends[0] < 0.01 && ends[0] > 0.4 && ends[1] < 0.6, "{ends:?}");
    }

    #[test]
    fn a_single_epoch_has_the_only_tick() {
        let axis = Axis::of_epochs([1.0, 1.0].into_iter());
        let ticks = axis.epoch_ticks([1.0, f64::NAN, 1.0].into_iter());
        assert_eq!(ticks, [Tick { at: 1.0, label: "1".to_owned() }]);
        assert_eq!(axis.position(1.0), Some(0.5));
    }

    #[test]
    fn learning_rates_have_ticks_at_ones_and_threes() {
        let axis = Axis::of_setting([1e-5, 3e-4].into_iter(), None);
        assert!(axis.is_log());
        assert_eq!(labels(axis, 4), ["1e-5", "3e-5", "1e-4", "3e-4"]);
    }

    #[test]
    fn a_factor_of_ten_stays_linear() {
        assert!(!Axis::of_setting([0.01, 0.1].into_iter(), None).is_log());
    }

    #[test]
    fn zero_is_never_on_a_logarithmic_axis() {
        assert!(!Axis::of_setting([0.0, 100.0].into_iter(), None).is_log());
        assert!(!Axis::of_setting([-1.0, 100.0].into_iter(), None).is_log());
    }

    #[test]
    fn an_axis_has_the_scale_of_the_range_in_the_spec() {
        let axis = |ends: [f64; 2], scale| Axis::of_setting(ends.into_iter(), Some(scale));
        assert!(axis([1e-3, 2e-3], Scale::Log).is_log() && !axis([1e-4, 1.0], Scale::Linear).is_log());
        assert!(!axis([0.0, 1.0], Scale::Log).is_log(), "0 has no logarithm");
    }

    #[test]
    fn a_short_logarithmic_axis_has_ticks() {
        let ticks = Axis::of_setting([1e-3, 2e-3].into_iter(), Some(Scale::Log)).ticks(6);
        assert!((2..=7).contains(&ticks.len()), "{ticks:?}");
    }

    #[test]
    fn every_range_of_numbers_has_a_tick_but_not_too_many() {
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
    fn the_epoch_axis_has_whole_ticks_and_none_at_an_epoch_that_was_not_trained() {
        let labels = |epochs: &[f64]| -> Vec<String> {
            let ticks = Axis::of_epochs(epochs.iter().copied()).epoch_ticks(epochs.iter().copied());
            ticks.into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels(&[1.0]), ["1"]);
        assert_eq!(labels(&[0.5]), ["0.5"]);
        assert_eq!(labels(&[1.0, 2.0, 3.0]), ["1", "2", "3"]);
    }

    #[test]
    fn positions_are_held_to_the_ends() {
        let axis = Axis::linear(0.0, 2.0);
        assert_eq!(axis.position(1.0), Some(0.5));
        assert_eq!(axis.position(9.0), Some(1.0));
    }

    #[test]
    fn a_value_that_is_not_a_number_has_no_position() {
        assert_eq!(Axis::linear(0.0, 2.0).position(f64::NAN), None);
    }

    #[test]
    fn the_values_of_a_grid_have_columns_in_order() {
        let grid: Vec<Value> = [0.3, 0.1, 0.3, 0.1].map(Value::Float).to_vec();
        assert_eq!(spread(&grid, None), Spread::Columns(vec![Value::Float(0.1), Value::Float(0.3)]));
    }

    #[test]
    fn random_draws_have_an_axis() {
        let draws: Vec<Value> = (1..9).map(|draw| Value::Float(f64::from(draw) * 1e-5)).collect();
        assert!(matches!(spread(&draws, None), Spread::Numbers(axis) if !axis.is_log()));
    }

    #[test]
    fn numbers_stand_before_texts() {
        let mixed = [Value::Text("encoder".to_owned()), Value::Int(2), Value::Int(0)];
        assert!(matches!(spread(&mixed, None), Spread::Columns(columns) if columns[0] == Value::Int(0)));
    }

    #[test]
    fn without_a_value_there_is_no_column() {
        assert_eq!(spread(&[], None), Spread::Columns(Vec::new()));
    }
}
