//! The batch script of a worker's job.
//!
//! It ends by becoming the worker (`exec`), so that a signal that Slurm sends to the batch process alone reaches it.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::SlurmError,
    options::{Mode, SlurmOptions},
};
use crate::{byte_size::ByteSize, display::shell_word};

/// From the signal to the end of a job at its time limit: enough for a checkpoint.
const NOTICE: Duration = Duration::from_mins(2);
/// The exit code of a node that does not see the sweep's folder.
const NO_FOLDER: u8 = 66;
/// Seconds for which a node looks for the probe: a node that has cached an old directory sees it within a minute.
const PROBE_SECONDS: u32 = 70;
/// Seconds between two looks.
const PROBE_EVERY: u32 = 2;
/// Bytes of a mebibyte, which Slurm calls M.
const MEBIBYTE: u64 = 1 << 20;

/// A job that is to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchJob {
    /// The job's name, by which it is found again, and the worker's.
    pub name: String,
    /// This program.
    pub program: PathBuf,
    /// The sweep's folder, absolute.
    pub folder: PathBuf,
    /// The folder for what the job prints.
    pub logs: PathBuf,
    /// A file that must be there if the node sees the sweep's folder.
    pub probe: PathBuf,
}

/// The batch script of `job`.
///
/// # Errors
/// When a text has a character that a script cannot hold, such as a line break in a path.
pub fn script(options: &SlurmOptions, job: &BatchJob) -> Result<String, SlurmError> {
    let mut text = "#!/bin/bash\n".to_owned();
    for (option, value) in directives(options, job)? {
        let _ = match value {
            Some(value) => writeln!(text, "#SBATCH --{option}={}", directive_value(&value)),
            None => writeln!(text, "#SBATCH --{option}"),
        };
    }
    let probe = shell_word(whole("the path of the probe", utf8("the path of the probe", &job.probe)?)?);
    let folder = shell_word(whole("the sweep's folder", utf8("the sweep's folder", &job.folder)?)?);
    let _ = write!(
        text,
        "\n# An old directory listing is seen for a minute on some file systems.\n\
         for _ in $(seq {tries}); do [ -r {probe} ] && break; sleep {PROBE_EVERY}; done\n\
         if ! [ -r {probe} ]; then\n  \
         echo \"sweep: the node $(hostname) cannot read\" {folder}\", so that no trial can run there: the results folder \
         must be on a file system that all nodes share (--results DIR)\" >&2\n  \
         exit {NO_FOLDER}\nfi\n",
        tries = PROBE_SECONDS / PROBE_EVERY,
    );
    for line in &options.setup {
        if line.contains('\0') {
            return Err(SlurmError::Unwritable { what: "a line of `setup`", why: "a null character" });
        }
        let _ = writeln!(text, "{line}");
    }
    let program = shell_word(whole("the program's path", utf8("the program's path", &job.program)?)?);
    let name = shell_word(whole("the job's name", &job.name)?);
    let cpus = options.cpus;
    let _ = write!(text, "exec {program} pilot --folder {folder} --name {name} --cpus {cpus}");
    text.push_str(match options.mode {
        Mode::Pilot => "\n",
        Mode::JobPerTrial => " --one-trial\n",
    });
    Ok(text)
}

/// The options of sbatch, each with its value.
fn directives(options: &SlurmOptions, job: &BatchJob) -> Result<Vec<(String, Option<String>)>, SlurmError> {
    let notice = options.time.map_or(NOTICE, |time| NOTICE.min(time / 5)).as_secs().max(1);
    let mut list = vec![
        ("job-name", Some(whole("the job's name", &job.name)?.to_owned())),
        ("output", Some(output(&job.logs)?)),
        ("open-mode", Some("append".to_owned())),
        ("requeue", None),
        // Sent to the batch process alone; where a partition has no limit, never.
        ("signal", Some(format!("B:USR1@{notice}"))),
        ("nodes", Some("1".to_owned())),
        ("ntasks", Some("1".to_owned())),
        ("cpus-per-task", Some(options.cpus.to_string())),
    ];
    let gres = options.gpus.as_ref().map(|gpus| format!("gpu:{gpus}"));
    for (option, value) in [
        ("partition", options.partition.clone()),
        ("account", options.account.clone()),
        ("qos", options.qos.clone()),
        ("time", options.time.map(time_limit)),
        ("gres", gres),
        ("mem", options.memory.map(mebibytes)),
        ("constraint", options.constraint.clone()),
    ] {
        if let Some(value) = value {
            list.push((option, Some(whole("an option of the job", &value)?.to_owned())));
        }
    }
    let mut list: Vec<_> = list.into_iter().map(|(option, value)| (option.to_owned(), value)).collect();
    for extra in &options.extra {
        let extra = whole("`extra`", extra)?;
        let extra = extra.strip_prefix("--").unwrap_or(extra);
        list.push(match extra.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (extra.to_owned(), None),
        });
    }
    Ok(list)
}

/// Where the job's output goes: `%x` is its name, `%j` its number.
fn output(logs: &Path) -> Result<String, SlurmError> {
    let path = whole("the folder of logs", utf8("the folder of logs", logs)?)?;
    if path.contains('\\') {
        // It would have Slurm leave every `%` as it is.
        return Err(SlurmError::Unwritable { what: "the folder of logs", why: "a backslash" });
    }
    Ok(format!("{}/%x.%j.log", path.trim_end_matches('/').replace('%', "%%")))
}

/// `text`, which has to stand on one line.
fn whole<'a>(what: &'static str, text: &'a str) -> Result<&'a str, SlurmError> {
    let why = match text {
        text if text.contains(['\n', '\r']) => "a line break",
        text if text.contains('\0') => "a null character",
        _ => return Ok(text),
    };
    Err(SlurmError::Unwritable { what, why })
}

fn utf8<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, SlurmError> {
    path.to_str().ok_or(SlurmError::Unwritable { what, why: "bytes that are no UTF-8" })
}

/// A value as sbatch reads it from a script: it takes away quotes, backslashes and what follows a `#`.
fn directive_value(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A time as Slurm writes it.
fn time_limit(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    format!("{days}-{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
}

/// An amount of memory as Slurm writes it, rounded up.
fn mebibytes(size: ByteSize) -> String {
    format!("{}M", size.0.div_ceil(MEBIBYTE))
}

#[cfg(test)]
mod tests;
