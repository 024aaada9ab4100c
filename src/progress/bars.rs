//! The bars of a terminal.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    line,
    terminal::HiddenControls,
    time::{TimeForecast, count, duration, ended},
};
use crate::{
    display::plain,
    event::{Evaluation, Event, Progress, Record},
    study::Study,
    trial::TrialId,
};

/// Positions of the sweep's bar for each trial, so that the bar moves within trials too.
const TRIAL_TICKS: f64 = 1000.0;

/// The bars of a terminal: one for the sweep, and one for each running trial.
pub(super) struct Bars {
    all: MultiProgress,
    sweep: ProgressBar,
    trials: BTreeMap<TrialId, Running>,
    forecast: TimeForecast,
    /// Hides control characters until the bars are removed.
    #[expect(dead_code, reason = "its `drop` does the work")]
    controls: HiddenControls,
}

/// A running trial.
struct Running {
    bar: ProgressBar,
    /// Share of the trial's steps that are done, 0 to 1.
    share: f64,
    /// The latest evaluation.
    evaluation: Option<Evaluation>,
}

/// The look of a bar with this template.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━╸─"))
}

/// Positions of the sweep's bar for a number of trials.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few trials, each a positive share"
)]
fn ticks(trials: f64) -> u64 {
    (trials * TRIAL_TICKS) as u64
}

impl Bars {
    pub(super) fn new(study: &Study) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let forecast = TimeForecast::new(Instant::now(), study);
        let sweep = all.add(ProgressBar::new(ticks(forecast.total)));
        sweep.set_style(style("{prefix} {bar:30.cyan} {msg} · {elapsed} so far"));
        sweep.set_prefix(plain(&study.sweep));
        let (trials, controls) = (BTreeMap::new(), HiddenControls::begin());
        let mut bars = Self { all, sweep, trials, forecast, controls };
        bars.update(ended(study));
        bars.sweep.enable_steady_tick(Duration::from_secs(1));
        bars
    }

    /// Prints a line above the bars.
    pub(super) fn print(&self, text: &str) {
        _ = self.all.println(text);
    }

    /// Removes the bars.
    pub(super) fn clear(&self) {
        _ = self.all.clear();
    }

    /// Redraws the bar of the sweep, of which `ended` trials are over.
    fn update(&mut self, ended: usize) {
        self.forecast.ended = count(ended);
        let running: f64 = self.trials.values().map(|trial| trial.share).sum();
        self.sweep.set_position(ticks(self.forecast.ended + running));
        let left = self.forecast.left(Instant::now(), running);
        let left = left.map_or_else(String::new, |left| format!(" · about {} left", duration(left)));
        let plural = if self.forecast.total > 1.0 { "s" } else { "" };
        self.sweep.set_message(format!("{ended}/{} trial{plural}{left}", self.forecast.total));
    }

    /// Shows an event of the log.
    pub(super) fn logged(&mut self, record: &Record, study: &Study) {
        if let (Event::SweepEnded { .. }, Some(line)) = (&record.event, line::of(record, study)) {
            self.print(&plain(&line));
        }
        if let Some(id) = record.trial {
            match &record.event {
                Event::Started { .. } => self.open(id, study),
                Event::Evaluated(evaluation) => {
                    if let Some(trial) = self.trials.get_mut(&id) {
                        trial.evaluation = Some(evaluation.clone());
                    }
                }
                Event::Finished(_) | Event::Failed { .. } | Event::Interrupted => {
                    if let Some(trial) = self.trials.remove(&id) {
                        trial.bar.finish_and_clear();
                        self.all.remove(&trial.bar);
                    }
                    if let (Event::Failed { .. }, Some(line)) = (&record.event, line::of(record, study)) {
                        self.print(&plain(&line));
                    }
                }
                Event::Prepared(_) | Event::Resumed { .. } | Event::CheckpointDamaged { .. } => {
                    if let Some(line) = line::of(record, study) {
                        self.print(&plain(&line));
                    }
                }
                Event::TrialPlanned(_) => {
                    self.forecast.total = count(study.trials.len());
                    self.sweep.set_length(ticks(self.forecast.total));
                }
                Event::SweepStarted { .. } | Event::SweepEnded { .. } | Event::ParametersRemoved => {}
            }
        }
        if let Event::SweepStarted { .. } = record.event {
            // Trials that were reused before the start took no time, so the forecast begins here.
            self.forecast = TimeForecast::new(Instant::now(), study);
        }
        self.update(ended(study));
    }

    /// Adds the bar of a trial that starts.
    fn open(&mut self, id: TrialId, study: &Study) {
        let bar = self.all.add(ProgressBar::new(1));
        bar.set_style(style("  {prefix} {bar:12.green} {wide_msg}"));
        let record = study.trial(id);
        let device = record.and_then(|record| record.device).map_or_else(String::new, |d| d.to_string());
        let params = record.map_or_else(String::new, |record| record.trial.params.to_string());
        bar.set_prefix(plain(format!("{id} {device} {params}").trim_end()));
        bar.set_message("starts");
        self.trials.insert(id, Running { bar, share: 0.0, evaluation: None });
    }

    /// Shows how far a running trial has come.
    pub(super) fn moved(&mut self, id: TrialId, progress: &Progress) {
        let Some(trial) = self.trials.get_mut(&id) else { return };
        trial.share = share(progress);
        trial.bar.set_length(progress.steps);
        trial.bar.set_position(progress.step);
        trial.bar.set_message(message(progress, trial.evaluation.as_ref()));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of trials")]
        let ended = self.forecast.ended as usize;
        self.update(ended);
    }
}

/// The text beside the bar of a trial.
fn message(progress: &Progress, evaluation: Option<&Evaluation>) -> String {
    let Progress { epoch, epochs, step, steps, train_loss } = progress;
    let last = evaluation.map_or_else(String::new, |evaluation| {
        let scores = &evaluation.validation;
        format!(" · validation loss {:.3}, F1 {:.3}", scores.loss, scores.f1)
    });
    format!("epoch {epoch}/{epochs} · step {step}/{steps} · loss {train_loss:.3}{last}")
}

/// Share of a trial's steps that are done, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
fn share(progress: &Progress) -> f64 {
    if progress.steps == 0 { 0.0 } else { (progress.step as f64 / progress.steps as f64).min(1.0) }
}
