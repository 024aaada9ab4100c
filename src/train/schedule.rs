//! The learning rate of each step.

use crate::settings::{Schedule, Settings};

/// Warm-up from 0, then the schedule, as `transformers`' `get_*_schedule_with_warmup`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LearningRate {
    peak: f64,
    warmup_steps: u64,
    steps: u64,
    schedule: Schedule,
}

#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
impl LearningRate {
    /// For `steps` optimiser steps in all.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a step count")]
    pub(crate) fn new(settings: &Settings, steps: u64) -> Self {
        let warmup_steps = (settings.warmup_ratio * steps as f64).ceil() as u64;
        Self { peak: settings.learning_rate, warmup_steps, steps, schedule: settings.schedule }
    }

    /// The rate of `step`, counted from 0: the first is 0 when there is warm-up, as in `transformers`.
    pub(crate) fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let rest = (self.steps - self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / rest).min(1.0);
        self.peak
            * match self.schedule {
                Schedule::Linear => 1.0 - progress,
                Schedule::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * progress).cos()),
                Schedule::Constant => 1.0,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule) -> Vec<f64> {
        let settings = Settings { learning_rate: 1.0, warmup_ratio: 0.2, schedule, ..Settings::default() };
        let rate = LearningRate::new(&settings, 10);
        (0..=10).map(|step| (rate.at(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn the_linear_schedule_is_that_of_transformers() {
        // get_linear_schedule_with_warmup(optimizer, 2, 10)
        assert_eq!(
            rates(Schedule::Linear),
            [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]
        );
    }

    #[test]
    fn a_cosine_falls_to_zero_and_a_constant_stays() {
        assert_eq!(rates(Schedule::Cosine)[6], 0.5);
        assert_eq!(rates(Schedule::Cosine)[10], 0.0);
        assert_eq!(rates(Schedule::Constant)[2..], [1.0; 9]);
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_peak() {
        let settings = Settings { warmup_ratio: 0.0, ..Settings::default() };
        assert_eq!(LearningRate::new(&settings, 10).at(0), settings.learning_rate);
    }
}
