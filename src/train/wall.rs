//! The wall before foreign tokenizers: a process of its own reads each of them first.
//!
//! A tokenizer's file may come from anyone, and the library that reads it has no bounds of its own. What looks honest
//! (`text::tokenizer::check`) is therefore read by a child of this program, with a bound on memory and time, and cuts a
//! few odd texts into tokens. Only what comes back from there is read by the processes that matter.
//!
//! [`guard`] is the side of the parent, [`examine`] that of the child.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::inspect;
use crate::{checkpoint::Checkpoint, error_chain::chain};

/// Bytes of memory that reading a tokenizer may take. The largest known one, with 900,000 tokens, takes some 2 GiB.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Time that reading a tokenizer may take. The largest known one takes some seconds.
const READ_MAX: Duration = Duration::from_mins(1);
/// Time that the odd texts may take together. Known tokenizers take a few milliseconds.
const TEXTS_MAX: Duration = Duration::from_secs(10);
/// The hidden command of the program that serves the child.
pub(crate) const COMMAND: &str = "tokenizer";

/// Why a checkpoint's tokenizer is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WallError {
    /// It cannot be used.
    #[error("{message}")]
    Refused {
        /// Why, with the file and the part of it.
        message: String,
    },
    /// The process that read it first came to a bad end.
    #[error(
        "the tokenizer of {folder} cannot be used: {end}; get the model's files again, or choose another model"
    )]
    Ended {
        /// The folder.
        folder: PathBuf,
        /// How the process ended.
        end: String,
    },
    /// The process could not be started.
    #[error("starting a process that reads the tokenizer of {folder}")]
    Start {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// What the child says about a tokenizer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Usable,
    Refused(String),
}

/// Has a process of its own read the tokenizer of `checkpoint`, with a bound on memory and time. `program` is this
/// program.
///
/// # Errors
/// When the tokenizer cannot be used, or the process cannot be started.
pub(crate) fn guard(checkpoint: &Checkpoint, program: &Path) -> Result<(), WallError> {
    let Some(folder) = checkpoint.folder() else { return Ok(()) };
    let arguments = [OsStr::new(COMMAND), OsStr::new("--"), folder.as_os_str()];
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| WallError::Start { folder: folder.clone(), source })?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Verdict::Usable) => Ok(()),
        Ok(Verdict::Refused(message)) => Err(WallError::Refused { message }),
        Err(_) => Err(WallError::Ended { folder, end: end(output.status, &output.stderr) }),
    }
}

/// How a child that said nothing came to its end.
fn end(status: ExitStatus, stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    if said.contains("memory allocation of") {
        return format!("reading it takes more than {} GiB of memory", MEMORY_BYTES_MAX >> 30);
    }
    format!("the process that read it first ended with {status}")
}

/// Reads the tokenizer in `folder`, cuts a few odd texts into tokens, and returns the line that [`guard`] reads. Ends
/// this process's right to more memory than such files take.
#[must_use]
pub(crate) fn examine(folder: &Path) -> String {
    bound_memory();
    let verdict = match watched(folder) {
        Ok(()) => Verdict::Usable,
        Err(message) => Verdict::Refused(message),
    };
    serde_json::to_string(&verdict).unwrap_or_default()
}

/// Lowers the bound on this process's memory. A core file of a process that broke through would help nobody.
fn bound_memory() {
    for (resource, bytes) in [(Resource::As, MEMORY_BYTES_MAX), (Resource::Core, 0)] {
        let Rlimit { current, maximum } = getrlimit(resource);
        let current = current.map_or(bytes, |current| current.min(bytes));
        // Without the bound, what is read here is still read behind the other bounds.
        let _ = setrlimit(resource, Rlimit { current: Some(current), maximum });
    }
}

/// Examines the tokenizer within the time that it may take.
fn watched(folder: &Path) -> Result<(), String> {
    let checkpoint = Checkpoint::Folder(folder.to_owned());
    let (sender, steps) = mpsc::channel();
    // The thread is left behind when its time is over: this process ends then.
    thread::spawn(move || match inspect::inspect_tokenizer(&checkpoint) {
        Ok(encoder) => {
            let _ = sender.send(Ok(()));
            let tried = odd_texts().iter().try_for_each(|text| encoder.attempt(text));
            let _ = sender.send(tried.map_err(|error| chain(&error)));
        }
        Err(error) => {
            let _ = sender.send(Err(chain(&error)));
        }
    });
    let about = |what: &str| {
        let folder = folder.display();
        format!(
            "the tokenizer of {folder} cannot be used: {what}; get the model's files again, or choose another model"
        )
    };
    let late = |what: &str, limit: Duration| about(&format!("{what} takes more than {} s", limit.as_secs()));
    match steps.recv_timeout(READ_MAX) {
        Ok(read) => read?,
        Err(RecvTimeoutError::Timeout) => return Err(late("reading it", READ_MAX)),
        Err(RecvTimeoutError::Disconnected) => return Err(about("reading it failed")),
    }
    match steps.recv_timeout(TEXTS_MAX) {
        Ok(tried) => tried.map_err(|error| about(&error)),
        Err(RecvTimeoutError::Timeout) => Err(late("a few short texts", TEXTS_MAX)),
        Err(RecvTimeoutError::Disconnected) => Err(about("it failed at a short text")),
    }
}

/// Texts at which tokenizers fail or take long, if they do: short ones, long words of each kind, and characters from
/// everywhere.
fn odd_texts() -> Vec<String> {
    let short = [
        "",
        " ",
        "a",
        "It was the best of times, it wasn't the worst: 3.14 % of 12,345 (naïve) – “quotes”… \r\n\tEnd.",
        "今天天气很好，我们去公园散步吧。한국어 문장도 있다. これは文です。Ёлка, γλώσσα, שלום, مرحبا, नमस्ते, สวัสดี",
        "👩‍👩‍👧‍👦🏳️‍🌈 e\u{301}\u{323} \u{fdfa} ﬁ İ ß \u{ad}\u{200b}\u{feff}\u{2028}\u{fffd}\u{e000}\u{10ffff}\u{1}\u{7f}",
        "<s> </s> <pad> <unk> <mask> [CLS] [SEP] [PAD] [UNK] [MASK] ▁ Ġ ##",
    ];
    let words = ["a", "A", "0", " ", "\n", "!", "é", "好", "e\u{301}", "a ", "aA0 ", "'s", "👍", "</s>"];
    // About 5,000 characters from all planes.
    let everywhere = (0..=0x0010_ffff).step_by(199).filter_map(char::from_u32).collect();
    let long = words.into_iter().map(|word| word.repeat(2_000));
    short.into_iter().map(str::to_owned).chain(long).chain([everywhere]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ran_out_of_memory_is_told_from_one_that_crashed() {
        use std::os::unix::process::ExitStatusExt as _;

        let aborted = ExitStatus::from_raw(6);
        let told = end(aborted, b"memory allocation of 8589934592 bytes failed\n");
        assert_eq!(told, "reading it takes more than 4 GiB of memory");
        assert!(end(aborted, b"thread has overflowed its stack").contains("ended with signal: 6"));
    }

    #[test]
    fn the_odd_texts_are_few_and_short() {
        let texts = odd_texts();
        assert!(texts.len() < 40 && texts.iter().all(|text| text.len() < 25_000));
    }
}
