//! When a trial stops, and which of its evaluations is the best.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::Scores,
    settings::{Monitor, Settings},
};

/// Follows the monitored figure of a trial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    min_delta: f64,
    best: Option<f64>,
    without_improvement: usize,
}

/// What an [`EarlyStopping`] has seen: all of it that a resumed trial needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The bits of the best figure, higher being better; a figure may be one that JSON has no word for.
    best: Option<u64>,
    without_improvement: usize,
}

/// What an evaluation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// It is the best so far: its parameters are to be kept.
    pub(crate) best: bool,
    /// Patience has run out.
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

    /// What it has seen.
    pub(crate) fn standing(&self) -> Standing {
        Standing { best: self.best.map(f64::to_bits), without_improvement: self.without_improvement }
    }

    /// Goes on from what another one has seen.
    pub(crate) fn resume(&mut self, standing: Standing) {
        self.best = standing.best.map(f64::from_bits);
        self.without_improvement = standing.without_improvement;
    }

    /// Judges the next evaluation. A figure that is not finite never improves, but the first
    /// evaluation is the best so far whatever it is, so that there always are best parameters.
    pub(crate) fn judge(&mut self, validation: &Scores) -> Judgement {
        // Higher is better from here on.
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
    fn a_loss_that_is_not_a_number_never_improves_but_is_followed_by_any_that_is() {
        let judged = judge_losses(3, 0.0, &[f64::NAN, f64::NAN, 0.7, f64::INFINITY]);
        assert_eq!(judged, [(true, false), (false, false), (true, false), (false, false)]);
    }
}
