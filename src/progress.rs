//! What people see while a sweep runs: bars on a terminal, plain lines elsewhere.
//!
//! Everything goes to standard error. An error there (a closed terminal, a full disk behind a
//! redirection) must not disturb the sweep, so it is ignored.

mod bars;
mod line;
mod summary;
mod terminal;
mod time;

use std::io::{self, Write};

use self::bars::Bars;
pub(crate) use self::line::UNKNOWN_SHARE_MAX;
pub use self::{summary::summary, time::duration};
use crate::{
    display::plain,
    event::{Progress, Record},
    study::Study,
    trial::TrialId,
};

/// Shows the progress of one run.
pub struct Display {
    bars: Option<Bars>,
    out: Box<dyn Write>,
}

impl Display {
    /// A display of `study` on standard error, with bars if standard error is a terminal.
    #[must_use]
    pub fn new(study: &Study, is_terminal: bool) -> Self {
        Self { bars: is_terminal.then(|| Bars::new(study)), out: Box::new(io::stderr()) }
    }

    /// Shows an event of the log; `study` includes it already.
    pub fn logged(&mut self, record: &Record, study: &Study) {
        match &mut self.bars {
            Some(bars) => bars.logged(record, study),
            None => {
                if let Some(line) = line::of(record, study) {
                    self.print(&line);
                }
            }
        }
    }

    /// Shows how far a running trial has come. Has no effect without bars.
    pub fn moved(&mut self, trial: TrialId, progress: &Progress) {
        if let Some(bars) = &mut self.bars {
            bars.moved(trial, progress);
        }
    }

    /// Says what an interrupt leads to, when it is the user's `count`-th one.
    pub fn stopping(&mut self, count: u32) {
        self.print(match count {
            1 => "stopping: running trials end at their next step (again: end the workers)",
            2 => "stopping: workers are told to end (again: kill them)",
            _ => "stopping: workers are killed",
        });
    }

    /// Prints a line above the bars.
    pub fn print(&mut self, text: &str) {
        let text = plain(text);
        match &self.bars {
            Some(bars) => bars.print(&text),
            None => _ = writeln!(self.out, "{text}"),
        }
    }

    /// Removes the bars.
    pub fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.clear();
        }
    }
}
