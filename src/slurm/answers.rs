//! What Slurm's commands print, read as text.
//!
//! A line that is not understood is left out, and a state that is unknown is kept as it is: newer versions have more of
//! them.

use std::fmt;

/// A job as squeue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its number. It stays the same when the job is requeued.
    pub id: u64,
    /// Its state.
    pub state: JobState,
    /// Why it waits, or how it ended, in Slurm's words.
    pub reason: String,
    /// The node that it runs or ran on; empty while it waits.
    pub node: String,
    /// Its name.
    pub name: String,
}

/// The state of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits. A job that ran and was requeued waits again.
    Pending,
    /// It runs.
    Running,
    /// Its processes end.
    Ending,
    /// It was stopped, and may go on.
    Suspended,
    /// It is over, in Slurm's word, such as `TIMEOUT`.
    Ended(String),
    /// This version does not know the state.
    Other(String),
}

impl JobState {
    /// The state that Slurm calls so.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        // sacct writes `CANCELLED by 1000`, and a `+` where a column is too narrow.
        let word = word.split_whitespace().next().unwrap_or_default().trim_end_matches('+');
        match word {
            "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "RESV_DEL_HOLD"
            | "SPECIAL_EXIT" | "POWER_UP_NODE" => Self::Pending,
            "RUNNING" | "RESIZING" | "SIGNALING" | "EXPEDITING" => Self::Running,
            "COMPLETING" | "STAGE_OUT" | "UPDATE_DB" => Self::Ending,
            "SUSPENDED" | "STOPPED" => Self::Suspended,
            "COMPLETED" | "FAILED" | "CANCELLED" | "TIMEOUT" | "NODE_FAIL" | "PREEMPTED"
            | "OUT_OF_MEMORY" | "BOOT_FAIL" | "DEADLINE" | "LAUNCH_FAILED" | "RECONFIG_FAIL" | "REVOKED" => {
                Self::Ended(word.to_owned())
            }
            _ => Self::Other(word.to_owned()),
        }
    }

    /// Whether the job has a node, or will have one.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("pending"),
            Self::Running => f.write_str("running"),
            Self::Ending => f.write_str("ending"),
            Self::Suspended => f.write_str("suspended"),
            Self::Ended(word) | Self::Other(word) => f.write_str(&word.to_lowercase().replace('_', " ")),
        }
    }
}

/// What the controller knows of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// Its state.
    pub state: JobState,
    /// Why it waits, or how it ended, in Slurm's words.
    pub reason: String,
    /// The exit code of the batch script.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The node that it runs or ran on; empty if there is none.
    pub node: String,
}

/// The format of squeue that [`queued_jobs`] reads. The name comes last, since it may hold anything.
pub(super) const QUEUE_FORMAT: &str = "%i|%T|%r|%N|%j";

/// The jobs of squeue's output whose names begin with `prefix`.
pub(super) fn queued_jobs(text: &str, prefix: &str) -> Vec<QueuedJob> {
    text.lines().filter_map(queued_job).filter(|job| job.name.starts_with(prefix)).collect()
}

fn queued_job(line: &str) -> Option<QueuedJob> {
    let mut fields = line.splitn(5, '|');
    let mut next = || fields.next().map(str::trim);
    let id = next()?.parse().ok()?;
    let state = JobState::of_word(next()?);
    let [reason, node, name] = [next()?, next()?, next()?].map(ToOwned::to_owned);
    let reason = reason.trim_matches(['(', ')']).to_owned();
    Some(QueuedJob { id, state, reason, node, name })
}

/// The number of a job that `sbatch --parsable` has submitted: `17`, or `17;cluster`.
pub(super) fn submitted_id(text: &str) -> Option<u64> {
    let is_id = |line: &str| line.trim().split(';').next().and_then(|id| id.parse().ok());
    text.lines().rev().find_map(is_id)
}

/// The job of the output of `scontrol show job ID`; `None` if it says nothing of a job.
pub(super) fn job_report(text: &str) -> Option<JobReport> {
    let state = JobState::of_word(field(text, "JobState")?);
    let ended = field(text, "ExitCode").and_then(|code| code.split_once(':'));
    let (exit_code, signal) =
        ended.map_or((None, None), |(code, signal)| (code.parse().ok(), signal.parse().ok()));
    let is_node = |node: &&str| !node.is_empty() && *node != "(null)";
    let node = field(text, "BatchHost").filter(is_node).or_else(|| field(text, "NodeList").filter(is_node));
    Some(JobReport {
        state,
        // Slurm writes spaces as underscores here, and as spaces in squeue.
        reason: field(text, "Reason").unwrap_or_default().to_owned(),
        exit_code,
        signal: signal.filter(|signal| *signal != 0),
        node: node.unwrap_or_default().to_owned(),
    })
}

