//! When a worker is overdue: pure bookkeeping, which the clock is passed to.
//!
//! A deadline is reported, not acted upon. Time in which the loop takes nothing in, or in which the
//! worker waits for space on the disk, counts for no deadline of a trial.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    policy::Policy,
    protocol::WorkerLine,
    scheduler::{Input, Slot},
    trial::TrialId,
};

/// How long a worker may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From its start to its report that it is ready.
    start_up: Duration,
    /// From the end of its standard input to its end.
    leave: Duration,
    /// Between two lines while it has trials.
    stall: Duration,
    /// For an attempt.
    time: Option<Duration>,
}

impl Limits {
    pub(super) const fn new(leave: Duration, policy: &Policy) -> Self {
        Self { start_up: policy.start_up_limit, leave, stall: policy.stall_limit, time: policy.time_limit }
    }
}

/// The deadlines of one worker. A deadline that was reported is none any more.
#[derive(Debug)]
pub(super) struct Deadlines {
    slot: Slot,
    limits: Limits,
    /// What is reported at a time, unless something happens before.
    alarm: Option<(Instant, Input)>,
    /// When silence has lasted too long, while the worker has trials.
    stall: Option<Instant>,
    /// When each trial of the worker is over its time limit.
    trials: BTreeMap<TrialId, Option<Instant>>,
    /// Since when the worker waits for space on the disk. Its trials' clocks stand still meanwhile.
    full: Option<Instant>,
}

impl Deadlines {
    /// The deadlines of a worker that starts now.
    pub(super) fn new(slot: Slot, limits: Limits, now: Instant) -> Self {
        let alarm = Some((now + limits.start_up, Input::StartupTimeout(slot)));
        Self { slot, limits, alarm, stall: None, trials: BTreeMap::new(), full: None }
    }

    /// When the first of its trials is over its time limit, and which one it is.
    pub(super) fn time_limit(&self) -> Option<(Instant, TrialId)> {
        if self.full.is_some() {
            return None;
        }
        self.trials.iter().filter_map(|(trial, at)| Some(((*at)?, *trial))).min()
    }

    /// When its silence has lasted too long.
    pub(super) fn stall(&self) -> Option<Instant> {
        self.stall.filter(|_| self.full.is_none())
    }

    /// When it has not started, or has not left, in time.
    pub(super) fn alarm(&self) -> Option<Instant> {
        self.alarm.as_ref().map(|(at, _)| *at)
    }

    /// Takes what is to be reported at [`Self::alarm`].
    pub(super) fn take_alarm(&mut self) -> Option<Input> {
        self.alarm.take().map(|(_, input)| input)
    }

    /// The worker has been given these trials.
    pub(super) fn on_run(&mut self, trials: impl Iterator<Item = TrialId>, now: Instant) {
        self.stall = Some(now + self.limits.stall);
        let limit = self.limits.time.map(|limit| now + limit);
        self.trials.extend(trials.map(|trial| (trial, limit)));
    }

    /// The worker has sent a line.
    pub(super) fn on_line(&mut self, line: &WorkerLine, now: Instant) {
        if matches!((line, &self.alarm), (WorkerLine::Ready { .. }, Some((_, Input::StartupTimeout(_))))) {
            self.alarm = None;
        }
        if self.trials.is_empty() {
            return;
        }
        self.stall = Some(now + self.limits.stall);
        match line {
            WorkerLine::DiskFull(..) => self.full = self.full.or(Some(now)),
            WorkerLine::DiskFreed(_) => {
                if let Some(since) = self.full.take() {
                    self.put_off(now - since);
                    self.stall = Some(now + self.limits.stall);
                }
            }
            WorkerLine::Finished(trial, _) | WorkerLine::Failed(trial, _) | WorkerLine::Stopped(trial) => {
                self.trials.remove(trial);
                if self.trials.is_empty() {
                    self.forget_trials();
                }
            }
            WorkerLine::Ready { .. }
            | WorkerLine::Progress(..)
            | WorkerLine::Alive(_)
            | WorkerLine::Event(..) => {}
        }
    }

