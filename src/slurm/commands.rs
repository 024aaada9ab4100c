//! Running sbatch, squeue, scancel and scontrol, each within a time.
//!
//! A command that fails, or gives no answer in time, says nothing about jobs. After an unclear submission a job may be
//! there or not: it must be looked up by its name before another one is submitted.

use std::{
    ffi::OsStr,
    io,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use super::{
    answers::{self, JobReport, QueuedJob},
    error::SlurmError,
};
use crate::{
    display::{plain, shorten},
    error_chain::chain,
    system::{files::named, shortage::Shortage},
};

/// The time that a command has.
const LIMIT: Duration = Duration::from_secs(30);
/// Jobs that one call of scancel ends.
const CANCELLED_AT_ONCE: usize = 200;
/// Terminal columns of a command's words in a message.
const WORDS_COLUMNS_MAX: usize = 500;
/// Where programs are if the environment does not say it.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// Words by which a command says that it has not reached the controller: a job may have been made, or the next try may
/// succeed.
const OUT_OF_REACH: [&str; 12] = [
    "unable to contact",
    "timed out",
    "connection refused",
    "connect failure",
    "communication",
    "zero bytes",
    "standby mode",
    "temporarily",
    "try again",
    "authentication",
    "unexpected message",
    "munge",
];
/// Words of a controller or of sbatch itself that has made no job.
const REFUSING: [&str; 5] =
    ["submission failed", "invalid", "unrecognized", "can not be satisfied", "--help"];
/// Words of scancel about jobs that are over anyway.
const OVER_ANYWAY: [&str; 2] = ["invalid job id", "already completing or completed"];

/// Variables that change what the commands do or print, by how they begin: what a sweep asks stands in its arguments.
const MISLEADING: [&str; 3] = ["SQUEUE_", "SCANCEL_", "SCONTROL_"];
/// Slurm's other variables that count. What is left describes the job in which `sweep run` itself may run, and would
/// reach the jobs that it submits.
const KEPT: [&str; 5] = ["SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_UMASK"];
/// The GPUs of the job in which `sweep run` itself may run: Slurm sets them for jobs with GPUs alone.
const OWN_GPUS: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "GPU_DEVICE_ORDINAL"];
/// Variables that come before the lines of a batch script, for which sbatch would take them.
const OVERRIDING: [&str; 16] = [
    "SBATCH_ARRAY_INX",
    "SBATCH_JOB_NAME",
    "SBATCH_NO_REQUEUE",
    "SBATCH_OPEN_MODE",
    "SBATCH_OUTPUT",
    "SBATCH_ERROR",
    "SBATCH_INPUT",
    "SBATCH_REQUEUE",
    "SBATCH_SIGNAL",
    "SBATCH_WAIT",
    "SBATCH_TEST_ONLY",
    "SBATCH_PARSABLE",
    "SBATCH_WRAP",
    "SBATCH_NODES",
    "SBATCH_NTASKS",
    "SBATCH_CPUS_PER_TASK",
];
/// Options of a script with the variables that come before them; the variables of the others are the site's defaults.
const OVERRIDING_IF_SET: [(&str, &[&str]); 7] = [
    ("partition", &["SBATCH_PARTITION"]),
    ("account", &["SBATCH_ACCOUNT"]),
    ("qos", &["SBATCH_QOS"]),
    ("time", &["SBATCH_TIMELIMIT"]),
    ("gres", &["SBATCH_GRES", "SBATCH_GPUS", "SBATCH_GPUS_PER_NODE", "SBATCH_GPUS_PER_TASK"]),
    ("mem", &["SBATCH_MEM_PER_NODE", "SBATCH_MEM_PER_CPU", "SBATCH_MEM_PER_GPU"]),
    ("constraint", &["SBATCH_CONSTRAINT"]),
];

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// The job has this number.
    Submitted(u64),
    /// A job may have been made or not; the text says why that is unknown.
    Unclear(String),
    /// No job waits or runs; the text has Slurm's words. The queue may have a job of this name that failed at once.
    Refused(String),
}

/// Slurm's commands.
#[derive(Clone, Debug)]
pub struct Slurm {
    sbatch: PathBuf,
    squeue: PathBuf,
    scancel: PathBuf,
    scontrol: PathBuf,
    limit: Duration,
}

