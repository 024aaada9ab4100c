//! What the bars of a terminal show: a line for the sweep, and one for each running trial.
//!
//! The state is folded from events; the lines are a function of the state, the time and the width.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    layout::{Part, fit},
    time::{TimeForecast, clock, count, ended, total},
};
use crate::{
    display::plain,
    event::{Evaluation, Event, Outcome, Progress, Record},
    leaderboard::verdict::{Verdict, judge},
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// The share of its steps that a trial must have done before its time is forecast.
const FORECAST_SHARE_MIN: f64 = 0.01;
/// Columns of a shortened name, and of shortened settings, at least.
const NAME_COLUMNS_MIN: usize = 8;
const SETTINGS_COLUMNS_MIN: usize = 12;
/// The same for a running trial, whose progress says more than a few letters of its settings.
const RUNNING_SETTINGS_COLUMNS_MIN: usize = 24;

/// Running trials that have a line. More of them, as when a worker trains many together, might not fit the terminal.
const RUNNING_MAX: usize = 16;

/// The state that the bars show.
pub(super) struct Screen {
    sweep: String,
    begun: Instant,
    forecast: TimeForecast,
    left: Option<Deadline>,
    failed: usize,
    halted: Option<Halted>,
    running: BTreeMap<TrialId, Running>,
    best: Option<Best>,
    /// The workers and jobs of a cluster by state.
    workers: Option<String>,
}

/// The halted trials.
struct Halted {
    trials: usize,
    /// Epochs that they did not train, at most.
    epochs: usize,
}

impl Halted {
    fn of(study: &Study) -> Option<Self> {
        let trials = study.counts().halted;
        (trials > 0).then(|| Self { trials, epochs: study.epochs_saved() })
    }
}

/// A point in time that was forecast.
#[derive(Clone, Copy)]
struct Deadline(Instant);

/// A running trial.
struct Running {
    device: String,
    settings: String,
    progress: Option<Progress>,
    /// The latest evaluation.
    evaluation: Option<Evaluation>,
    /// When the first step of this attempt was seen, and the share of all steps that was done then.
    since: Option<(Instant, f64)>,
    left: Option<Deadline>,
}

/// The best trial so far.
struct Best {
    trial: TrialId,
    val_f1: f64,
    val_loss: f64,
    settings: String,
}

impl Deadline {
    fn after(now: Instant, span: Duration) -> Option<Self> {
        now.checked_add(span).map(Self)
    }

    /// `1:10 left`.
    fn describe(self, now: Instant) -> String {
        format!("{} left", clock(self.0.saturating_duration_since(now)))
    }
}

impl Best {
    /// `record` as a candidate: complete, with a finite F1 and parameters that learned something.
    fn of(record: &TrialRecord) -> Option<Self> {
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete)?;
        let (val_f1, val_loss) = (outcome.validation.f1, outcome.validation.loss);
        let is_useless = judge(record).is_some_and(Verdict::is_unfit);
        let settings = plain(&record.trial.described());
        (val_f1.is_finite() && !is_useless).then_some(Self {
            trial: record.trial.id,
            val_f1,
            val_loss,
            settings,
        })
    }

    fn is_better_than(&self, other: &Self) -> bool {
        self.val_f1.total_cmp(&other.val_f1).then(other.val_loss.total_cmp(&self.val_loss)).is_gt()
    }
}

impl Screen {
    pub(super) fn new(study: &Study, now: Instant) -> Self {
        let mut screen = Self {
            sweep: plain(&study.sweep),
            begun: now,
            forecast: TimeForecast::new(now, study),
            left: None,
            failed: study.counts().failed,
            halted: Halted::of(study),
            running: BTreeMap::new(),
            best: None,
            workers: None,
        };
        study.trials.iter().for_each(|record| screen.propose(record));
        screen
    }

    /// Shows the workers and jobs of a cluster by state.
    pub(super) fn workers(&mut self, line: &str) {
        self.workers = Some(line.to_owned());
    }

    /// Makes `record` the best trial so far, if it is.
    fn propose(&mut self, record: &TrialRecord) {
        if let Some(candidate) = Best::of(record)
            && self.best.as_ref().is_none_or(|best| candidate.is_better_than(best))
        {
            self.best = Some(candidate);
        }
    }