    /// The worker has been asked to leave.
    pub(super) fn on_leave(&mut self, now: Instant) {
        self.forget_trials();
        self.alarm = Some((now + self.limits.leave, Input::LeaveTimeout(self.slot)));
    }

    /// The worker has closed its standard output: it is about to exit, or breaks the protocol.
    pub(super) fn on_closed_output(&mut self, now: Instant) {
        let input = Input::Garbage(self.slot, "the end of its output, yet it lives".to_owned());
        self.alarm = Some((now + self.limits.leave, input));
    }

    /// No deadline of its trials is reported any more.
    pub(super) fn forget_trials(&mut self) {
        self.trials.clear();
        (self.stall, self.full) = (None, None);
    }

    /// Leaves this much time out of account, in which the worker could not be heard.
    pub(super) fn put_off(&mut self, by: Duration) {
        self.trials.values_mut().flatten().chain(&mut self.stall).for_each(|at| *at += by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot(0);
    const T1: TrialId = TrialId(1);
    const T2: TrialId = TrialId(2);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Deadlines of a worker that has been given two trials, and when that was.
    fn busy() -> (Deadlines, Instant) {
        let policy = Policy { stall_limit: seconds(10), time_limit: Some(seconds(100)), ..Policy::default() };
        let now = Instant::now();
        let mut deadlines = Deadlines::new(SLOT, Limits::new(seconds(1), &policy), now);
        deadlines.on_line(&WorkerLine::Ready { v: 2 }, now);
        deadlines.on_run([T1, T2].into_iter(), now);
        (deadlines, now)
    }

    #[test]
    fn a_worker_that_does_not_report_ready_is_overdue() {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(SLOT, Limits::new(seconds(1), &Policy::default()), now);
        assert_eq!(deadlines.alarm(), Some(now + seconds(60)));
        assert_eq!(deadlines.take_alarm(), Some(Input::StartupTimeout(SLOT)));
    }

    #[test]
    fn a_worker_that_reported_ready_has_no_alarm() {
        assert_eq!(busy().0.alarm(), None);
    }

    #[test]
    fn any_line_ends_the_silence() {
        let (mut deadlines, now) = busy();
        assert_eq!(deadlines.stall(), Some(now + seconds(10)));
        deadlines.on_line(&WorkerLine::Alive(T2), now + seconds(9));
        assert_eq!(deadlines.stall(), Some(now + seconds(19)));
    }

    #[test]
    fn a_trial_that_is_over_has_no_time_limit_any_more() {
        let (mut deadlines, now) = busy();
        deadlines.on_line(&WorkerLine::Stopped(T1), now + seconds(1));
        assert_eq!(deadlines.time_limit(), Some((now + seconds(100), T2)));
    }

    #[test]
    fn a_worker_without_trials_may_be_silent() {
        let (mut deadlines, now) = busy();
        for trial in [T1, T2] {
            deadlines.on_line(&WorkerLine::Stopped(trial), now);
        }
        assert_eq!((deadlines.stall(), deadlines.time_limit()), (None, None));
    }

    #[test]
    fn the_clocks_stand_still_while_the_disk_is_full() {
        let (mut deadlines, now) = busy();
        deadlines.on_line(&WorkerLine::DiskFull(T1, "/full".into()), now + seconds(2));
        assert_eq!((deadlines.stall(), deadlines.time_limit()), (None, None));
        deadlines.on_line(&WorkerLine::DiskFreed(T1), now + seconds(52));
        assert_eq!(deadlines.stall(), Some(now + seconds(62)));
        assert_eq!(deadlines.time_limit(), Some((now + seconds(150), T1)));
    }

    #[test]
    fn a_worker_that_was_asked_to_leave_has_a_second() {
        let (mut deadlines, now) = busy();
        deadlines.on_leave(now);
        assert_eq!(deadlines.stall(), None);
        assert_eq!(deadlines.alarm(), Some(now + seconds(1)));
        assert_eq!(deadlines.take_alarm(), Some(Input::LeaveTimeout(SLOT)));
    }
}
