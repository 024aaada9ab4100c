//! When a trial stops by the rules of Prechelt (1998, "Early stopping - but when?"), beside patience.
//!
//! With E the validation error after an evaluation and E min the lowest one so far, the generalisation loss is
//! GL = 100 (E / E min − 1). After a strip of k evaluations, whose training losses have the mean m and the minimum l, the
//! training progress is P = 1000 (m / l − 1).
//!
//! - `gl` stops as soon as GL > α.
//! - `pq` stops at the end of a strip if GL / P > α: while training still makes good progress, a higher GL is borne.
//! - `up` stops at the end of a strip if E rose from the end of the strip before, in s strips in a row.
//!
//! The paper counts epochs; here it is evaluations. The error is the monitored figure: the loss, or 1 − F1.

use serde::{Deserialize, Serialize};

use crate::{
    numbers::count,
    settings::{Settings, StopRule},
};

/// Follows the errors of a trial that stops by one of the rules.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prechelt {
    rule: StopRule,
    alpha: f64,
    /// Evaluations of a strip.
    strip: usize,
    /// Strips in a row that end worse than the strip before.
    strips: usize,
    seen: Seen,
}

/// What a rule has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// The lowest finite error.
    lowest: Option<f64>,
    /// Evaluations of the current strip.
    evaluations: usize,
    /// The sum and the least of their training losses.
    train: (f64, f64),
    /// The error at the end of the strip before.
    before: Option<f64>,
    /// Strips in a row that ended worse than the one before.
    rises: usize,
    /// Whether the rule has stopped the trial.
    stop: bool,
}

/// As [`Seen`], with the bits of its numbers: some of them might be none that JSON can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenBits {
    lowest: Option<u64>,
    evaluations: usize,
    train: (u64, u64),
    before: Option<u64>,
    rises: usize,
    stop: bool,
}

impl Seen {
    const NOTHING: Self = Self {
        lowest: None,
        evaluations: 0,
        train: (0.0, f64::INFINITY),
        before: None,
        rises: 0,
        stop: false,
    };
}

impl Prechelt {
    /// The rule of `settings`; `None` where patience stops a trial.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        (settings.rule != StopRule::Patience).then_some(Self {
            rule: settings.rule,
            alpha: settings.alpha,
            strip: settings.strip,
            strips: settings.s,
            seen: Seen::NOTHING,
        })
    }

    /// What a resumed trial needs.
    pub(super) fn seen(&self) -> SeenBits {
        let Seen { lowest, evaluations, train: (sum, least), before, rises, stop } = self.seen;
        SeenBits {
            lowest: lowest.map(f64::to_bits),
            evaluations,
            train: (sum.to_bits(), least.to_bits()),
            before: before.map(f64::to_bits),
            rises,
            stop,
        }
    }

    /// Replaces what was seen.
    pub(super) fn resume(&mut self, seen: SeenBits) {
        let SeenBits { lowest, evaluations, train: (sum, least), before, rises, stop } = seen;
        self.seen = Seen {
            lowest: lowest.map(f64::from_bits),
            evaluations,
            train: (f64::from_bits(sum), f64::from_bits(least)),
            before: before.map(f64::from_bits),
            rises,
            stop,
        };
    }

    /// Judges the next evaluation, of this training loss and this validation error.
    pub(super) fn judge(&mut self, train_loss: f64, error: f64) {
        let seen = &mut self.seen;
        if error.is_finite() {
            seen.lowest = Some(seen.lowest.map_or(error, |lowest| lowest.min(error)));
        }
        seen.evaluations += 1;
        seen.train = (seen.train.0 + train_loss, seen.train.1.min(train_loss));
        let loss = generalisation_loss(error, seen.lowest);
        if self.rule == StopRule::Gl {
            seen.stop |= loss > self.alpha;
        }
        if seen.evaluations == self.strip {
            self.end_strip(loss, error);
        }
    }

    /// Ends a strip whose last evaluation has this generalisation loss and this error.
    fn end_strip(&mut self, loss: f64, error: f64) {
        let seen = &mut self.seen;
        let (sum, least) = seen.train;
        let progress = 1_000.0 * (sum / count(self.strip) / least - 1.0);
        let is_worse = seen.before.is_some_and(|before| !error.is_finite() || error > before);
        seen.rises = if is_worse { seen.rises + 1 } else { 0 };
        match self.rule {
            StopRule::Pq => seen.stop |= quotient(loss, progress) > self.alpha,
            StopRule::Up => seen.stop |= seen.rises >= self.strips,
            StopRule::Gl | StopRule::Patience => {}
        }
        (seen.before, seen.evaluations, seen.train) = (Some(error), 0, Seen::NOTHING.train);
    }

    /// Whether the rule has stopped the trial.
    pub(super) fn stops(&self) -> bool {
        self.seen.stop
    }
}

/// How far `error` lies above the lowest one, in percent; infinite if it is not finite, or if the lowest one is 0.
fn generalisation_loss(error: f64, lowest: Option<f64>) -> f64 {
    match lowest {
        Some(_) if !error.is_finite() => f64::INFINITY,
        Some(lowest) if error > lowest => 100.0 * (error / lowest - 1.0),
        Some(_) | None => 0.0,
    }
}

