//! What a spec asks of Slurm.

use std::time::Duration;

use crate::byte_size::ByteSize;

/// Keys of `[executor]`.
pub const KEYS: [&str; 16] = [
    "kind",
    "mode",
    "workers",
    "partition",
    "account",
    "qos",
    "time",
    "gpus",
    "cpus",
    "memory",
    "constraint",
    "extra",
    "setup",
    "poll",
    "lost_after",
    "pending",
];
/// Workers where a spec does not say how many; there are never more than trials.
pub const WORKERS_DEFAULT_MAX: usize = 16;
/// The most workers, and the most jobs that wait at once.
pub const JOBS_MAX: u32 = 10_000;
/// The most processors of a job.
pub const CPUS_MAX: u32 = 1024;
/// The shortest time limit of a job: Slurm counts minutes.
pub const TIME_MIN: Duration = Duration::from_mins(1);
/// The shortest time between two looks at the queue.
pub const POLL_MIN: Duration = Duration::from_secs(1);
/// The shortest silence after which a worker counts as lost.
pub const LOST_AFTER_MIN: Duration = Duration::from_secs(5);
/// The most GPUs of a job.
const GPUS_MAX: u32 = 64;

/// How jobs get trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Identical jobs pull trials one after another, and leave when there is nothing left.
    #[default]
    Pilot,
    /// Each job runs one trial.
    JobPerTrial,
}

impl Mode {
    /// Each mode with its spelling in a spec.
    pub const NAMES: [(&'static str, Self); 2] =
        [("pilot", Self::Pilot), ("job-per-trial", Self::JobPerTrial)];

    /// The word for it in a spec.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pilot => "pilot",
            Self::JobPerTrial => "job-per-trial",
        }
    }
}

/// How a sweep uses a cluster: `[executor]` with `kind = "slurm"`. Nothing of it changes a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmOptions {
    /// How jobs get trials.
    pub mode: Mode,
    /// Workers at once; `None`: as many as there are trials, at most [`WORKERS_DEFAULT_MAX`].
    pub workers: Option<usize>,
    /// The partition; `None`: the cluster's default.
    pub partition: Option<String>,
    /// The account that jobs are charged to; `None`: the user's default.
    pub account: Option<String>,
    /// The quality of service; `None`: the default.
    pub qos: Option<String>,
    /// The time limit of a job; `None`: the partition's.
    pub time: Option<Duration>,
    /// GPUs of a job, such as `1` or `a100:2`; `None`: none.
    pub gpus: Option<String>,
    /// Processors of a job.
    pub cpus: usize,
    /// Memory of a job; `None`: the partition's default.
    pub memory: Option<ByteSize>,
    /// Features that nodes must have.
    pub constraint: Option<String>,
    /// Further options of sbatch, such as `--exclude=n7`.
    pub extra: Vec<String>,
    /// Lines of shell before the worker starts.
    pub setup: Vec<String>,
    /// The time between two looks at the queue.
    pub poll: Duration,
    /// The silence after which a worker counts as lost.
    pub lost_after: Duration,
    /// The most jobs that wait at once.
    pub pending_max: usize,
}

impl Default for SlurmOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Pilot,
            workers: None,
            partition: None,
            account: None,
            qos: None,
            time: None,
            gpus: None,
            cpus: 1,
            memory: None,
            constraint: None,
            extra: Vec::new(),
            setup: Vec::new(),
            poll: Duration::from_secs(15),
            lost_after: Duration::from_mins(2),
            pending_max: 50,
        }
    }
}

impl SlurmOptions {
    /// The workers of a sweep that has so many trials to run.
    #[must_use]
    pub fn workers_for(&self, trials: usize) -> usize {
        self.workers.unwrap_or(WORKERS_DEFAULT_MAX).min(trials).max(1)
    }
}

/// GPUs as a spec writes them, in the form that Slurm takes after `gpu:`: `2`, or `a100:2`. `None` if that is not what
/// `words` says.
pub(crate) fn gpus_of_words(words: &str) -> Option<String> {
    let (kind, count) = match words.split_once(':') {
        Some((kind, count)) => (Some(kind), count),
        None => (None, words),
    };
    let is_kind = |kind: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        // `gpu` is the name of the resource, not a kind of it.
        kind != "gpu" && kind.chars().all(is_allowed) && kind.contains(|c: char| c.is_ascii_alphabetic())
    };
    let is_count = count.bytes().all(|byte| byte.is_ascii_digit())
        && count.parse::<u32>().is_ok_and(|count| (1..=GPUS_MAX).contains(&count));
    (is_count && kind.is_none_or(is_kind)).then(|| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_a_number_or_a_kind_with_a_number() {
        for good in ["1", "4", "a100:2", "nvidia_h100_80gb:8", "1g.5gb:1"] {
            assert_eq!(gpus_of_words(good).as_deref(), Some(good));
        }
        for wrong in [
            "",
            "0",
            "65",
            "+1",
            "a100",
            "a100:",
            ":1",
            "a100:0",
            "0:1",
            "gpu:2",
            "gpu:a100:2",
            "a b:1",
            "a\n:1",
        ] {
            assert_eq!(gpus_of_words(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn there_are_never_more_workers_than_trials_and_always_one() {
        let options = SlurmOptions::default();
        assert_eq!([0, 3, 16, 17].map(|trials| options.workers_for(trials)), [1, 3, 16, 16]);
        let options = SlurmOptions { workers: Some(40), ..options };
        assert_eq!([12, 400].map(|trials| options.workers_for(trials)), [12, 40]);
    }

    #[test]
    fn a_mode_has_the_name_that_a_spec_gives_it() {
        assert!(Mode::NAMES.iter().all(|(name, mode)| mode.as_str() == *name));
    }
}
