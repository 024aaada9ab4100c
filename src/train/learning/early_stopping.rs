//! When a trial stops, and which of its evaluations is the best.

use serde::{Deserialize, Serialize};

use super::stopping_rule::{Prechelt, SeenBits};
use crate::{
    metrics::Scores,
    settings::{Monitor, Settings},
};

/// Follows the monitored figure of a trial, and the figure whose best epoch is kept.
//
// As Keras' `EarlyStopping` and the `EarlyStoppingCallback` of `transformers`: an evaluation improves when its figure is
// better than the best one by more than `min_delta`, and training stops after `patience` evaluations in a row that do
// not, unless another rule is to stop it. The best evaluation, whose parameters are kept, is the last one that improved, unless `best_epoch` names another
// figure: then it is the one with the best value of that one, and of equal values the one with the lowest loss. F1 has few
// values on few documents, and often reaches 1 while the loss still falls.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    min_delta: f64,
    best: Option<f64>,
    without_improvement: usize,
    /// The figure whose best epoch is kept, if it is another one, and that epoch.
    kept: Option<(Monitor, Option<Kept>)>,
    /// The rule that stops a trial in place of patience, if there is one.
    rule: Option<Prechelt>,
}

/// The epoch that is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kept {
    figure: f64,
    loss: f64,
}

/// The evaluations that an [`EarlyStopping`] has judged, as far as a resumed trial needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The bits of the best figure, of which a higher one is better. As a number it might be one that JSON cannot
    /// express.
    best: Option<u64>,
    without_improvement: usize,
    /// The bits of the best value of the figure whose best epoch is kept, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<u64>,
    /// The bits of the loss there; absent in checkpoints of versions in which the loss did not decide between equal values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_loss: Option<u64>,
    /// What the rule has seen that stops a trial in place of patience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<SeenBits>,
}

/// The judgement of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether the evaluation is the best so far, so that its parameters are kept.
    pub(crate) best: bool,
    /// Whether the trial stops: patience has run out, or another rule says so.
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
            kept: Some(settings.best_epoch.figure(settings.monitor))
                .filter(|figure| *figure != settings.monitor)
                .map(|figure| (figure, None)),
            rule: Prechelt::new(settings),
        }
    }

    /// The state that a resumed trial needs.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            best: self.best.map(f64::to_bits),
            without_improvement: self.without_improvement,
            kept: self.kept.and_then(|(_, best)| best).map(|best| best.figure.to_bits()),
            kept_loss: self.kept.and_then(|(_, best)| best).map(|best| best.loss.to_bits()),
            rule: self.rule.as_ref().map(Prechelt::seen),
        }
    }

    /// Replaces the state by `standing`.
    pub(crate) fn resume(&mut self, standing: Standing) {
        self.best = standing.best.map(f64::from_bits);
        self.without_improvement = standing.without_improvement;
        if let Some((_, best)) = &mut self.kept {
            let loss = standing.kept_loss.map_or(f64::NEG_INFINITY, f64::from_bits);
            *best = standing.kept.map(|figure| Kept { figure: f64::from_bits(figure), loss });
        }
        if let Some((rule, seen)) = self.rule.as_mut().zip(standing.rule) {
            rule.resume(seen);
        }
    }

    /// Judges the next evaluation; `train_loss` is the training loss since the one before. A figure that is not finite never improves. But the first evaluation always counts as
    /// the best so far, so that every trial has best parameters.
    pub(crate) fn judge(&mut self, train_loss: f64, validation: &Scores) -> Judgement {
        let figure = figure(self.monitor, validation);
        let improved = is_better(figure, self.best, self.min_delta);
        if improved {
            self.best = Some(figure);
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
        if let Some(rule) = &mut self.rule {
            rule.judge(train_loss, error(self.monitor, validation));
        }
        let best = self.keep(validation).unwrap_or(improved);
        Judgement { best, stop: self.is_exhausted() }
    }

    /// Whether the evaluation is the best by the figure whose best epoch is kept, if that is another one than the monitored
    /// figure.
    fn keep(&mut self, validation: &Scores) -> Option<bool> {
        let (monitor, best) = self.kept.as_mut()?;
        // Parameters whose loss is not finite are of no use, whatever their F1: any others are better.
        let figure = if validation.loss.is_finite() { figure(*monitor, validation) } else { f64::NAN };
        let improved = is_better(figure, best.map(|best| best.figure), 0.0)
            || best.is_some_and(|best| figure == best.figure && validation.loss < best.loss);
        if improved {
            *best = Some(Kept { figure, loss: validation.loss });
        }
        Some(improved)
    }

    /// Whether patience has run out, or another rule has stopped the trial.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.rule.as_ref().map_or(self.without_improvement >= self.patience, Prechelt::stops)
    }
}

/// The figure, turned so that a higher one is better: the loss with its sign turned.
fn figure(monitor: Monitor, validation: &Scores) -> f64 {
    match monitor {
        Monitor::ValLoss => -validation.loss,
        Monitor::ValF1 => validation.f1,
    }
}

/// The figure as an error, of which a lower one is better.
fn error(monitor: Monitor, validation: &Scores) -> f64 {
    match monitor {
        Monitor::ValLoss => validation.loss,
        Monitor::ValF1 => 1.0 - validation.f1,
    }
}

