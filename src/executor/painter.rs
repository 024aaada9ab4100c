//! Draws pictures on a thread beside the loop: one drawing at a time, of the newest state.
//!
//! The thread folds the log for itself, so that the loop copies no study. A drawing costs the
//! more the larger the sweep is, so the thread rests after each one in proportion to its cost.

use std::{
    collections::BTreeSet,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::observer::{Notice, Observer, Warnings};
use crate::{
    error_chain::chain,
    event::{Event, Record},
    study::Study,
    system::{shortage::Shortage, threads},
    trial::TrialId,
};

/// Draws what follows from a study in which these trials have come to an end. The trials that it leaves in the
/// set are given to the next call, which comes even if no further trial ends; a call must take one out.
pub type Draw =
    Box<dyn FnMut(&Study, &mut BTreeSet<TrialId>) -> Result<(), Box<dyn Error + Send + Sync>> + Send>;

/// Rest after a drawing, in multiples of the time it took: drawing takes a tenth of a processor.
const REST: u32 = 9;
/// The shortest rest after the machine was short of something.
const REST_SHORT: Duration = Duration::from_secs(1);
/// The longest rest.
const REST_MAX: Duration = Duration::from_mins(1);

/// The observer that draws: after each attempt that ended, and once more when the run ends.
pub struct Painter {
    draw: Option<Draw>,
    at_work: Option<AtWork>,
    /// Whether nothing more is to be drawn.
    is_hurried: Arc<AtomicBool>,
}

/// The thread and the way to it.
struct AtWork {
    /// None once the run is over.
    records: Option<mpsc::Sender<Record>>,
    thread: JoinHandle<()>,
    warnings: Warnings,
}

impl Painter {
    /// A painter that draws with `draw`, on a thread of its own.
    #[must_use]
    pub fn new(draw: Draw) -> Self {
        Self { draw: Some(draw), at_work: None, is_hurried: Arc::default() }
    }
}

impl Observer for Painter {
    fn on_start(&mut self, study: &Study, warnings: &Warnings) {
        let Some(draw) = self.draw.take() else { return };
        let (records, queue) = mpsc::channel();
        let mut canvas = PainterThread {
            study: study.clone(),
            ended: BTreeSet::new(),
            draw,
            warnings: warnings.clone(),
            is_hurried: Arc::clone(&self.is_hurried),
        };
        let (records, warnings) = (Some(records), warnings.clone());
        match threads::start(move || canvas.follow(&queue)) {
            Ok(thread) => self.at_work = Some(AtWork { records, thread, warnings }),
            Err(error) => warnings.send(format!("nothing is drawn before the run ends: {error}")),
        }
    }

    fn on_notice(&mut self, notice: &Notice<'_>) {
        let records = self.at_work.as_ref().and_then(|work| work.records.as_ref());
        if let (Some(records), Notice::Logged(record, _)) = (records, notice) {
            // A thread that panicked draws no more; `is_done` says so.
            let _ = records.send((*record).clone());
        }
    }

    fn on_end(&mut self) {
        if let Some(work) = &mut self.at_work {
            // Without a sender the thread draws what is left, without any rest, and ends.
            work.records = None;
        }
    }

    fn is_done(&mut self) -> bool {
        if self.at_work.as_ref().is_some_and(|work| !work.thread.is_finished()) {
            return false;
        }
        let Some(AtWork { thread, warnings, .. }) = self.at_work.take() else { return true };
        if let Err(panic) = thread.join() {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            warnings.send(format!("drawing ended by a bug: {}", text.unwrap_or_default()));
        }
        true
    }

    fn hurry(&mut self) {
        self.is_hurried.store(true, Ordering::Relaxed);
    }
}

/// The state of the thread.
struct PainterThread {
    study: Study,
    /// Trials with an attempt that ended since the last drawing.
    ended: BTreeSet<TrialId>,
    draw: Draw,
    warnings: Warnings,
    is_hurried: Arc<AtomicBool>,
}

impl PainterThread {
    /// Takes records in until there are no more, and draws in between.
    fn follow(&mut self, queue: &mpsc::Receiver<Record>) {
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
                    let is_short = self.draw();
                    let end = Instant::now();
                    let least = if is_short { REST_SHORT } else { Duration::ZERO };
                    rested = end + rest(end.duration_since(begin)).max(least);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.draw();
                    return;
                }
            }
        }
    }

    fn take_in(&mut self, record: &Record) {
        if let Err(error) = self.study.apply(record) {
            self.warn(&error);
        }
        if let (Some(trial), Event::Finished(_) | Event::Halted(_) | Event::Failed { .. }) =
            (record.trial, &record.event)
        {
            self.ended.insert(trial);
        }
    }

    /// Draws, unless everything is drawn. Returns whether the machine was short of something, so that it is to
    /// be tried again.
    fn draw(&mut self) -> bool {
        if self.ended.is_empty() || self.is_hurried.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.ended.len();
        let all = self.ended.clone();
        let drawn = (self.draw)(&self.study, &mut self.ended);
        if let Err(error) = &drawn
            && Shortage::cause(&**error).is_some()
        {
            // The next drawing may have what this one lacked, and the end of the run draws what is missing.
            self.ended = all;
            return true;
        }
        // What cannot be drawn is not tried again and again.
        if drawn.is_err() || self.ended.len() >= before {
            self.ended.clear();
        }
        if let Err(error) = drawn {
            self.warn(&*error);
        }
        false
    }

    fn warn(&self, error: &dyn Error) {
        self.warnings.send(format!("cannot draw: {}", chain(error)));
    }
}

