//! What workers of a cluster are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of one life of a pilot: a job that Slurm starts again is another worker. Letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerName(String);

impl WorkerName {
    /// The worker called `text`, if that can be a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (!text.is_empty() && text.chars().all(is_plain)).then(|| Self(text.to_owned()))
    }

    /// A name that no other life of a pilot has: the job, how often it was started before, and the process.
    #[must_use]
    pub fn new(job: Option<u64>, restarts: u32, host: &str, pid: u32) -> Self {
        let host: String = host.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_millis());
        Self(format!("{}-{restarts}-{host}-{pid}-{since:x}", job.unwrap_or(0)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