/// GL / P; without a generalisation loss 0, and without progress infinite.
fn quotient(loss: f64, progress: f64) -> f64 {
    match (loss > 0.0, progress > 0.0) {
        (false, _) => 0.0,
        (true, false) => f64::INFINITY,
        (true, true) => loss / progress,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The evaluation, from 1, after which a trial stops that has these training losses and validation errors.
    fn stops_after(settings: &Settings, points: &[(f64, f64)]) -> Option<usize> {
        let mut rule = Prechelt::new(settings).unwrap();
        let stops = points.iter().position(|(train, error)| {
            rule.judge(*train, *error);
            rule.stops()
        });
        stops.map(|at| at + 1)
    }

    fn gl(alpha: f64) -> Settings {
        Settings { rule: StopRule::Gl, alpha, ..Settings::default() }
    }

    fn pq(alpha: f64, strip: usize) -> Settings {
        Settings { rule: StopRule::Pq, alpha, strip, ..Settings::default() }
    }

    fn up(s: usize, strip: usize) -> Settings {
        Settings { rule: StopRule::Up, s, strip, ..Settings::default() }
    }

    /// Points of these errors, with a training loss that falls by a tenth each time.
    fn falling(errors: &[f64]) -> Vec<(f64, f64)> {
        errors
            .iter()
            .scan(1.0, |train, error| {
                *train *= 0.9;
                Some((*train, *error))
            })
            .collect()
    }

    #[test]
    fn the_generalisation_loss_stops_once_it_is_above_alpha() {
        let errors = falling(&[0.6, 0.5, 0.52, 0.526, 0.4]);
        assert_eq!(stops_after(&gl(5.0), &errors), Some(4));
        assert_eq!(stops_after(&gl(3.9), &errors), Some(3));
        assert_eq!(stops_after(&gl(5.3), &errors), None);
    }

    #[test]
    fn a_loss_that_is_not_finite_stops_by_the_generalisation_loss() {
        assert_eq!(stops_after(&gl(5.0), &falling(&[0.6, f64::NAN])), Some(2));
    }

    #[test]
    fn any_error_above_a_lowest_one_of_zero_stops_by_the_generalisation_loss() {
        assert_eq!(stops_after(&gl(5.0), &falling(&[0.0, 0.0, 0.1])), Some(3));
    }

    #[test]
    fn the_quotient_is_looked_at_only_where_a_strip_ends() {
        // GL is 100 % from the second evaluation on. The training losses of a strip of three are 1, .9 and .8 of the
        // first one: P = 1000 (.9 / .8 − 1) = 125, and GL / P = .8.
        let points = [(1.0, 0.5), (0.9, 1.0), (0.8, 1.0)];
        assert_eq!(stops_after(&pq(0.79, 3), &points), Some(3));
        assert_eq!(stops_after(&pq(0.81, 3), &points), None);
    }

    #[test]
    fn without_progress_of_training_any_generalisation_loss_stops_by_the_quotient() {
        assert_eq!(stops_after(&pq(1e9, 2), &[(0.5, 0.4), (0.5, 0.41)]), Some(2));
        assert_eq!(stops_after(&pq(1e9, 2), &[(0.5, 0.4), (0.5, 0.4)]), None);
    }

    #[test]
    fn the_progress_of_a_strip_is_that_of_its_own_training_losses() {
        // The first strip falls from 1 to .5, the second one is flat.
        let points = [(1.0, 0.5), (0.5, 0.51), (0.5, 0.51), (0.5, 0.51)];
        assert_eq!(stops_after(&pq(1.0, 2), &points), Some(4));
    }

    #[test]
    fn so_many_strips_in_a_row_that_end_worse_stop_a_trial() {
        let errors = falling(&[0.5, 0.5, 0.9, 0.51, 0.1, 0.52, 0.1, 0.53]);
        assert_eq!(stops_after(&up(1, 2), &errors), Some(4));
        assert_eq!(stops_after(&up(2, 2), &errors), Some(6));
        assert_eq!(stops_after(&up(3, 2), &errors), Some(8));
        assert_eq!(stops_after(&up(4, 2), &errors), None);
    }

    #[test]
    fn a_strip_that_ends_no_worse_breaks_the_row() {
        assert_eq!(stops_after(&up(2, 1), &falling(&[0.5, 0.6, 0.6, 0.7, 0.8])), Some(5));
    }

    #[test]
    fn patience_is_none_of_these_rules() {
        assert_eq!(Prechelt::new(&Settings::default()), None);
    }

    proptest! {
        #[test]
        fn a_rule_that_is_resumed_anywhere_stops_where_it_would_have_stopped(
            points in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 1..20),
            kind in 0_usize..3,
            split in 0_usize..20,
        ) {
            let settings = [gl(20.0), pq(0.5, 3), up(2, 2)][kind].clone();
            let mut through = Prechelt::new(&settings).unwrap();
            let mut resumed = through.clone();
            for (at, (train, error)) in points.iter().enumerate() {
                if at == split {
                    let text = serde_json::to_string(&resumed.seen()).unwrap();
                    resumed = Prechelt::new(&settings).unwrap();
                    resumed.resume(serde_json::from_str(&text).unwrap());
                }
                through.judge(*train, *error);
                resumed.judge(*train, *error);
                prop_assert_eq!(&through, &resumed);
            }
        }
    }
}