/// How long nothing is drawn after a drawing that took this long.
fn rest(drawing: Duration) -> Duration {
    drawing.saturating_mul(REST).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex, thread};

    use super::*;
    use crate::{
        samples::{plan, started},
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

    #[test]
    fn trials_that_a_drawing_leaves_are_given_to_the_next_one_although_no_trial_ends() {
        let (done, drawn) = mpsc::channel();
        let draw: Draw = Box::new(move |_, trials| {
            let first = trials.pop_first();
            done.send((first, trials.len())).map_err(Into::into)
        });
        let (sender, _warnings) = Warnings::channel();
        let study = Study::new(&plan(3));
        let (records, queue) = mpsc::channel();
        let ended = (1..=3).map(TrialId).collect();
        let mut canvas = PainterThread { study, ended, draw, warnings: sender, is_hurried: Arc::default() };
        let thread = thread::spawn(move || canvas.follow(&queue));
        let seen: Vec<_> = drawn.iter().take(3).collect();
        drop(records);
        thread.join().unwrap();
        let trial = |id| Some(TrialId(id));
        assert_eq!(seen, [(trial(1), 2), (trial(2), 1), (trial(3), 0)]);
    }

    #[test]
    fn every_end_is_drawn_and_the_last_drawing_knows_all() {
        let drawn = Arc::new(Mutex::new((BTreeSet::new(), Vec::new())));
        let seen = Arc::clone(&drawn);
        let draw: Draw = Box::new(move |study, trials| {
            let mut seen = seen.lock().unwrap();
            seen.0.append(trials);
            seen.1 = study.trials.iter().map(|trial| trial.state).collect();
            Ok(())
        });
        let (sender, mut warnings) = Warnings::channel();
        let mut study = Study::new(&plan(3));
        let mut painter = Painter::new(draw);
        painter.on_start(&study, &sender);
        let device = Device::Cpu { slot: 0, threads: 1 };
        let failed = || Event::Failed {
            failure: Failure { kind: FailureKind::Data, message: String::new() },
            retry: false,
        };
        for (seq, trial, event) in
            [(1, 1, started(1, device)), (2, 1, failed()), (3, 2, failed()), (4, 3, started(1, device))]
        {
            let record = record(seq, trial, event);
            study.apply(&record).unwrap();
            painter.on_notice(&Notice::Logged(&record, &study));
        }
        painter.on_end();
        while !painter.is_done() {
            thread::yield_now();
        }
        let (trials, states) = drawn.lock().unwrap().clone();
        assert_eq!(trials, BTreeSet::from([TrialId(1), TrialId(2)]));
        assert_eq!(states[..2], [State::Failed, State::Failed]);
        assert!(warnings.try_recv().is_err());
    }

    /// A painter's thread that has three trials to draw.
    fn with_three(draw: Draw) -> (PainterThread, mpsc::Receiver<Record>) {
        let (warnings, _) = Warnings::channel();
        let (_, queue) = mpsc::channel();
        let (study, ended) = (Study::new(&plan(3)), (1..=3).map(TrialId).collect());
        (PainterThread { study, ended, draw, warnings, is_hurried: Arc::default() }, queue)
    }

    #[test]
    fn a_user_in_a_hurry_is_not_kept_waiting_by_drawings() {
        let (mut canvas, queue) = with_three(Box::new(|_, _| panic!("it draws")));
        canvas.is_hurried.store(true, Ordering::Relaxed);
        canvas.follow(&queue);
    }

    #[test]
    fn what_could_not_be_drawn_for_a_shortage_is_drawn_by_the_next_drawing() {
        let mut tries = 0;
        let (mut canvas, _) = with_three(Box::new(move |_, trials| {
            tries += 1;
            trials.clear();
            if tries > 1 { Ok(()) } else { Err(io::Error::from(rustix::io::Errno::MFILE).into()) }
        }));
        assert!(canvas.draw());
        assert_eq!(canvas.ended.len(), 3);
        assert!(!canvas.draw());
        assert!(canvas.ended.is_empty());
    }
}
