//! When a worker is overdue: pure bookkeeping, which the clock is passed to.
//!
//! A deadline is reported, not acted upon. Time in which the loop takes nothing in, or in which the
//! worker waits for space on the disk, counts for no deadline of a trial. After a time in which this
//! program itself stood still (SIGSTOP, a paused container), every limit begins anew: its workers have
//! probably stood still too, and it has not listened.

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

    /// Those of a worker that is reached through the file system of a network.
    pub(super) fn with_delay(self) -> Self {
        let Self { start_up, leave, stall, time } = self;
        let add = |limit: Duration| limit.saturating_add(DELAY);
        Self { start_up: add(start_up), leave: add(leave), stall: add(stall), time: time.map(add) }
    }
}

/// What may lie between something and its news on the file system of a network.
const DELAY: Duration = Duration::from_mins(2);

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// A beat that is so late means that this program stood still; a busy machine is not as late.
const LATE: Duration = Duration::from_secs(2);

/// Beats regularly, and so notices when this program stood still.
#[derive(Debug)]
pub(super) struct Heartbeat {
    next: Instant,
}

impl Heartbeat {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + BEAT }
    }

    /// When it beats next.
    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    /// Beats. Returns for how long this program stood still, if it did.
    pub(super) fn beat(&mut self, now: Instant) -> Option<Duration> {
        let late = now.saturating_duration_since(self.next);
        self.next = now + BEAT;
        (late >= LATE).then_some(late)
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
            WorkerLine::Finished(trial, _)
            | WorkerLine::Failed(trial, _)
            | WorkerLine::Paused(trial, _)
            | WorkerLine::Stopped(trial) => {
                self.trials.remove(trial);
                if self.trials.is_empty() {
                    self.forget_trials();
                }
            }
            WorkerLine::AllFailed(_) => self.forget_trials(),
            WorkerLine::Ready { .. }
            | WorkerLine::Progress(..)
            | WorkerLine::Alive(_)
            | WorkerLine::Event(..)
            | WorkerLine::GpuMemory(..) => {}
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

    /// This program has stood still, or has not listened, for so long until now. Time limits leave that
    /// time out of account, since a trial is not to pay for it. All others begin anew.
    pub(super) fn on_gap(&mut self, gap: Duration, now: Instant) {
        // While the worker waits for space, the clocks of its trials stand still anyway.
        if self.full.is_none() {
            self.trials.values_mut().flatten().for_each(|at| *at += gap);
        }
        self.stall = self.stall.map(|_| now + self.limits.stall);
        if let Some((at, input)) = &mut self.alarm {
            let is_start = matches!(input, Input::StartupTimeout(_));
            *at = now + if is_start { self.limits.start_up } else { self.limits.leave };
        }
    }

    /// For so long until now the worker could not be heard, since the loop took nothing in.
    pub(super) fn on_silence(&mut self, lasted: Duration, now: Instant) {
        if lasted >= LATE {
            self.on_gap(lasted, now);
        } else {
            self.put_off(lasted);
        }
    }

    /// Leaves this much time out of account, in which the worker could not be heard.
    fn put_off(&mut self, by: Duration) {
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

    #[test]
    fn a_beat_on_time_or_a_little_late_is_no_gap() {
        let mut now = Instant::now();
        let mut heartbeat = Heartbeat::new(now);
        for late in [Duration::ZERO, LATE.checked_sub(Duration::from_millis(1)).unwrap(), Duration::ZERO] {
            now = heartbeat.next() + late;
            assert_eq!(heartbeat.beat(now), None);
        }
        assert_eq!(heartbeat.next(), now + BEAT);
    }

    #[test]
    fn a_beat_that_is_late_tells_how_long_the_program_stood_still() {
        let mut heartbeat = Heartbeat::new(Instant::now());
        let now = heartbeat.next() + seconds(3600);
        assert_eq!(heartbeat.beat(now), Some(seconds(3600)));
        assert_eq!(heartbeat.beat(now + BEAT), None, "once");
    }

    #[test]
    fn after_a_gap_silence_begins_anew_and_the_time_limit_does_not_count_it() {
        let (mut deadlines, begun) = busy();
        let now = begun + seconds(3609);
        deadlines.on_gap(seconds(3600), now);
        assert_eq!(deadlines.stall(), Some(now + seconds(10)));
        assert_eq!(deadlines.time_limit(), Some((begun + seconds(3700), T1)));
    }

    #[test]
    fn a_worker_that_is_silent_after_a_gap_is_overdue_like_any_other() {
        let (mut deadlines, begun) = busy();
        deadlines.on_gap(seconds(3600), begun + seconds(3600));
        let mut heartbeat = Heartbeat::new(begun + seconds(3600));
        // This program goes on and the worker does not: the beats are on time.
        for _ in 0..9 {
            assert_eq!(heartbeat.beat(heartbeat.next()), None);
        }
        assert_eq!(deadlines.stall(), Some(begun + seconds(3610)));
    }

    #[test]
    fn after_a_gap_a_start_and_a_leave_begin_anew() {
        let begun = Instant::now();
        let mut deadlines = Deadlines::new(SLOT, Limits::new(seconds(1), &Policy::default()), begun);
        let now = begun + seconds(3600);
        deadlines.on_gap(seconds(3600), now);
        assert_eq!(deadlines.alarm(), Some(now + seconds(60)));
        deadlines.on_leave(now);
        deadlines.on_gap(seconds(5), now + seconds(5));
        assert_eq!(deadlines.alarm(), Some(now + seconds(6)));
    }

    #[test]
    fn a_gap_counts_once_where_the_worker_waits_for_space() {
        let (mut deadlines, begun) = busy();
        deadlines.on_line(&WorkerLine::DiskFull(T1, "/full".into()), begun);
        deadlines.on_gap(seconds(40), begun + seconds(45));
        deadlines.on_line(&WorkerLine::DiskFreed(T1), begun + seconds(50));
        assert_eq!(deadlines.time_limit(), Some((begun + seconds(150), T1)));
    }
}
