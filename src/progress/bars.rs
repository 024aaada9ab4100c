//! The bars of a terminal: they draw a [`Screen`] below the lines that stay.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::{
    line,
    screen::{self, Screen},
    terminal::{HiddenControls, columns},
};
use crate::{
    display::{plain, wrap},
    event::{Event, Progress, Record},
    study::Study,
    trial::TrialId,
};

/// Drawings in a second, at most.
const DRAWINGS: u8 = 10;
/// Time between two drawings at most: the time that is left counts down.
const TICK: Duration = Duration::from_secs(1);

/// The bars of a terminal: a line for the sweep, and one for each running trial.
pub(super) struct Bars {
    screen: Arc<Mutex<Screen>>,
    /// Draws all lines, and prints above them.
    bar: ProgressBar,
    colour: bool,
    /// Hides control characters until the bars are removed.
    #[expect(dead_code, reason = "its `drop` does the work")]
    controls: HiddenControls,
}

/// The state, also if a thread that held it has panicked.
fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The columns that a line may fill. The last one stays free: a cursor that stands behind it wraps on some
/// terminals.
fn width() -> usize {
    columns().saturating_sub(1).max(1)
}

impl Bars {
    pub(super) fn new(study: &Study, colour: bool) -> Self {
        let screen = Arc::new(Mutex::new(Screen::new(study, Instant::now())));
        let drawn = Arc::clone(&screen);
        let lines = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            let lines = lock(&drawn).lines(Instant::now(), width(), colour);
            // Only memory is written to.
            let _ = out.write_str(&lines.join("\n"));
        };
        let style = ProgressStyle::with_template("{lines}")
            .map_or_else(|_| ProgressStyle::default_bar(), |style| style.with_key("lines", lines));
        let controls = HiddenControls::begin();
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(DRAWINGS));
        bar.set_style(style);
        bar.enable_steady_tick(TICK);
        Self { screen, bar, colour, controls }
    }

    /// Prints a text above the bars, on as many lines as it needs.
    pub(super) fn print(&self, text: &str) {
        for line in wrap(text, width()) {
            self.bar.println(line);
        }
    }

    /// Removes the bars.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows an event of the log.
    pub(super) fn logged(&mut self, record: &Record, study: &Study) {
        lock(&self.screen).logged(record, study, Instant::now());
        match &record.event {
            Event::Finished(outcome) => {
                if let Some(trial) = record.trial.and_then(|id| study.trial(id)) {
                    self.bar.println(screen::complete(trial, outcome, width(), self.colour));
                }
            }
            // The line of the complete trial says so too.
            Event::Resumed { from: Some(source), .. } if source.sweep.is_some() => {}
            Event::SweepEnded { .. }
            | Event::Failed { .. }
            | Event::Prepared(_)
            | Event::Resumed { .. }
            | Event::CheckpointDamaged { .. }
            | Event::Halted(_)
            | Event::Continued
            | Event::SearchEnded { .. } => {
                if let Some(line) = line::of(record, study) {
                    self.print(&plain(&line));
                }
            }
            Event::SweepStarted { .. }
            | Event::TrialPlanned(_)
            | Event::Started { .. }
            | Event::Evaluated(_)
            | Event::Interrupted
            | Event::Paused { .. }
            | Event::Promoted(_)
            | Event::ParametersRemoved => {}
        }
        self.redraw();
    }

    /// Shows the workers and jobs of a cluster by state.
    pub(super) fn workers(&self, line: &str) {
        lock(&self.screen).workers(line);
        self.redraw();
    }

    /// Shows how far a running trial has come.
    pub(super) fn moved(&mut self, id: TrialId, progress: &Progress) {
        lock(&self.screen).moved(id, progress, Instant::now());
        self.redraw();
    }

    /// Draws, unless it was done a moment ago.
    fn redraw(&self) {
        self.bar.update(|_| ());
    }
}
