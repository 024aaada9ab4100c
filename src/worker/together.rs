//! Trials that one worker trains together: each one's reports and its end go out by its own number.

use std::{
    fs::File,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    endings::{ended, failure_of, panicked},
    output::Closed,
    reporter::{Reporter, Talk},
    server::Server,
    training::Train,
};
use crate::{
    job::Job,
    protocol::{Assignment, WorkerLine},
    results::TrialFolder,
    train::{Ending, Entrant, Listener, Report, Stopped, TrainError},
};

/// One of the trials.
struct Member {
    reporter: Reporter,
    /// Its folder, locked until it is over.
    lock: Option<File>,
    is_over: bool,
}

/// Hears of the trials, and sends the lines about them.
struct Company<'a, W> {
    talk: Talk<'a, W>,
    members: Vec<Member>,
    /// The GPU memory that this process has, when it is to be told.
    measure: &'a mut dyn FnMut() -> Option<u64>,
    /// Whether a trial has failed after which the worker leaves. The others save what they have and stop; nobody hears
    /// of them any more.
    must_leave: bool,
}

impl<W: Write> Listener for Company<'_, W> {
    fn on_report(&mut self, trial: usize, report: Report) -> Result<(), Stopped> {
        if self.must_leave && !matches!(report, Report::Saving) {
            Err(Stopped)
        } else {
            self.talk.on_report(&mut self.members[trial].reporter, report)
        }
    }

    fn on_end(&mut self, trial: usize, ending: Result<Ending, TrainError>) {
        let member = &mut self.members[trial];
        // Before the line: its next attempt may begin at once.
        (member.is_over, member.lock) = (true, None);
        // After a panic of another thread, what a trial has come to means nothing.
        if self.must_leave || self.talk.panics.elsewhere().is_some() {
            return;
        }
        if matches!(ending, Ok(Ending::Complete(_)))
            && let Some(bytes) = (self.measure)()
        {
            let _ = self.talk.send(&WorkerLine::GpuMemory(member.reporter.trial, bytes));
        }
        let line = ended(member.reporter.trial, ending, member.reporter.not_finite);
        if let WorkerLine::Failed(_, failure) = &line {
            let is_last = self.members.iter().all(|member| member.is_over);
            self.must_leave = is_last || !failure.kind.is_of_trial_alone();
        }
        // A closed output stops the others at their next report.
        let _ = self.talk.send(&line);
    }
}

impl<W: Write> Server<W> {
    /// Trains several trials together, and says how each of them ended. Returns whether the worker can take others.
    pub(super) fn together(&mut self, orders: &[Assignment], train: &mut dyn Train) -> Result<bool, Closed> {
        let mut begun: Vec<(&Assignment, TrialFolder, Job)> = Vec::with_capacity(orders.len());
        let mut members = Vec::with_capacity(orders.len());
        for order in orders {
            match self.begin(order) {
                Ok((folder, lock, job)) => {
                    begun.push((order, folder, job));
                    members.push(Member { reporter: Reporter::new(order.trial), lock, is_over: false });
                }
                Err(line) => {
                    self.send(&line)?;
                    if matches!(*line, WorkerLine::Failed(..)) {
                        return Ok(false);
                    }
                }
            }
        }
        let entrants: Vec<Entrant<'_>> = begun
            .iter()
            .map(|(order, folder, job)| Entrant { job, attempt: order.attempt, folder: folder.place() })
            .collect();
        let talk = Talk::new(&mut self.output, &self.requests.stop, &self.panics);
        let mut company = Company { talk, members, measure: &mut *self.measure, must_leave: false };
        // After a panic nothing of the trials is used again: the process leaves.
        let trained = catch_unwind(AssertUnwindSafe(|| train.together(&entrants, &mut company)));
        let failure = match (trained, self.panics.elsewhere()) {
            (_, Some(elsewhere)) => Some(panicked(elsewhere)),
            (Ok(Ok(())), None) => None,
            (Ok(Err(error)), None) => Some(failure_of(&error)),
            (Err(_), None) => Some(panicked(&self.panics.last())),
        };
        if let Some(failure) = failure.filter(|_| !company.must_leave) {
            company.must_leave = true;
            company.talk.send(&WorkerLine::AllFailed(failure))?;
        }
        if company.talk.is_closed { Err(Closed) } else { Ok(!company.must_leave) }
    }
}
