//! What is written down of jobs: intentions, numbers, and the state that `sweep status` shows.

use std::{fmt::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::mailbox::Mailbox;

/// A job that was intended, and its number once that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobNote {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<u64>,
}

/// The state of a sweep's jobs and workers, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// Jobs, in the order of their names.
    pub jobs: Vec<JobStatus>,
    /// Workers that are there.
    pub workers: Vec<WorkerStatus>,
}

/// A job as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// Its number, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Its state, in words.
    pub state: String,
    /// Slurm's reason.
    pub reason: String,
    /// Its node.
    pub node: String,
}

/// A worker that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The number of its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// Its machine.
    pub host: String,
}

impl ClusterStatus {
    /// The workers and jobs by state, in a few words: `6 workers, 2 jobs pending (Priority)`.
    #[must_use]
    pub fn line(&self) -> String {
        let workers = self.workers.len();
        let mut text = format!("{workers} worker{}", if workers == 1 { "" } else { "s" });
        let mut states: Vec<&str> = self.jobs.iter().map(|job| job.state.as_str()).collect();
        states.sort_unstable();
        states.dedup();
        for state in states.into_iter().filter(|state| *state != "running") {
            let own: Vec<&JobStatus> = self.jobs.iter().filter(|job| job.state == state).collect();
            let mut reasons: Vec<&str> =
                own.iter().map(|job| job.reason.as_str()).filter(|it| is_reason(it)).collect();
            reasons.sort_unstable();
            reasons.dedup();
            let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
            let plural = if own.len() == 1 { "" } else { "s" };
            let _ = write!(text, ", {} job{plural} {state}{why}", own.len());
        }
        text
    }
}

fn is_reason(text: &str) -> bool {
    !text.is_empty() && text != "None"
}

/// What the names of a sweep's jobs begin with. It differs between folders, whatever their sweeps are called.
#[must_use]
pub fn prefix(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let token = digest.iter().take(3).fold(0_u32, |token, byte| token << 8 | u32::from(*byte));
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("sweep-{name}-{token:06x}-")
}

/// The jobs that were noted, and not forgotten.
pub(super) fn read_jobs(mailbox: &Mailbox) -> Vec<JobNote> {
    let names = mailbox.names(&mailbox.jobs()).unwrap_or_default();
    names.iter().filter_map(|name| mailbox.read(&mailbox.jobs().join(name)).ok()).collect()
}

pub(super) fn note_job(mailbox: &Mailbox, name: &str, id: Option<u64>) -> std::io::Result<()> {
    mailbox.write(&mailbox.jobs().join(format!("{name}.json")), &JobNote { name: name.to_owned(), id })
}

pub(super) fn forget_job(mailbox: &Mailbox, name: &str) {
    // A note that stays is of a job that nobody finds, and goes next time.
    let _ = mailbox.remove(&mailbox.jobs().join(format!("{name}.json")));
}