    /// Takes in an event of the log.
    pub(super) fn logged(&mut self, record: &Record, study: &Study, now: Instant) {
        match (record.trial, &record.event) {
            (Some(id), Event::Started { .. }) => _ = self.running.insert(id, Running::new(study.trial(id))),
            (Some(id), Event::Evaluated(evaluation)) => {
                if let Some(trial) = self.running.get_mut(&id) {
                    trial.evaluation = Some(evaluation.clone());
                }
            }
            (Some(id), Event::Finished(_)) => {
                self.running.remove(&id);
                study.trial(id).into_iter().for_each(|record| self.propose(record));
            }
            (Some(id), Event::Failed { .. } | Event::Interrupted | Event::Paused { .. }) => {
                _ = self.running.remove(&id);
            }
            // Trials that were reused before the start took no time, so the forecast begins here.
            (_, Event::SweepStarted { .. }) => self.forecast = TimeForecast::new(now, study),
            (
                _,
                Event::TrialPlanned(_)
                | Event::Started { .. }
                | Event::Evaluated(_)
                | Event::Finished(_)
                | Event::Failed { .. }
                | Event::Interrupted
                | Event::Paused { .. }
                | Event::Promoted(_)
                | Event::Halted(_)
                | Event::Continued
                | Event::SearchEnded { .. }
                | Event::Prepared(_)
                | Event::Resumed { .. }
                | Event::CheckpointDamaged { .. }
                | Event::ParametersRemoved
                | Event::SweepEnded { .. },
            ) => {}
        }
        self.count(study);
        self.foresee(now);
    }

    /// Counts the trials, and those that are over.
    fn count(&mut self, study: &Study) {
        self.forecast.total = total(study);
        self.failed = study.counts().failed;
        self.halted = Halted::of(study);
        self.forecast.ended = count(ended(study));
    }

    /// Takes in how far a running trial has come.
    pub(super) fn moved(&mut self, id: TrialId, progress: &Progress, now: Instant) {
        if let Some(trial) = self.running.get_mut(&id) {
            trial.moved(progress, now);
            self.foresee(now);
        }
    }

    /// Forecasts the end of the sweep.
    fn foresee(&mut self, now: Instant) {
        let running: f64 = self.running.values().map(Running::share).sum();
        self.left = self.forecast.left(now, running).and_then(|left| Deadline::after(now, left));
    }

    /// The lines, each in at most `width` columns.
    pub(super) fn lines(&self, now: Instant, width: usize, colour: bool) -> Vec<String> {
        let line = |parts| fit(parts, width, colour);
        let trials = self.running.iter().take(RUNNING_MAX).map(|(id, trial)| line(trial.parts(*id, now)));
        let others = self.running.len().saturating_sub(RUNNING_MAX);
        let others = (others > 0).then(|| line(vec![Part::whole(0, format!("  and {others} more"))]));
        let workers = self.workers.iter().map(|text| line(vec![Part::whole(0, format!("  {text}"))]));
        std::iter::once(line(self.parts(now))).chain(workers).chain(trials).chain(others).collect()
    }

    /// The parts of the sweep's line.
    fn parts(&self, now: Instant) -> Vec<Part> {
        let running: f64 = self.running.values().map(Running::share).sum();
        let share = (self.forecast.ended + running) / self.forecast.total.max(1.0);
        let plural = if self.forecast.total > 1.0 { "s" } else { "" };
        let mut parts = vec![
            Part::flexible(0, self.sweep.clone(), NAME_COLUMNS_MIN),
            Part::bar(5, share, 30).cyan(),
            Part::whole(1, format!("{}/{} trial{plural}", self.forecast.ended, self.forecast.total))
                .after(" "),
        ];
        if let Some(Halted { trials, epochs }) = &self.halted {
            parts.push(Part::whole(3, format!("{trials} halted, up to {epochs} epochs saved")));
        }
        if self.failed > 0 {
            parts.push(Part::whole(4, format!("{} failed", self.failed)).red());
        }
        if let Some(best) = &self.best {
            parts.push(Part::whole(2, format!("best {} val F1 {:.3}", best.trial, best.val_f1)));
            parts.push(Part::flexible(7, best.settings.clone(), SETTINGS_COLUMNS_MIN).after(" "));
        }
        if let Some(left) = self.left {
            parts.push(Part::whole(3, left.describe(now)));
        }
        parts.push(Part::whole(6, format!("{} so far", clock(now.saturating_duration_since(self.begun)))));
        parts
    }
}

