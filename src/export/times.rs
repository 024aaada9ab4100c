//! When things happened in a sweep, by the times of the log's records. The study has no times: no result depends on them.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    event::{Event, Record},
    numbers::count_u64,
    system::clock,
    trial::TrialId,
};

/// Milliseconds since 1970.
pub(super) type Milliseconds = u64;

/// When a sweep and its trials began, were evaluated and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Time of the log's first record.
    begun: Milliseconds,
    trials: BTreeMap<TrialId, TrialTimes>,
}

/// When a trial began, was evaluated and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TrialTimes {
    /// When the attempt began that made its first step.
    pub(super) begun: Milliseconds,
    /// When it was over, if it is.
    pub(super) ended: Option<Milliseconds>,
    /// Of each evaluation, by its step.
    evaluated: BTreeMap<u64, Milliseconds>,
    /// As above, of the attempts before. A resumed attempt reports their evaluations again.
    before: BTreeMap<u64, Milliseconds>,
    /// The step from which the attempt resumed.
    resumed: u64,
    latest: Milliseconds,
}

impl Times {
    /// Takes in one more record. Records come in the order of the log.
    pub fn add(&mut self, record: &Record) {
        let Some(at) = clock::parse(&record.at).map(milliseconds) else { return };
        if self.trials.is_empty() && self.begun == 0 {
            self.begun = at;
        }
        if let Some(id) = record.trial {
            self.trials.entry(id).or_default().add(&record.event, at);
        }
    }

    /// When the sweep began.
    pub(super) const fn begun(&self) -> Milliseconds {
        self.begun
    }

    /// Of a trial; `None` if it has not begun.
    pub(super) fn of(&self, trial: TrialId) -> Option<&TrialTimes> {
        self.trials.get(&trial).filter(|times| times.begun > 0)
    }
}

impl TrialTimes {
    fn add(&mut self, event: &Event, at: Milliseconds) {
        self.latest = at;
        match event {
            Event::Started { .. } => {
                self.set_aside();
                (self.begun, self.ended, self.resumed) = (at, None, 0);
            }
            Event::Resumed { step, from, .. } => {
                self.set_aside();
                self.resumed = *step;
                if self.begun == 0 {
                    // A result that was taken over from another sweep.
                    self.begun = at;
                }
                // The steps of another trial were made before this one began.
                if let (None, Some(first)) = (from, self.before.values().next()) {
                    self.begun = self.begun.min(*first);
                }
            }
            Event::Evaluated(evaluation) => {
                let step = evaluation.step;
                let before = self.before.get(&step).filter(|_| step <= self.resumed);
                self.evaluated.insert(step, before.copied().unwrap_or(at));
            }
            Event::Finished(_) | Event::Halted(_) | Event::Failed { retry: false, .. } => {
                self.ended = Some(at);
            }
            Event::Continued | Event::Promoted(_) | Event::Failed { .. } | Event::Interrupted => {
                self.ended = None;
            }
            Event::SweepStarted { .. }
            | Event::TrialPlanned(_)
            | Event::Prepared(_)
            | Event::CheckpointDamaged { .. }
            | Event::Paused { .. }
            | Event::SearchEnded { .. }
            | Event::ParametersRemoved
            | Event::SweepEnded { .. } => {}
        }
    }

    /// Keeps the times of the evaluations so far for an attempt that reports them again.
    fn set_aside(&mut self) {
        if !self.evaluated.is_empty() {
            self.before = std::mem::take(&mut self.evaluated);
        }
    }

    /// Of the last record about it.
    pub(super) const fn latest(&self) -> Milliseconds {
        self.latest
    }

    /// Of the evaluation after this step.
    pub(super) fn evaluated(&self, step: u64) -> Milliseconds {
        self.evaluated.get(&step).copied().unwrap_or(self.latest)
    }
}

/// Milliseconds since 1970; 0 for a time before.
fn milliseconds(time: SystemTime) -> Milliseconds {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time in seconds since 1970.
pub(super) fn seconds(at: Milliseconds) -> f64 {
    count_u64(at) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples, system::device::Device};

    const TRIAL: TrialId = TrialId(1);

    fn started(attempt: u32) -> Event {
        let device = Device::Cpu { slot: 0, threads: 1 };
        samples::started(attempt, device)
    }

    fn evaluated(step: u64) -> Event {
        let mut evaluation = samples::record(1, &[0.5]).evaluations.remove(0);
        evaluation.step = step;
        Event::Evaluated(evaluation)
    }

    fn resumed(step: u64) -> Event {
        Event::Resumed { step, epoch: 1.0, from: None }
    }

    /// The times of trial 1, whose events come a second apart from second 1 on.
    fn times(events: impl IntoIterator<Item = Event>) -> TrialTimes {
        let mut times = Times::default();
        for (second, event) in (1..).zip(events) {
            let at = clock::milliseconds(UNIX_EPOCH + std::time::Duration::from_secs(second));
            times.add(&Record { v: 1, seq: second, at, trial: Some(TRIAL), event });
        }
        times.of(TRIAL).unwrap().clone()
    }

    #[test]
    fn an_evaluation_has_the_time_of_its_record() {
        let times = times([started(1), evaluated(10), evaluated(20)]);
        assert_eq!((times.begun, times.evaluated(10), times.evaluated(20)), (1_000, 2_000, 3_000));
    }

    #[test]
    fn an_evaluation_that_a_resumed_attempt_reports_again_keeps_its_time() {
        let events =
            [started(1), evaluated(10), evaluated(20), started(2), resumed(10), evaluated(10), evaluated(20)];
        let times = times(events);
        assert_eq!((times.evaluated(10), times.evaluated(20)), (2_000, 7_000));
    }

    #[test]
    fn a_trial_that_begins_anew_has_no_time_of_before() {
        let times = times([started(1), evaluated(10), started(2), evaluated(10)]);
        assert_eq!((times.begun, times.evaluated(10)), (3_000, 4_000));
    }

    #[test]
    fn a_trial_has_ended_until_it_begins_again() {
        let outcome = samples::record(1, &[0.5]).outcome.unwrap();
        let finished = || Event::Finished(outcome.clone());
        assert_eq!(times([started(1), evaluated(10), finished()]).ended, Some(3_000));
        assert_eq!(times([started(1), finished(), started(2)]).ended, None);
    }

    #[test]
    fn a_trial_that_only_waits_has_not_begun() {
        assert_eq!(Times::default().of(TRIAL), None);
    }
}
