//! What follows when an attempt fails or its process ends: retries, and what waits until the process
//! has been reaped.

use super::{
    messages::{Action, Slot, WorkerExit, shortened},
    slots::{AfterExit, SlotState},
    state::Scheduler,
};
use crate::{
    event::Event,
    trial::{Failure, FailureKind, TrialId},
};

/// The signal for a page of a mapped file that is not there any more.
const SIGBUS: i32 = rustix::process::Signal::BUS.as_raw();

impl Scheduler {
    pub(super) fn protocol(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        self.kill(slot, &Failure { kind: FailureKind::Protocol, message }, None, out);
    }

    pub(super) fn startup_timeout(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.slots.state(slot), SlotState::Starting(_)) {
            let message = "the worker did not report ready in time (`start_up_limit` in [run])".to_owned();
            self.kill(slot, &Failure { kind: FailureKind::StartupTimeout, message }, None, out);
        }
    }

    pub(super) fn stalled(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.slots.state(slot), SlotState::Busy(_)) {
            let message = "the worker said nothing for too long (`stall_limit` in [run])".to_owned();
            self.kill(slot, &Failure { kind: FailureKind::Stalled, message }, None, out);
        }
    }

    pub(super) fn time_limit(&mut self, slot: Slot, trial: TrialId, out: &mut Vec<Action>) {
        if matches!(self.slots.state(slot), SlotState::Busy(trials) if trials.contains(&trial)) {
            let message = "the attempt took too long (`time_limit` in [run])".to_owned();
            // The limits of trials together are over together.
            let only = Some(trial).filter(|_| !self.slots.is_fused(slot));
            self.kill(slot, &Failure { kind: FailureKind::TimeLimit, message }, only, out);
        }
    }

    /// Ends a slot's process by force, and fails its trials: `only` that one, or all of them.
    pub(super) fn kill(
        &mut self,
        slot: Slot,
        failure: &Failure,
        only: Option<TrialId>,
        out: &mut Vec<Action>,
    ) {
        if matches!(self.slots.state(slot), SlotState::Starting(_) | SlotState::Busy(_)) {
            if let SlotState::Starting(trials) = self.slots.state(slot).clone() {
                // The log has no failure without an attempt.
                self.start_in(slot, &trials, out);
            }
            self.not_full(slot, out);
            let after = match only {
                Some(trial) => self.fail_one(slot, trial, failure.clone(), out),
                None => self.fail_all(slot, failure, out),
            };
            self.slots.set_state(slot, SlotState::Ending(after));
            out.push(Action::Kill(slot));
        }
    }

    pub(super) fn spawn_failed(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        if let SlotState::Starting(trials) = self.slots.state(slot).clone() {
            self.slots.vacate(slot);
            self.settle(trials.into_iter().map(AfterExit::Resume).collect(), out);
            self.rest(slot, message, out);
        }
    }

    /// Starts nothing in the slot until it has rested.
    fn rest(&mut self, slot: Slot, why: String, out: &mut Vec<Action>) {
        // A run that ends starts nothing, and a slot that has left is given nothing.
        if !self.is_stopping() && !self.slots.is_retired(slot) {
            self.slots.set_resting(slot, true);
            out.push(Action::Rest(slot, why));
        }
    }

    pub(super) fn exited(&mut self, slot: Slot, exit: WorkerExit, out: &mut Vec<Action>) {
        self.not_full(slot, out);
        let mut trouble = None;
        let after = match self.slots.state(slot).clone() {
            SlotState::Empty => Vec::new(),
            SlotState::Ending(after) => after,
            // It was given no trial, so that no trial can be the cause.
            SlotState::Starting(trials) => {
                trouble = Some(exit.unready());
                trials.into_iter().map(AfterExit::Resume).collect()
            }
            // The second interrupt ends workers, and so may a signal that the first one came with: no failure.
            SlotState::Busy(trials) if self.interrupts > 0 => {
                trials.into_iter().map(AfterExit::PutBack).collect()
            }
            SlotState::Busy(_) => self.fail_all(slot, &exit.failure(), out),
        };
        self.slots.vacate(slot);
        self.settle(after, out);
        if let Some(why) = trouble.or_else(|| self.slots.take_shortage(slot)) {
            self.rest(slot, why, out);
        }
    }

    /// As [`Self::start`], for the slot's process.
    pub(super) fn start_in(&mut self, slot: Slot, trials: &[TrialId], out: &mut Vec<Action>) {
        self.start(slot, trials, out);
    }

    /// Does what was left for the time when the process is gone.
    fn settle(&mut self, after: Vec<AfterExit>, out: &mut Vec<Action>) {
        self.interrupted |= self.interrupts > 0 && !after.is_empty();
        // From the last to the first, so that trials that resume stay in their order.
        for after in after.iter().rev() {
            if let AfterExit::Resume(trial) = *after {
                self.queue.push_front(trial);
            }
        }
        for after in after {
            match after {
                AfterExit::Retry(trial) => self.queue.push_back(trial),
                AfterExit::PutBack(trial) => self.put_back(trial, out),
                AfterExit::Resume(_) => {}
            }
        }
    }

    /// Logs that the attempts at all trials of a slot failed. Returns what to do once its process has
    /// been reaped.
    ///
    /// What befalls the process of trials that are trained together counts for none of them: any other may be
    /// the cause. Their next attempts are their own, so that this is at most once for each trial.
    pub(super) fn fail_all(
        &mut self,
        slot: Slot,
        failure: &Failure,
        out: &mut Vec<Action>,
    ) -> Vec<AfterExit> {
        let trials = self.slots.trials(slot).into_iter();
        if self.slots.is_fused(slot) {
            trials.map(|trial| self.fail_uncounted(slot, trial, failure.clone(), out)).collect()
        } else {
            trials.filter_map(|trial| self.fail(slot, trial, failure.clone(), out)).collect()
        }
    }

    /// As [`Self::fail_all`], for one trial. The others of the slot resume in another process.
    pub(super) fn fail_one(
        &mut self,
        slot: Slot,
        trial: TrialId,
        failure: Failure,
        out: &mut Vec<Action>,
    ) -> Vec<AfterExit> {
        let others = self.slots.trials(slot).into_iter().filter(|other| *other != trial);
        let others: Vec<AfterExit> = others.map(AfterExit::Resume).collect();
        self.fail(slot, trial, failure, out).into_iter().chain(others).collect()
    }

    /// Logs that the attempt at one trial failed. Returns what to do once the process is done with the trial, if there is
    /// another attempt.
    pub(super) fn fail(
        &mut self,
        slot: Slot,
        trial: TrialId,
        failure: Failure,
        out: &mut Vec<Action>,
    ) -> Option<AfterExit> {
        let failure = self.lost_pages(trial, &failure).unwrap_or(failure);
        if matches!(failure.kind, FailureKind::DiskFull | FailureKind::Shortage | FailureKind::DeviceLost) {
            return Some(self.fail_uncounted(slot, trial, failure, out));
        }
        let was_alone = self.attempts.measures(trial).alone.is_some();
        let retry = self.attempts.fail(trial, &failure.kind, self.slots.company(slot));
        if !was_alone && self.attempts.measures(trial).alone.is_some() {
            self.slots.retire_beside(slot);
        }
        let failure = Failure { message: shortened(failure.message), ..failure };
        out.push(Action::Log(Some(trial), Event::Failed { failure, retry }));
        if !retry {
            self.queue.close(trial);
        }
        retry.then_some(AfterExit::Retry(trial))
    }

    /// Logs that an attempt failed by what is no fault of the trial: it is tried again in any case.
    fn fail_uncounted(
        &mut self,
        slot: Slot,
        trial: TrialId,
        failure: Failure,
        out: &mut Vec<Action>,
    ) -> AfterExit {
        let failure = Failure { message: shortened(failure.message), ..failure };
        let (kind, why) = (failure.kind.clone(), failure.message.clone());
        out.push(Action::Log(Some(trial), Event::Failed { failure, retry: true }));
        match kind {
            FailureKind::DiskFull => {
                if !std::mem::replace(&mut self.awaits_space, true) {
                    out.push(Action::AwaitSpace(trial));
                }
                AfterExit::Resume(trial)
            }
            FailureKind::Shortage => {
                self.slots.set_shortage(slot, why);
                AfterExit::Resume(trial)
            }
            FailureKind::DeviceLost => {
                self.note_loss(slot, trial, &why, out);
                AfterExit::Resume(trial)
            }
            _ => AfterExit::Retry(trial),
        }
    }

    /// The failure of a trial whose worker was killed by SIGBUS while it used the cache: a mapped entry was cut, or its
    /// disk cannot be read. The next attempt checks every entry when it opens it.
    fn lost_pages(&self, trial: TrialId, failure: &Failure) -> Option<Failure> {
        let uses_cache = self.terms.has_cache && !self.attempts.measures(trial).without_cache;
        let message = "an entry of the cache lost pages while the trial used it (signal SIGBUS)".to_owned();
        (failure.kind == FailureKind::Signal(SIGBUS) && uses_cache)
            .then_some(Failure { kind: FailureKind::Cache, message })
    }
}