impl Running {
    fn new(record: Option<&TrialRecord>) -> Self {
        let device = record.and_then(|record| record.device).map_or_else(String::new, |d| d.to_string());
        let settings = record.map_or_else(String::new, |record| plain(&record.trial.described()));
        Self { device, settings, progress: None, evaluation: None, since: None, left: None }
    }

    fn moved(&mut self, progress: &Progress, now: Instant) {
        self.progress = Some(progress.clone());
        let share = self.share();
        let (since, before) = *self.since.get_or_insert((now, share));
        let done = share - before;
        let seconds = now.saturating_duration_since(since).as_secs_f64() * (1.0 - share) / done;
        let left = Duration::try_from_secs_f64(seconds).ok().filter(|_| done > FORECAST_SHARE_MIN);
        self.left = left.and_then(|left| Deadline::after(now, left)).filter(|_| share < 1.0);
    }

    /// The share of the trial's steps that are done, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
    fn share(&self) -> f64 {
        match &self.progress {
            Some(Progress { step, steps: steps @ 1.., .. }) => (*step as f64 / *steps as f64).min(1.0),
            Some(_) | None => 0.0,
        }
    }

    /// The parts of the trial's line.
    fn parts(&self, id: TrialId, now: Instant) -> Vec<Part> {
        let mut parts = vec![Part::whole(0, format!("  {id}")), Part::bar(5, self.share(), 12).green()];
        match &self.progress {
            None => parts.push(Part::whole(1, "starts").after(" ")),
            Some(Progress { epoch, epochs, step, steps, train_loss }) => {
                parts.push(Part::whole(1, format!("epoch {epoch}/{epochs}")).after(" "));
                parts.push(Part::whole(4, format!("step {step}/{steps}")));
                parts.push(Part::whole(7, format!("loss {train_loss:.3}")));
            }
        }
        if let Some(Evaluation { validation, .. }) = &self.evaluation {
            parts.push(Part::whole(9, format!("val loss {:.3}", validation.loss)));
            parts.push(Part::whole(2, format!("val F1 {:.3}", validation.f1)));
        }
        if let Some(left) = self.left {
            parts.push(Part::whole(3, left.describe(now)));
        }
        parts.push(Part::flexible(6, self.settings.clone(), RUNNING_SETTINGS_COLUMNS_MIN));
        parts.push(Part::whole(8, self.device.clone()));
        parts
    }
}

/// The line that stays above the bars for a complete trial, in at most `width` columns.
pub(super) fn complete(record: &TrialRecord, outcome: &Outcome, width: usize, colour: bool) -> String {
    let verdict = judge(record).map_or("", Verdict::as_str);
    let seconds = Duration::try_from_secs_f64(outcome.seconds).unwrap_or_default();
    let source = record.inherited_from.as_ref().filter(|source| source.sweep.is_some());
    let how = source.map_or_else(|| clock(seconds), |source| plain(&format!("reused from {source}")));
    let settings = plain(&record.trial.described());
    let test = &outcome.test;
    let verdict = match judge(record) {
        Some(Verdict::Collapsed | Verdict::Diverged) => Part::whole(2, verdict).red(),
        Some(Verdict::Good | Verdict::Overfit | Verdict::Underfit) | None => Part::whole(2, verdict),
    };
    let parts = vec![
        Part::whole(0, format!("✓ {}", record.trial.id)).green(),
        Part::flexible(4, settings, SETTINGS_COLUMNS_MIN).after(" "),
        Part::whole(1, format!("test F1 {:.3}", test.f1)),
        Part::whole(5, format!("[{:.3}, {:.3}]", test.f1_low, test.f1_high)).after(" "),
        verdict,
        Part::flexible(3, how, 12),
    ];
    fit(parts, width, colour)
}

#[cfg(test)]
mod tests;
