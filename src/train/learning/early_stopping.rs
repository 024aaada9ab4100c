//! When a trial stops, and which of its evaluations is the best.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::Scores,
    settings::{Monitor, Settings},
};

/// Follows the monitored figure of a trial.
//
// As Keras' `EarlyStopping` and the `EarlyStoppingCallback` of `transformers`: an evaluation improves when its figure is
// better than the best one by more than `min_delta`, and training stops after `patience` evaluations in a row that do
// not. The best evaluation, whose parameters are kept, is the last one that improved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    min_delta: f64,
    best: Option<f64>,
    without_improvement: usize,
}

/// The evaluations that an [`EarlyStopping`] has judged, as far as a resumed trial needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The bits of the best figure, of which a higher one is better. As a number it might be one that JSON cannot
    /// express.
    best: Option<u64>,
    without_improvement: usize,
}

/// The judgement of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether the evaluation is the best so far, so that its parameters are kept.
    pub(crate) best: bool,
    /// Whether patience has run out.
    pub(crate) stop: bool,
}

impl EarlyStopping {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            monitor: settings.monitor,
            patience: settings.patience,
            min_delta: settings.min_delta,
            best: None,
            without_improvement: 0,
        }
    }

    /// The state that a resumed trial needs.
    pub(crate) fn standing(&self) -> Standing {
        Standing { best: self.best.map(f64::to_bits), without_improvement: self.without_improvement }
    }

    /// Replaces the state by `standing`.
    pub(crate) fn resume(&mut self, standing: Standing) {
        self.best = standing.best.map(f64::from_bits);
        self.without_improvement = standing.without_improvement;
    }

    /// Judges the next evaluation. A figure that is not finite never improves. But the first evaluation always counts as
    /// the best so far, so that every trial has best parameters.
    pub(crate) fn judge(&mut self, validation: &Scores) -> Judgement {
        // The loss with its sign turned, so that a higher figure is better for both.
        let figure = match self.monitor {
            Monitor::ValLoss => -validation.loss,
            Monitor::ValF1 => validation.f1,
        };
        let improved = match self.best {
            None => true,
            Some(best) => figure.is_finite() && (!best.is_finite() || figure > best + self.min_delta),
        };
        if improved {
            self.best = Some(figure);
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
        Judgement { best: improved, stop: self.is_exhausted() }
    }

    /// Whether patience has run out.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.without_improvement >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Confusion, Target};

    fn judge_losses(patience: usize, min_delta: f64, losses: &[f64]) -> Vec<(bool, bool)> {
        let settings = Settings { patience, min_delta, ..Settings::default() };
        let mut stopping = EarlyStopping::new(&settings);
        losses
            .iter()
            .map(|&loss| {
                let judgement = stopping.judge(&Scores::new(Confusion::new(2), loss, Target::Class(1)));
                (judgement.best, judgement.stop)
            })
            .collect()
    }

    #[test]
    fn patience_counts_evaluations_since_the_best_one() {
        let judged = judge_losses(2, 0.0, &[0.5, 0.6, 0.4, 0.4, 0.41]);
        assert_eq!(judged, [(true, false), (false, false), (true, false), (false, false), (false, true)]);
    }

    #[test]
    fn an_improvement_below_min_delta_does_not_count() {
        assert_eq!(judge_losses(1, 0.1, &[0.5, 0.45]), [(true, false), (false, true)]);
    }

    #[test]
    fn a_resumed_one_judges_as_if_it_had_seen_everything() {
        let settings = Settings { patience: 2, ..Settings::default() };
        let scores = |loss| Scores::new(Confusion::new(2), loss, Target::Class(1));
        let losses = [0.5, f64::NAN, 0.6, 0.4];
        for split in 0..losses.len() {
            let mut through = EarlyStopping::new(&settings);
            let mut before = EarlyStopping::new(&settings);
            for &loss in &losses[..split] {
                through.judge(&scores(loss));
                before.judge(&scores(loss));
            }
            let text = serde_json::to_string(&before.standing()).unwrap();
            let mut after = EarlyStopping::new(&settings);
            after.resume(serde_json::from_str(&text).unwrap());
            for &loss in &losses[split..] {
                assert_eq!(through.judge(&scores(loss)), after.judge(&scores(loss)));
            }
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_never_improves() {
        let judged = judge_losses(3, 0.0, &[f64::NAN, f64::NAN]);
        assert_eq!(judged, [(true, false), (false, false)]);
        assert_eq!(judge_losses(3, 0.0, &[0.7, f64::INFINITY])[1], (false, false));
    }

    #[test]
    fn any_finite_loss_improves_on_one_that_is_not() {
        let judged = judge_losses(3, 0.0, &[f64::NAN, f64::NAN, 0.7]);
        assert_eq!(judged[2], (true, false));
    }
}
