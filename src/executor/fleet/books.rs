//! What is known of jobs, and what follows: decisions only, which the clock is passed to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    back_off::BackOff,
    notes::{ClusterStatus, JobNote, JobStatus, WorkerStatus},
    roster::Known,
};
use crate::{
    slurm::{BatchJob, JobReport, JobState, QueuedJob, advice, is_limit},
    system::clock,
};

/// The longest time between two submissions after some that failed.
const SUBMIT_PAUSE_MAX: Duration = Duration::from_mins(10);
/// The longest time between two questions after some that were not answered.
const ASK_PAUSE_MAX: Duration = Duration::from_mins(2);
/// So many jobs in a row that ended without a worker, or whose workers ended without a trial's end, are enough.
const VAIN_MAX: usize = 5;
/// How long a job that Slurm does not list may be unlisted before it counts as gone: a controller that was started again
/// may not know of it at once.
const GRACE: Duration = Duration::from_secs(30);
/// The state of a job that Slurm does not list any more.
const UNLISTED: &str = "UNLISTED";
/// The exit code of a batch script on a node that does not see the sweep's folder.
const NO_FOLDER: i32 = 66;

/// A job.
#[derive(Debug)]
struct Job {
    id: Option<u64>,
    /// It was submitted by an earlier run: its end says nothing about this one's jobs.
    is_inherited: bool,
    state: JobState,
    /// Since when it runs on its node without interruption, as far as was seen.
    running_since: Option<Instant>,
    reason: String,
    node: String,
    /// Since when Slurm does not list it, by queries that were answered.
    unlisted: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Submit a job of this name.
    Submit(String),
    /// Find out why a job ended before its worker was there.
    Explain(u64),
    /// End a job.
    Cancel(u64),
    /// Forget the note of a job that is over.
    Forget(String),
    /// Tell the user.
    Say(String),
    /// Submit no more, and end the run if nobody else does its trials.
    GiveUp(String),
}

/// What is known of jobs.
#[derive(Debug)]
pub(super) struct Books {
    prefix: String,
    jobs: BTreeMap<String, Job>,
    /// The number in the name of the next job.
    next: u64,
    /// Jobs that ended for nothing since the latest end of a trial.
    vain: usize,
    /// Ends of trials, and how many jobs may end after them without having been for nothing.
    ended: usize,
    excused: usize,
    poll: Duration,
    asking: BackOff,
    submitting: BackOff,
    said: BTreeSet<String>,
    words: Option<String>,
    /// Why Slurm takes no job of this kind at all.
    refused: Option<String>,
    is_known: bool,
    latest_reason: String,
}

