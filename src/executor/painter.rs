//! Draws pictures beside the loop: one thread, one drawing at a time, the newest state.
//!
//! The thread folds the log for itself, so that the loop copies no study. A drawing costs the
//! more the larger the sweep is, so the thread rests after each one in proportion to its cost.

use std::{
    collections::BTreeSet,
    error::Error,
    sync::mpsc::{self as blocking, RecvTimeoutError},
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    event::{Event, Record},
    study::Study,
    trial::TrialId,
};

/// Draws what follows from a study in which these trials have come to an end since the last call.
pub type Draw = Box<dyn FnMut(&Study, &[TrialId]) -> Result<(), Box<dyn Error + Send + Sync>> + Send>;

/// Rest after a drawing, in multiples of the time it took: drawing takes a tenth of a processor.
const REST: u32 = 9;
/// The longest rest.
const REST_MAX: Duration = Duration::from_mins(1);

/// The thread and the way to it.
pub(super) struct Painter {
    records: blocking::Sender<Record>,
    thread: JoinHandle<()>,
    troubles: mpsc::UnboundedSender<String>,
}

impl Painter {
    /// Starts the thread, which knows `study`; what goes wrong is told to `troubles`.
    pub(super) fn start(study: Study, draw: Draw, troubles: mpsc::UnboundedSender<String>) -> Self {
        let (records, queue) = blocking::channel();
        let mut canvas = Canvas { study, ended: BTreeSet::new(), draw, troubles: troubles.clone() };
        let thread = tokio::task::spawn_blocking(move || canvas.follow(&queue));
        Self { records, thread, troubles }
    }

    /// Tells of a record; one that ends an attempt orders a drawing.
    pub(super) fn logged(&self, record: &Record) {
        // A thread that panicked draws no more; `finish` tells of it.
        let _ = self.records.send(record.clone());
    }

    /// Waits for what was ordered, without any rest.
    pub(super) async fn finish(self) {
        drop(self.records);
        if let Err(error) = self.thread.await {
            let _ = self.troubles.send(format!("drawing ended by a bug: {error}"));
        }
    }
}

/// What the thread knows.
struct Canvas {
    study: Study,
    /// Trials with an attempt that ended since the last drawing.
    ended: BTreeSet<TrialId>,
    draw: Draw,
    troubles: mpsc::UnboundedSender<String>,
}

impl Canvas {
    /// Takes records in until there are no more, and draws in between.
    fn follow(&mut self, queue: &blocking::Receiver<Record>) {
        let mut rested = Instant::now();
        loop {
            let next = if self.ended.is_empty() {
                queue.recv().map_err(RecvTimeoutError::from)
            } else {
                queue.recv_timeout(rested.saturating_duration_since(Instant::now()))
            };
            match next {
                Ok(record) => self.take_in(&record),
                Err(RecvTimeoutError::Timeout) => {
                    let begin = Instant::now();
                    self.draw();
                    let end = Instant::now();
                    rested = end + rest(end.duration_since(begin));
                }
                Err(RecvTimeoutError::Disconnected) => return self.draw(),
            }
        }
    }

    fn take_in(&mut self, record: &Record) {
        if let Err(error) = self.study.apply(record) {
            self.tell(&error);
        }
        if let (Some(trial), Event::Finished(_) | Event::Failed { .. }) = (record.trial, &record.event) {
            self.ended.insert(trial);
        }
    }

    /// Draws, unless everything is drawn.
    fn draw(&mut self) {
        let trials: Vec<TrialId> = std::mem::take(&mut self.ended).into_iter().collect();
        if trials.is_empty() {
            return;
        }
        if let Err(error) = (self.draw)(&self.study, &trials) {
            self.tell(&error);
        }
    }

    fn tell(&self, error: &dyn std::fmt::Display) {
        // Nobody is left to be told once the run is over.
        let _ = self.troubles.send(format!("cannot draw: {error}"));
    }
}

/// How long nothing is drawn after a drawing that took so long.
fn rest(drawing: Duration) -> Duration {
    drawing.saturating_mul(REST).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{
        samples::plan,
        system::device::Device,
        trial::{Failure, FailureKind, State},
    };

    #[test]
    fn a_drawing_rests_for_nine_times_as_long_as_it_took_and_a_minute_at_most() {
        assert_eq!(rest(Duration::from_millis(50)), Duration::from_millis(450));
        assert_eq!(rest(Duration::from_mins(5)), REST_MAX);
        assert_eq!(rest(Duration::MAX), REST_MAX);
    }

    fn record(seq: u64, trial: u32, event: Event) -> Record {
        Record { v: 1, seq, at: String::new(), trial: Some(TrialId(trial)), event }
    }

    #[tokio::test]
    async fn every_end_is_drawn_and_the_last_drawing_knows_all() {
        let drawn = Arc::new(Mutex::new((BTreeSet::new(), Vec::new())));
        let seen = Arc::clone(&drawn);
        let draw: Draw = Box::new(move |study, trials| {
            let mut seen = seen.lock().unwrap();
            seen.0.extend(trials.iter().copied());
            seen.1 = study.trials.iter().map(|trial| trial.state).collect();
            Ok(())
        });
        let (trouble, mut troubles) = mpsc::unbounded_channel();
        let painter = Painter::start(Study::new(&plan(3)), draw, trouble);
        let device = Device::Cpu { slot: 0, threads: 1 };
        let failed = || Event::Failed {
            failure: Failure { kind: FailureKind::Data, message: String::new() },
            retry: false,
        };
        for (seq, trial, event) in [
            (1, 1, Event::Started { attempt: 1, device, micro_batch: None, alone: false }),
            (2, 1, failed()),
            (3, 2, failed()),
            (4, 3, Event::Started { attempt: 1, device, micro_batch: None, alone: false }),
        ] {
            painter.logged(&record(seq, trial, event));
        }
        painter.finish().await;
        let (trials, states) = drawn.lock().unwrap().clone();
        assert_eq!(trials, BTreeSet::from([TrialId(1), TrialId(2)]));
        assert_eq!(states[..2], [State::Failed, State::Failed]);
        assert!(troubles.try_recv().is_err());
    }
}
