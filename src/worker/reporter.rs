//! Turns what trials report into lines.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use super::{
    endings::one_line,
    output::{Closed, send},
    requests::StopWishes,
};
use crate::{
    event::Event,
    protocol::WorkerLine,
    system::panics::Panics,
    train::{Report, Stopped},
    trial::{TrialId, TrialRef},
};

/// Time between two lines about a trial's progress.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The way of a worker's lines to the orchestrator.
pub(super) struct Talk<'a, W> {
    output: &'a mut W,
    stop: &'a StopWishes,
    pub(super) panics: &'a Panics,
    pub(super) is_closed: bool,
}

/// What is known of a trial while it runs.
pub(super) struct Reporter {
    pub(super) trial: TrialId,
    /// When the latest line was sent.
    sent: Option<Instant>,
    /// The step of an evaluation whose loss is not finite.
    pub(super) not_finite: Option<u64>,
}

impl<'a, W: Write> Talk<'a, W> {
    pub(super) fn new(output: &'a mut W, stop: &'a StopWishes, panics: &'a Panics) -> Self {
        Self { output, stop, panics, is_closed: false }
    }

    /// Sends a line, unless the output is closed.
    pub(super) fn send(&mut self, line: &WorkerLine) -> Result<(), Closed> {
        let sent = if self.is_closed { Err(Closed) } else { send(self.output, line) };
        self.is_closed |= sent.is_err();
        sent
    }

    /// Sends the line for a trial's report, if there is one. An error is the wish that the trial stops.
    pub(super) fn on_report(&mut self, reporter: &mut Reporter, report: Report) -> Result<(), Stopped> {
        // What was computed since then means nothing: it is neither told nor written.
        if self.panics.elsewhere().is_some() {
            return Err(Stopped);
        }
        if matches!(report, Report::Saving) {
            return Ok(());
        }
        if let Some(line) = reporter.line(report)? {
            // The answer to a closed output is below.
            let _ = self.send(&line);
        }
        if self.is_closed || self.stop.has(reporter.trial) { Err(Stopped) } else { Ok(()) }
    }
}

impl Reporter {
    pub(super) const fn new(trial: TrialId) -> Self {
        Self { trial, sent: None, not_finite: None }
    }

    /// Whether it is time for a sign of life.
    fn is_due(&self) -> bool {
        self.sent.is_none_or(|sent| sent.elapsed() >= PROGRESS_EVERY)
    }

    /// The line for a report. An error stops the trial: its figures can be used no more.
    fn line(&mut self, report: Report) -> Result<Option<WorkerLine>, Stopped> {
        let line = match report {
            Report::Prepared(prepared) => Some(WorkerLine::Event(self.trial, Event::Prepared(prepared))),
            // JSON cannot write such a loss, and training does not recover from it.
            Report::Evaluated(evaluation)
                if !(evaluation.train_loss.is_finite() && evaluation.validation.loss.is_finite()) =>
            {
                self.not_finite = Some(evaluation.step);
                return Err(Stopped);
            }
            Report::Evaluated(evaluation) => {
                Some(WorkerLine::Event(self.trial, Event::Evaluated(evaluation)))
            }
            Report::Progress(progress) => {
                let is_shown = self.is_due() && progress.train_loss.is_finite();
                is_shown.then_some(WorkerLine::Progress(self.trial, progress))
            }
            Report::Saving => None,
            Report::Alive => self.is_due().then_some(WorkerLine::Alive(self.trial)),
            Report::Resumed { step, epoch, from } => {
                let from = from.map(|trial| TrialRef { sweep: None, trial });
                Some(WorkerLine::Event(self.trial, Event::Resumed { step, epoch, from }))
            }
            Report::CheckpointDamaged(message) => {
                Some(WorkerLine::Event(self.trial, Event::CheckpointDamaged { message: one_line(&message) }))
            }
            Report::DiskFull(path) => Some(WorkerLine::DiskFull(self.trial, path)),
            Report::DiskFreed => Some(WorkerLine::DiskFreed(self.trial)),
        };
        if line.is_some() {
            self.sent = Some(Instant::now());
        }
        Ok(line)
    }
}