impl Books {
    pub(super) fn new(prefix: String, noted: Vec<JobNote>, poll: Duration) -> Self {
        let number = |name: &str| name.strip_prefix(&prefix)?.parse::<u64>().ok();
        let next = noted.iter().filter_map(|job| number(&job.name)).max().map_or(1, |last| last + 1);
        let job = |note: JobNote| {
            let state = JobState::Other("unknown".to_owned());
            (note.name, Job { state, is_inherited: true, ..Job::unknown(note.id) })
        };
        Self {
            jobs: noted.into_iter().map(job).collect(),
            prefix,
            next,
            vain: 0,
            ended: 0,
            excused: 0,
            poll,
            asking: BackOff::new(poll, ASK_PAUSE_MAX),
            submitting: BackOff::new(poll, SUBMIT_PAUSE_MAX),
            said: BTreeSet::new(),
            words: None,
            refused: None,
            is_known: false,
            latest_reason: String::new(),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Takes in an answer to the query.
    pub(super) fn on_queue(&mut self, listed: &[QueuedJob], roster: &[Known], now: Instant) {
        self.is_known = true;
        self.asking.end();
        for queued in listed {
            self.note_number(&queued.name);
            // One that is over was of an earlier run.
            if !self.jobs.contains_key(&queued.name) && !queued.state.is_alive() {
                continue;
            }
            let job = self.jobs.entry(queued.name.clone()).or_insert_with(|| Job::unknown(None));
            job.id = Some(queued.id);
            let goes_on = job.state == queued.state && job.node == queued.node;
            let since = job.running_since.filter(|_| goes_on).unwrap_or(now);
            job.running_since = (queued.state == JobState::Running).then_some(since);
            job.state = queued.state.clone();
            job.reason.clone_from(&queued.reason);
            job.node.clone_from(&queued.node);
            job.unlisted = None;
        }
        for (name, job) in &mut self.jobs {
            if listed.iter().any(|queued| queued.name == *name) {
                continue;
            }
            let since = *job.unlisted.get_or_insert(now);
            // What its worker writes is better than what Slurm does not say.
            let is_heard = roster.iter().any(|known| known.is_of(name) && known.is_there());
            if !is_heard && now.duration_since(since) >= GRACE.max(2 * self.poll) {
                job.state = JobState::Ended(UNLISTED.to_owned());
            }
        }
    }

    /// Notes that a name is taken.
    fn note_number(&mut self, name: &str) {
        let number = name.strip_prefix(&self.prefix).and_then(|number| number.parse::<u64>().ok());
        self.next = self.next.max(number.map_or(0, |number| number + 1));
    }

    /// Slurm did not say which jobs there are: nothing is known.
    pub(super) fn on_silence(&mut self, why: &str, now: Instant) {
        let pause = self.asking.begin(now).as_secs();
        self.words = Some(format!(
            "Slurm does not answer ({why}): jobs and their trials go on, and it is asked again in {pause} s"
        ));
    }

    /// Whether Slurm is to be asked which jobs there are.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.asking.is_over(now)
    }

    /// A submission failed, or it is not clear whether it did: nothing is submitted for a while.
    pub(super) fn on_unclear(&mut self, why: &str, now: Instant) {
        let pause = self.submitting.begin(now).as_secs();
        self.words = Some(format!(
            "a job could not be submitted for certain ({why}): it is looked for by its name, and others are submitted \
             in {pause} s"
        ));
    }

    /// Slurm did not take a job. Where others of the user or of the account stand in its way, it may later.
    pub(super) fn on_refusal(&mut self, name: &str, words: &str, now: Instant) {
        self.jobs.remove(name);
        let pause = self.submitting.begin(now).as_secs();
        let advice = advice(words).map_or_else(String::new, |advice| format!("; {advice}"));
        if is_limit(words) {
            self.words = Some(format!("Slurm takes no job now: {words}{advice}; tried again in {pause} s"));
        } else {
            self.words = Some(format!("Slurm does not take a job: {words}{advice}"));
            self.refused = Some(format!("{words}{advice}"));
        }
    }

    /// Whether jobs may be submitted now.
    pub(super) fn may_submit(&self, now: Instant) -> bool {
        self.is_known && self.asking.is_at_rest() && self.submitting.is_over(now)
    }

    pub(super) fn intend(&mut self, name: &str) {
        self.note_number(name);
        self.jobs.insert(name.to_owned(), Job::unknown(None));
    }

    pub(super) fn on_submitted(&mut self, name: &str, id: u64) {
        self.submitting.end();
        self.refused = None;
        self.note_number(name);
        let job = self.jobs.entry(name.to_owned()).or_insert_with(|| Job::unknown(None));
        (job.id, job.state) = (Some(id), JobState::Pending);
    }

    /// What is to be done so that `wanted` jobs are there.
    pub(super) fn decide(
        &mut self,
        wanted: usize,
        ended: usize,
        pending_max: usize,
        roster: &[Known],
        now: Instant,
    ) -> Vec<Decision> {
        let mut decisions: Vec<Decision> =
            self.words.take().and_then(|words| self.say(words)).into_iter().collect();
        if ended > self.ended {
            // The jobs of these trials may end later than they.
            self.excused = (self.excused + ended - self.ended).min(self.jobs.len());
            (self.ended, self.vain) = (ended, 0);
        }
        self.clear_ended(roster, &mut decisions);
        self.advise(&mut decisions);
        self.cancel_silent(roster, now, &mut decisions);
        let alive = self.jobs.len();
        if let Some(why) = self.hopeless(alive) {
            decisions.push(Decision::GiveUp(why));
            return decisions;
        }
        if !self.may_submit(now) {
            return decisions;
        }
        let is_waiting = |job: &&Job| !matches!(job.state, JobState::Running | JobState::Ending);
        let pending = self.jobs.values().filter(is_waiting).count();
        let count = wanted.saturating_sub(alive).min(pending_max.saturating_sub(pending));
        let names = (self.next..).take(count).map(|number| format!("{}{number}", self.prefix));
        decisions.extend(names.map(Decision::Submit));
        decisions
    }

    /// Forgets jobs that are over, and asks why those are that never had a worker.
    fn clear_ended(&mut self, roster: &[Known], decisions: &mut Vec<Decision>) {
        let over: Vec<String> =
            self.jobs.iter().filter(|(_, job)| !job.state.is_alive()).map(|(name, _)| name.clone()).collect();
        let (unlisted, mut has_lost_some) = (JobState::Ended(UNLISTED.to_owned()), false);
        for name in over {
            let Some(job) = self.jobs.remove(&name) else { continue };
            // One without a number was never listed: it was not submitted, as it turns out.
            if job.is_inherited || job.id.is_none() {
                decisions.push(Decision::Forget(name));
                continue;
            }
            // A controller may lose all jobs at once: that is one event.
            let is_counted = job.state != unlisted || !std::mem::replace(&mut has_lost_some, true);
            if self.excused > 0 {
                self.excused -= 1;
            } else if is_counted {
                self.vain += 1;
            }
            let had_worker = roster.iter().any(|known| known.is_of(&name));
            if let Some(id) = job.id.filter(|_| !had_worker) {
                self.latest_reason = format!("job {id} is {}", job.state);
                decisions.push(Decision::Explain(id));
            }
            decisions.push(Decision::Forget(name));
        }
    }

    /// Says once of each of Slurm's reasons what a user can do.
    fn advise(&mut self, decisions: &mut Vec<Decision>) {
        let waiting: Vec<(Option<u64>, String)> = self
            .jobs
            .values()
            .filter(|job| job.state == JobState::Pending)
            .map(|job| (job.id, job.reason.clone()))
            .collect();
        for (id, reason) in waiting {
            let Some(advice) = advice(&reason) else { continue };
            let id = id.map_or_else(String::new, |id| format!(" {id}"));
            if self.said.insert(reason.clone()) {
                decisions.push(Decision::Say(format!("job{id} waits ({reason}): {advice}")));
            }
        }
    }

    /// Ends the jobs of workers that stay silent long after they were lost: their places are needed.
    fn cancel_silent(&self, roster: &[Known], now: Instant, decisions: &mut Vec<Decision>) {
        for (name, job) in &self.jobs {
            let own = || roster.iter().filter(|known| known.is_of(name));
            let silent = own().filter_map(|known| known.lost).max();
            let is_heard = own().any(Known::is_there);
            // After a requeue, its next worker may be on its way.
            let is_long = |since: Instant| now.duration_since(since) >= 4 * GRACE;
            if let (Some(id), Some(lost), Some(running), false) =
                (job.id, silent, job.running_since, is_heard)
                && is_long(lost.max(running))
            {
                decisions.push(Decision::Cancel(id));
            }
        }
    }

    /// Why no further job is of use.
    fn hopeless(&self, alive: usize) -> Option<String> {
        if let Some(words) = self.refused.as_ref().filter(|_| alive == 0) {
            return Some(format!("Slurm does not take a job: {words}"));
        }
        (self.vain >= VAIN_MAX && alive == 0).then(|| {
            let why = if self.latest_reason.is_empty() {
                String::new()
            } else {
                format!(": {}", self.latest_reason)
            };
            format!("{} jobs ended one after another, and no trial with them{why}", self.vain)
        })
    }

    fn say(&mut self, text: String) -> Option<Decision> {
        // The same words again, with another number of seconds, are no news.
        let gist: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        self.said.insert(gist).then_some(Decision::Say(text))
    }

    /// Why a job ended before its worker was there, in words.
    pub(super) fn explain(&mut self, id: u64, report: Option<&JobReport>, job: &BatchJob) -> String {
        let node = report.map(|report| report.node.as_str()).filter(|node| !node.is_empty());
        let on = node.map_or_else(String::new, |node| format!(" on {node}"));
        let why = match report.and_then(|report| report.exit_code) {
            Some(NO_FOLDER) => format!(
                "the node does not see {}: results must be on a file system that all nodes share (--results DIR)",
                job.folder.display()
            ),
            Some(126 | 127) => format!(
                "the node cannot run {}: the program must be on a file system that all nodes share, and built for them",
                job.program.display()
            ),
            _ => {
                let state = report.map_or_else(|| "gone".to_owned(), |report| report.state.to_string());
                let reason =
                    report.map(|report| report.reason.as_str()).filter(|it| !it.is_empty() && *it != "None");
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("it is {state}{reason}; what it printed is in {}", job.logs.display())
            }
        };
        self.latest_reason = format!("job {id}{on} ended before its worker was there: {why}");
        self.latest_reason.clone()
    }

    /// The state for `sweep status`.
    pub(super) fn status(&self, roster: &[Known]) -> ClusterStatus {
        let jobs = self.jobs.iter().map(|(name, job)| JobStatus {
            name: name.clone(),
            id: job.id,
            state: job.state.to_string(),
            reason: job.reason.clone(),
            node: job.node.clone(),
        });
        let there = roster.iter().filter(|known| known.is_there());
        let workers = there
            .map(|known| WorkerStatus { job: known.registration.job, host: known.registration.host.clone() });
        ClusterStatus {
            at: clock::seconds(SystemTime::now()),
            jobs: jobs.collect(),
            workers: workers.collect(),
        }
    }
}

impl Job {
    const fn unknown(id: Option<u64>) -> Self {
        // An intention counts as a job: it may have been submitted.
        Self {
            id,
            is_inherited: false,
            state: JobState::Pending,
            running_since: None,
            reason: String::new(),
            node: String::new(),
            unlisted: None,
        }
    }
}

#[cfg(test)]
mod tests;
