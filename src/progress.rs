//! What people see while a sweep runs: bars on a terminal, plain lines elsewhere.
//!
//! Everything goes to standard error. An error there (a closed terminal, a full disk behind a
//! redirection) must not disturb the sweep, so it is ignored.

mod bars;
mod layout;
mod line;
mod screen;
mod summary;
mod terminal;
mod time;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use self::bars::Bars;
pub(crate) use self::line::{UNKNOWN_SHARE_MAX, at_rung, chosen};
pub use self::{summary::summary, time::duration};
use crate::{
    display::plain,
    event::{Event, Progress, Record},
    study::Study,
    trial::TrialId,
};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Bars that are drawn again and again, for a terminal.
    Bars {
        /// Whether the bars have colours.
        colour: bool,
    },
    /// Lines without any control sequence, for files, notebooks and terminals that can do no more.
    Lines,
}

/// Time without any line after which an evaluation is worth a line.
const QUIET_EVALUATION: Duration = Duration::from_mins(1);
/// Time without any line after which a step is worth a line.
const QUIET_STEP: Duration = Duration::from_mins(5);

/// Shows the progress of one run.
pub struct Display {
    bars: Option<Bars>,
    out: Box<dyn Write>,
    /// The time of the last line, without bars.
    said: Instant,
    /// The workers of a cluster, as last shown.
    workers: Option<String>,
}

impl Display {
    /// A display of `study` on standard error.
    #[must_use]
    pub fn new(study: &Study, look: Look) -> Self {
        let bars = match look {
            Look::Bars { colour } => Some(Bars::new(study, colour)),
            Look::Lines => None,
        };
        Self { bars, out: Box::new(io::stderr()), said: Instant::now(), workers: None }
    }

    /// Shows an event of the log; `study` includes it already.
    pub fn logged(&mut self, record: &Record, study: &Study) {
        if let Some(bars) = &mut self.bars {
            bars.logged(record, study);
        } else if (!matches!(record.event, Event::Evaluated(_)) || self.is_quiet_for(QUIET_EVALUATION))
            && let Some(line) = line::of(record, study)
        {
            self.print(&line);
        }
    }

    /// Shows how far a running trial has come.
    pub fn moved(&mut self, trial: TrialId, progress: &Progress) {
        if let Some(bars) = &mut self.bars {
            bars.moved(trial, progress);
        } else if self.is_quiet_for(QUIET_STEP) {
            self.print(&line::moved(trial, progress));
        }
    }

    fn is_quiet_for(&self, span: Duration) -> bool {
        self.said.elapsed() >= span
    }

    /// Says what an interrupt leads to, when it is the user's `count`-th one.
    pub fn stopping(&mut self, count: u32) {
        self.print(match count {
            1 => "stopping: running trials end at their next step (again: end the workers)",
            2 => "stopping: workers are told to end (again: kill them)",
            _ => "stopping: workers are killed",
        });
    }

    /// Shows the workers and jobs of a cluster by state.
    pub fn workers(&mut self, line: &str) {
        let line = plain(line);
        if self.workers.as_ref() == Some(&line) {
            return;
        }
        match &mut self.bars {
            Some(bars) => bars.workers(&line),
            None => self.print(&line),
        }
        self.workers = Some(line);
    }

    /// Prints a line above the bars.
    pub fn print(&mut self, text: &str) {
        let text = plain(text);
        match &self.bars {
            Some(bars) => bars.print(&text),
            None => _ = writeln!(self.out, "{text}"),
        }
        self.said = Instant::now();
    }

    /// Removes the bars.
    pub fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::samples;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a display without bars writes about an evaluation and a step of a trial, after this much silence.
    fn lines_after(silence: Duration) -> String {
        let mut study = samples::study(vec![samples::record(1, &[0.5])]);
        let out = Written::default();
        let mut display = Display::new(&study, Look::Lines);
        display.out = Box::new(out.clone());
        display.said = Instant::now().checked_sub(silence).unwrap();
        let evaluation = study.trials[0].evaluations.remove(0);
        let event = Event::Evaluated(evaluation);
        display.logged(&Record { v: 2, seq: 1, at: String::new(), trial: Some(TrialId(1)), event }, &study);
        display.moved(TrialId(1), &Progress { epoch: 1, epochs: 3, step: 5, steps: 9, train_loss: 0.5 });
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_about_running_trials_are_rare() {
        assert_eq!(lines_after(Duration::ZERO), "");
        let rare = lines_after(Duration::from_mins(5));
        assert_eq!(rare.lines().count(), 1, "{rare}");
        assert!(rare.starts_with("trial 0001 epoch 1: train loss"), "{rare}");
    }
}
