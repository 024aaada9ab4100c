//! The learning rate of each step.

use crate::{
    numbers::count_u64,
    settings::{Schedule, Settings},
};

/// A linear warm-up from 0, and then the schedule.
//
// As `get_{linear,cosine,constant}_schedule_with_warmup` in `transformers` (`optimization.py`). With W warm-up steps of N
// and the peak η, step t, counted from 0, has the rate η · t / W for t < W, and after that, with the progress
// p = (t − W) / (N − W), linear η (1 − p), cosine η (1 + cos πp) / 2 (Loshchilov and Hutter 2017, arXiv 1608.03983,
// without restarts), or constant η.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LearningRate {
    peak: f64,
    warmup_steps: u64,
    steps: u64,
    schedule: Schedule,
}

impl LearningRate {
    /// The rate of a training of `steps` optimiser steps.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a step count")]
    pub(crate) fn new(settings: &Settings, steps: u64) -> Self {
        let warmup_steps = (settings.warmup_ratio * count_u64(steps)).ceil() as u64;
        Self { peak: settings.learning_rate, warmup_steps, steps, schedule: settings.schedule }
    }

    /// Whether the rate still rises at `step`, counted from 0.
    pub(crate) fn is_warming_up(&self, step: u64) -> bool {
        step < self.warmup_steps
    }

    /// The rate of `step`, counted from 0. With warm-up the first step has the rate 0, as in `transformers`.
    pub(crate) fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * count_u64(step) / count_u64(self.warmup_steps);
        }
        let rest = count_u64((self.steps - self.warmup_steps).max(1));
        let progress = (count_u64(step - self.warmup_steps) / rest).min(1.0);
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
    fn a_cosine_falls_to_zero_by_way_of_a_half() {
        let rates = rates(Schedule::Cosine);
        assert_eq!([rates[6], rates[10]], [0.5, 0.0]);
    }

    #[test]
    fn a_constant_schedule_stays_at_its_peak() {
        assert_eq!(rates(Schedule::Constant)[2..], [1.0; 9]);
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_peak() {
        let settings = Settings { warmup_ratio: 0.0, ..Settings::default() };
        assert_eq!(LearningRate::new(&settings, 10).at(0), settings.learning_rate);
    }
}
