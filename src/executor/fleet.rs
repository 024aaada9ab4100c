//! The jobs of a sweep on a Slurm cluster: as many as there is work for, each looked for before it is asked for again.
//!
//! One query tells of all jobs at each interval. What Slurm says decides nothing about trials: their workers' files do. A
//! query that fails means that nothing is known, and a job counts as submitted from the moment at which that was intended.

mod back_off;
mod books;
mod notes;
mod roster;

use std::{path::PathBuf, sync::PoisonError, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use self::books::{Books, Decision};
pub use self::notes::{ClusterStatus, JobStatus, WorkerStatus, prefix};
pub(super) use self::roster::{Known, Roster};
use super::post::PostEvent;
use crate::{
    mailbox::{CLUSTER, LOGS, Mailbox, PROBE},
    results::Tenure,
    slurm::{BatchJob, Slurm, SlurmOptions, Submission, script},
};

/// How the jobs of a run are submitted.
#[derive(Clone, Debug)]
pub struct SlurmRun {
    /// Slurm's commands.
    pub slurm: Slurm,
    /// What the spec asks for.
    pub options: SlurmOptions,
    /// This program, at a path that nodes see.
    pub program: PathBuf,
}

/// What a run wants of its jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Trials that wait or run.
    pub(super) open: usize,
    /// Trials that have come to their ends in this run, in whatever way: a sign that workers are of use.
    pub(super) ended: usize,
}

/// The jobs of a run.
pub(super) struct Fleet {
    run: SlurmRun,
    mailbox: Mailbox,
    template: BatchJob,
    demand: watch::Receiver<Demand>,
    roster: Roster,
    events: mpsc::UnboundedSender<PostEvent>,
    tenure: Tenure,
    books: Books,
}

impl Fleet {
    /// The jobs of the sweep in `folder`, an absolute path; those that an earlier run has noted are known.
    pub(super) fn new(
        run: SlurmRun,
        mailbox: Mailbox,
        folder: PathBuf,
        demand: watch::Receiver<Demand>,
        roster: Roster,
        events: mpsc::UnboundedSender<PostEvent>,
        tenure: Tenure,
    ) -> Self {
        let prefix = prefix(&folder);
        let template = batch_job(String::new(), run.program.clone(), folder);
        let books = Books::new(prefix, notes::read_jobs(&mailbox), run.options.poll);
        Self { run, mailbox, template, demand, roster, events, tenure, books }
    }

    /// Keeps the jobs until the run is over.
    pub(super) async fn keep(mut self) {
        loop {
            let decisions = self.look().await;
            for decision in decisions {
                // After a pause of this process, the jobs may be another one's.
                if self.tenure.check().is_err() || self.perform(decision).await.is_none() {
                    return;
                }
            }
            if self.tenure.check().is_err() {
                return;
            }
            self.report();
            let changed = async {
                // Nothing is asked more often than that, whatever changes.
                sleep(self.run.options.poll.min(Duration::from_secs(1))).await;
                let before = *self.demand.borrow_and_update();
                while self.demand.changed().await.is_ok() {
                    if self.demand.borrow().open > before.open {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(self.run.options.poll, changed).await;
        }
    }

    async fn look(&mut self) -> Vec<Decision> {
        let queue = if self.books.may_ask(Instant::now()) {
            Some(self.run.slurm.queue(self.books.prefix()).await)
        } else {
            None
        };
        let demand = *self.demand.borrow();
        let roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted = self.wanted(demand);
        let now = Instant::now();
        match queue {
            Some(Ok(jobs)) => self.books.on_queue(&jobs, &roster, now),
            Some(Err(error)) => self.books.on_silence(&error.to_string(), now),
            None => {}
        }
        self.books.decide(wanted, demand.ended, self.run.options.pending_max, &roster, now)
    }

    /// Jobs that there is work for.
    fn wanted(&self, demand: Demand) -> usize {
        if demand.open == 0 {
            return 0;
        }
        self.run.options.workers_for(demand.open)
    }

    /// Does one thing; `None` once the run needs no more jobs, or can have none.
    async fn perform(&mut self, decision: Decision) -> Option<()> {
        match decision {
            Decision::Submit(name) => self.submit(name).await,
            Decision::Explain(id) => {
                let report = self.run.slurm.report(id).await;
                let text = self.books.explain(id, report.as_ref(), &self.template);
                self.tell(PostEvent::Warning(text));
            }
            Decision::Cancel(id) => {
                // Tried again at the next look, if it is needed still.
                let _ = self.run.slurm.cancel(&[id]).await;
            }
            Decision::Forget(name) => notes::forget_job(&self.mailbox, &name),
            Decision::Say(text) => self.tell(PostEvent::Warning(text)),
            Decision::GiveUp(why) => {
                self.tell(PostEvent::NoMoreWorkers(why));
                return None;
            }
        }
        Some(())
    }

    async fn submit(&mut self, name: String) {
        // One of those before it may have failed.
        if !self.books.may_submit(Instant::now()) {
            return;
        }
        let job = BatchJob { name: name.clone(), ..self.template.clone() };
        let script = match script(&self.run.options, &job) {
            Ok(script) => script,
            Err(error) => return self.books.on_refusal(&name, &error.to_string(), Instant::now()),
        };
        // The intention first: whatever happens then, the job is looked for by its name.
        if let Err(error) = notes::note_job(&self.mailbox, &name, None) {
            return self.books.on_unclear(&format!("it cannot be noted: {error}"), Instant::now());
        }
        self.books.intend(&name);
        match self.run.slurm.submit(&script).await {
            Submission::Submitted(id) => {
                self.books.on_submitted(&name, id);
                // Without the number it is found by its name.
                let _ = notes::note_job(&self.mailbox, &name, Some(id));
            }
            Submission::Unclear(why) => self.books.on_unclear(&why, Instant::now()),
            Submission::Refused(words) => {
                notes::forget_job(&self.mailbox, &name);
                self.books.on_refusal(&name, &words, Instant::now());
            }
        }
    }

    fn tell(&self, event: PostEvent) {
        let _ = self.events.send(event);
    }

    /// Writes what `sweep status` shows, and tells the progress display.
    fn report(&self) {
        let roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = self.books.status(&roster);
        let _ = self.mailbox.write(&self.mailbox.status(), &status);
        self.tell(PostEvent::Status(status.line()));
    }
}

/// A job of the sweep in `folder`, an absolute path.
#[must_use]
pub fn batch_job(name: String, program: PathBuf, folder: PathBuf) -> BatchJob {
    let root = folder.join(CLUSTER);
    BatchJob { name, program, logs: root.join(LOGS), probe: root.join(PROBE), folder }
}

/// Ends all jobs of a sweep that wait, and those that run too if `all`.
///
/// # Errors
/// When Slurm cannot be asked.
pub async fn cancel_jobs(slurm: &Slurm, prefix: &str, all: bool) -> Result<usize, crate::slurm::SlurmError> {
    use crate::slurm::JobState;
    let jobs = slurm.queue(prefix).await?;
    let is_meant = |state: &JobState| if all { state.is_alive() } else { *state == JobState::Pending };
    let ids: Vec<u64> = jobs.iter().filter(|job| is_meant(&job.state)).map(|job| job.id).collect();
    if !ids.is_empty() {
        slurm.cancel(&ids).await?;
    }
    Ok(ids.len())
}