/// Whether a figure is better than the best one so far by more than `min_delta`.
fn is_better(figure: f64, best: Option<f64>, min_delta: f64) -> bool {
    best.is_none_or(|best| figure.is_finite() && (!best.is_finite() || figure > best + min_delta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::{Confusion, Target},
        settings::{BestEpoch, StopRule},
    };

    /// Settings under which one figure stops a trial and says which epoch is kept.
    fn as_monitored() -> Settings {
        Settings { best_epoch: BestEpoch::Monitor, ..Settings::default() }
    }

    fn judge_losses(patience: usize, min_delta: f64, losses: &[f64]) -> Vec<(bool, bool)> {
        let settings = Settings { patience, min_delta, ..as_monitored() };
        let mut stopping = EarlyStopping::new(&settings);
        losses
            .iter()
            .map(|&loss| {
                let judgement = stopping.judge(0.5, &Scores::new(Confusion::new(2), loss, Target::Class(1)));
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
                through.judge(0.5, &scores(loss));
                before.judge(0.5, &scores(loss));
            }
            let text = serde_json::to_string(&before.standing()).unwrap();
            let mut after = EarlyStopping::new(&settings);
            after.resume(serde_json::from_str(&text).unwrap());
            for &loss in &losses[split..] {
                assert_eq!(through.judge(0.5, &scores(loss)), after.judge(0.5, &scores(loss)));
            }
        }
    }

    /// The scores of a split of which so many documents of a hundred are classified rightly.
    fn scores(right: u64, loss: f64) -> Scores {
        let confusion =
            Confusion::try_from(vec![vec![right, 100 - right], vec![100 - right, right]]).unwrap();
        Scores::new(confusion, loss, Target::Class(1))
    }

    #[test]
    fn the_epoch_that_is_kept_may_follow_another_figure_than_the_one_that_stops() {
        let settings = Settings { patience: 2, best_epoch: BestEpoch::ValF1, ..Settings::default() };
        let judge = |stopping: &mut EarlyStopping, scores: &Scores| {
            let Judgement { best, stop } = stopping.judge(0.5, scores);
            (best, stop)
        };
        let evaluations = [scores(60, 0.5), scores(55, 0.4), scores(70, 0.45), scores(70, 0.46)];
        let expected = [(true, false), (false, false), (true, false), (false, true)];
        let mut stopping = EarlyStopping::new(&settings);
        let judged: Vec<_> = evaluations.iter().map(|scores| judge(&mut stopping, scores)).collect();
        assert_eq!(judged, expected);
        for split in 0..evaluations.len() {
            let mut before = EarlyStopping::new(&settings);
            for scores in &evaluations[..split] {
                judge(&mut before, scores);
            }
            let text = serde_json::to_string(&before.standing()).unwrap();
            let mut after = EarlyStopping::new(&settings);
            after.resume(serde_json::from_str(&text).unwrap());
            let judged: Vec<_> =
                evaluations[split..].iter().map(|scores| judge(&mut after, scores)).collect();
            assert_eq!(judged, expected[split..]);
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

    #[test]
    fn an_epoch_with_a_loss_that_is_not_finite_is_not_kept_for_its_f1() {
        let mut stopping = EarlyStopping::new(&Settings { patience: 3, ..Settings::default() });
        let evaluations = [scores(90, f64::NAN), scores(60, 0.7), scores(95, f64::INFINITY)];
        assert_eq!(evaluations.map(|scores| stopping.judge(0.5, &scores).best), [true, true, false]);
    }

    #[test]
    fn of_equal_f1_the_epoch_with_the_lower_loss_is_kept() {
        let mut stopping = EarlyStopping::new(&Settings { patience: 3, ..Settings::default() });
        let evaluations = [scores(70, 0.5), scores(70, 0.4), scores(70, 0.4), scores(60, 0.3)];
        assert_eq!(evaluations.map(|scores| stopping.judge(0.5, &scores).best), [true, true, false, false]);
    }

    #[test]
    fn a_rule_stops_a_trial_in_place_of_patience() {
        let settings = Settings { rule: StopRule::Gl, alpha: 50.0, patience: 1, ..Settings::default() };
        let mut stopping = EarlyStopping::new(&settings);
        let stops = [0.4, 0.5, 0.59, 0.61]
            .map(|loss| stopping.judge(0.5, &Scores::new(Confusion::new(2), loss, Target::Class(1))).stop);
        assert_eq!(stops, [false, false, false, true]);
    }

    #[test]
    fn under_a_rule_the_best_epoch_is_the_one_that_it_would_be_under_patience() {
        let settings = Settings { rule: StopRule::Up, strip: 1, s: 9, ..as_monitored() };
        let mut stopping = EarlyStopping::new(&settings);
        let best = [0.5, 0.6, 0.4, 0.4]
            .map(|loss| stopping.judge(0.5, &Scores::new(Confusion::new(2), loss, Target::Class(1))).best);
        assert_eq!(best, [true, false, true, false]);
    }

    #[test]
    fn the_state_of_patience_is_written_as_it_always_was() {
        let mut stopping = EarlyStopping::new(&as_monitored());
        stopping.judge(0.5, &scores(60, 0.5));
        let text = serde_json::to_string(&stopping.standing()).unwrap();
        assert_eq!(text, format!("{{\"best\":{},\"without_improvement\":0}}", (-0.5_f64).to_bits()));
    }
}