/// The value of `key` in a text of `Key=Value` words.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_line_by_line() {
        let text = "101|RUNNING|None|n1|sweep-a-w1\n102|PENDING|Resources||sweep-a-w2\n\
                    103|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-4]||sweep-a-w3\n";
        let jobs = queued_jobs(text, "sweep-a-");
        assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [101, 102, 103]);
        assert_eq!((&jobs[0].state, jobs[0].node.as_str()), (&JobState::Running, "n1"));
        assert_eq!(
            (&jobs[1].state, jobs[1].reason.as_str(), jobs[1].node.as_str()),
            (&JobState::Pending, "Resources", "")
        );
        assert_eq!(jobs[2].reason, "ReqNodeNotAvail, UnavailableNodes:n[1-4]");
    }

    #[test]
    fn only_jobs_of_the_prefix_are_ours() {
        let text =
            "1|RUNNING|None|n1|sweep-a-w1\n2|RUNNING|None|n1|train.py\n3|RUNNING|None|n1|sweep-ab-w1\n";
        assert_eq!(queued_jobs(text, "sweep-a-").len(), 1);
    }

    #[test]
    fn a_name_with_bars_is_a_name() {
        let jobs = queued_jobs("7|RUNNING|None|n1|sweep-a|b|c\n", "sweep-a");
        assert_eq!(jobs[0].name, "sweep-a|b|c");
    }

    #[test]
    fn lines_that_say_nothing_of_a_job_are_left_out() {
        let text = "CLUSTER: big\n\n4_[1-9]|PENDING|None||sweep-a-array\n5|RUNNING\nx|RUNNING|None|n1|sweep-a-w1\n\
                    6|RUNNING|None|n1|sweep-a-w2\n";
        let jobs = queued_jobs(text, "sweep-a-");
        assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn every_state_of_slurm_has_a_meaning_and_an_unknown_one_is_kept() {
        for (word, state) in [
            ("PENDING", JobState::Pending),
            ("CONFIGURING", JobState::Pending),
            ("REQUEUE_HOLD", JobState::Pending),
            ("RUNNING", JobState::Running),
            ("COMPLETING", JobState::Ending),
            ("STAGE_OUT", JobState::Ending),
            ("SUSPENDED", JobState::Suspended),
            ("CANCELLED by 1000", JobState::Ended("CANCELLED".to_owned())),
            ("OUT_OF_ME+", JobState::Other("OUT_OF_ME".to_owned())),
            ("NODE_FAIL", JobState::Ended("NODE_FAIL".to_owned())),
            ("PREEMPTED", JobState::Ended("PREEMPTED".to_owned())),
            ("HIBERNATING", JobState::Other("HIBERNATING".to_owned())),
            ("", JobState::Other(String::new())),
        ] {
            assert_eq!(JobState::of_word(word), state, "{word}");
        }
        assert_eq!(JobState::of_word("NODE_FAIL").to_string(), "node fail");
    }

    #[test]
    fn the_number_of_a_new_job_is_read_with_its_cluster_and_behind_other_words() {
        assert_eq!(submitted_id("17\n"), Some(17));
        assert_eq!(submitted_id("17;big\n"), Some(17));
        assert_eq!(submitted_id("Welcome to big!\n17\n"), Some(17));
        assert_eq!(submitted_id("Submitted batch job\n"), None);
        assert_eq!(submitted_id(""), None);
    }

    /// What scontrol prints, shortened.
    const SHOWN: &str = "JobId=12 JobName=sweep-a-w7\n   UserId=ann(1000) GroupId=ann(1000) MCS_label=N/A\n   \
                         JobState=FAILED Reason=NonZeroExitCode Dependency=(null)\n   \
                         Requeue=1 Restarts=1 BatchFlag=1 Reboot=0 ExitCode=3:0\n   \
                         Partition=main AllocNode:Sid=login1:2318\n   ReqNodeList=(null) ExcNodeList=(null)\n   \
                         NodeList=n2\n   BatchHost=n2\n";

    #[test]
    fn a_report_has_state_reason_exit_code_and_node() {
        let report = job_report(SHOWN).unwrap();
        assert_eq!(report.state, JobState::Ended("FAILED".to_owned()));
        assert_eq!((report.reason.as_str(), report.node.as_str()), ("NonZeroExitCode", "n2"));
        assert_eq!((report.exit_code, report.signal), (Some(3), None));
    }

    #[test]
    fn a_signal_stands_behind_the_exit_code() {
        let report = job_report(&SHOWN.replace("ExitCode=3:0", "ExitCode=0:9")).unwrap();
        assert_eq!((report.exit_code, report.signal), (Some(0), Some(9)));
    }

    #[test]
    fn a_job_without_a_node_has_none() {
        let text = SHOWN.replace("NodeList=n2\n   BatchHost=n2\n", "NodeList=(null)\n");
        assert_eq!(job_report(&text).unwrap().node, "");
        let text = SHOWN.replace("NodeList=n2\n   BatchHost=n2\n", "NodeList=\n");
        assert_eq!(job_report(&text).unwrap().node, "");
    }

    #[test]
    fn a_text_without_a_job_is_no_report() {
        assert_eq!(job_report("slurm_load_jobs error: Invalid job id specified"), None);
        assert_eq!(job_report(""), None);
    }
}
