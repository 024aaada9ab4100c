//! Means of repetitions with their 95 % intervals.

use std::fmt::{Display, Formatter, Result};

/// A mean, and the square of its standard error.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    mean: f64,
    squared_error: f64,
}

impl Sample {
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = count(values.len());
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { mean, squared_error: squares / (n - 1.0).max(1.0) / n }
    }

    /// The mean of the means of tables, each of which weighs the same.
    pub(crate) fn mean_of(samples: &[Self]) -> Self {
        let n = count(samples.len());
        Self {
            mean: samples.iter().map(|sample| sample.mean).sum::<f64>() / n,
            squared_error: samples.iter().map(|sample| sample.squared_error).sum::<f64>() / (n * n),
        }
    }
}

impl Display for Sample {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:+.2} ± {:.2}", self.mean, 1.96 * self.squared_error.sqrt())
    }
}

pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

/// The median of some numbers.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) }
}