impl Slurm {
    /// The commands that the environment's `PATH` leads to.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn find() -> Result<Self, SlurmError> {
        Self::find_in(&std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into()))
    }

    fn find_in(path: &OsStr) -> Result<Self, SlurmError> {
        let find = |program: &'static str| {
            let places = std::env::split_paths(path).map(|folder| folder.join(program));
            // A folder of a `PATH` may be relative, and the working folder another one later.
            let mut places = places.filter(|place| named::is_file(place));
            let place = places.next().and_then(|place| std::path::absolute(place).ok());
            place.ok_or(SlurmError::Missing { program })
        };
        Ok(Self {
            sbatch: find("sbatch")?,
            squeue: find("squeue")?,
            scancel: find("scancel")?,
            scontrol: find("scontrol")?,
            limit: LIMIT,
        })
    }

    /// Submits a batch script.
    pub async fn submit(&self, script: &str) -> Submission {
        let mut command = command(&self.sbatch);
        command.arg("--parsable");
        for variable in overriding(script) {
            command.env_remove(variable);
        }
        match self.run("sbatch", command, script).await {
            Ok(output) => submission(&output),
            // What was not started has made no job.
            Err(SlurmError::Start { source, .. }) if Shortage::of(&source).is_none() => {
                Submission::Refused(format!("cannot start sbatch: {source}"))
            }
            Err(error) => Submission::Unclear(chain(&error)),
        }
    }

    /// The user's jobs whose names begin with `prefix`, those too that ended in the last minutes.
    ///
    /// # Errors
    /// When squeue fails: nothing is known then.
    pub async fn queue(&self, prefix: &str) -> Result<Vec<QueuedJob>, SlurmError> {
        let mut command = command(&self.squeue);
        let user = rustix::process::getuid().as_raw().to_string();
        command.args(["-h", "-r", "-t", "all", "-u", &user, "-o", answers::QUEUE_FORMAT]);
        let output = self.run("squeue", command, "").await?;
        let text = succeeded("squeue", &output)?;
        Ok(answers::queued_jobs(&text, prefix))
    }

    /// Ends jobs. One that is over already is no error, and Slurm may not have ended them all yet.
    ///
    /// # Errors
    /// When scancel fails.
    pub async fn cancel(&self, ids: &[u64]) -> Result<(), SlurmError> {
        for ids in ids.chunks(CANCELLED_AT_ONCE) {
            let mut command = command(&self.scancel);
            command.args(ids.iter().map(ToString::to_string));
            let output = self.run("scancel", command, "").await?;
            let words = String::from_utf8_lossy(&output.stderr).to_lowercase();
            let is_over = |line: &str| OVER_ANYWAY.iter().any(|words| line.contains(words));
            let is_only_late = !words.trim().is_empty() && words.lines().all(is_over);
            if !is_only_late {
                succeeded("scancel", &output)?;
            }
        }
        Ok(())
    }

    /// Ends a job that runs and has it wait again, under the same number.
    ///
    /// # Errors
    /// When scontrol fails, or there is no such job.
    pub async fn requeue(&self, id: u64) -> Result<(), SlurmError> {
        let mut command = command(&self.scontrol);
        command.args(["requeue", &id.to_string()]);
        let output = self.run("scontrol", command, "").await?;
        succeeded("scontrol", &output).map(drop)
    }

    /// What the controller knows of a job; `None` if it cannot be asked, or has forgotten the job.
    pub async fn report(&self, id: u64) -> Option<JobReport> {
        let mut command = command(&self.scontrol);
        command.args(["-o", "show", "job", &id.to_string()]);
        let output = self.run("scontrol", command, "").await.ok()?;
        answers::job_report(&succeeded("scontrol", &output).ok()?)
    }

    /// Runs `command`, which reads `input`, within the time.
    async fn run(
        &self,
        program: &'static str,
        mut command: Command,
        input: &str,
    ) -> Result<Output, SlurmError> {
        let failed = |source: io::Error| SlurmError::Start { program, source };
        let mut child = command.spawn().map_err(failed)?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read it says more by its own words.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        if let Ok(ended) = timeout(self.limit, both).await {
            return ended.map_err(|source| SlurmError::Failed { program, words: source.to_string() });
        }
        if let Some(group) = group {
            // It may have ended in this very moment.
            let _ = kill_process_group(group, Signal::KILL);
        }
        Err(SlurmError::Silent { program, limit: self.limit })
    }
}

/// A command of Slurm's, without what would mislead it.
fn command(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // So that the terminal's Ctrl-C does not end it half-way.
    command.process_group(0).kill_on_drop(true);
    for name in
        std::env::vars_os().map(|(name, _)| name).filter(|name| is_misleading(&name.to_string_lossy()))
    {
        command.env_remove(name);
    }
    command
}

/// Whether a variable of the environment would change what a command does, or reach a job where it is wrong.
fn is_misleading(name: &str) -> bool {
    let is_of_own_job = name.starts_with("SLURM_") && !KEPT.contains(&name);
    is_of_own_job || OWN_GPUS.contains(&name) || MISLEADING.iter().any(|start| name.starts_with(start))
}

/// The variables that sbatch would take instead of lines of this script.
fn overriding(script: &str) -> impl Iterator<Item = &'static str> {
    let is_set = move |option: &str| {
        script.lines().filter_map(|line| line.strip_prefix("#SBATCH --")).any(|line| {
            line.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let set: Vec<_> = OVERRIDING_IF_SET.iter().filter(|(option, _)| is_set(option)).collect();
    OVERRIDING.into_iter().chain(set.into_iter().flat_map(|(_, variables)| variables.iter().copied()))
}

/// What the end of sbatch says about the job.
fn submission(output: &Output) -> Submission {
    let words = words(output);
    if output.status.success() {
        return match answers::submitted_id(&String::from_utf8_lossy(&output.stdout)) {
            Some(id) => Submission::Submitted(id),
            None => Submission::Unclear(format!("sbatch did not say which job it submitted: {words}")),
        };
    }
    let known = words.to_lowercase();
    let says = |list: &[&str]| list.iter().any(|words| known.contains(words));
    if output.status.code().is_some() && says(&REFUSING) && !says(&OUT_OF_REACH) {
        Submission::Refused(words)
    } else {
        Submission::Unclear(words)
    }
}

/// What a command printed.
///
/// # Errors
/// When it failed.
fn succeeded(program: &'static str, output: &Output) -> Result<String, SlurmError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(SlurmError::Failed { program, words: words(output) })
}

/// A command's words on one line that is safe for a terminal: its messages, or else what it printed, or how it ended.
fn words(output: &Output) -> String {
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(|line| plain(line.trim())).filter(|line| !line.is_empty());
        shorten(&lines.collect::<Vec<_>>().join("; "), WORDS_COLUMNS_MAX)
    };
    let said = [&output.stderr, &output.stdout].map(|bytes| lines(bytes));
    said.into_iter().find(|words| !words.is_empty()).unwrap_or_else(|| output.status.to_string())
}

#[cfg(test)]
mod tests;
