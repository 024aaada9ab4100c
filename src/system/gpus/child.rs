//! Questions to drivers, answered by a process of its own within a time.
//!
//! The child is this very program with the hidden command [`COMMAND`]; it writes one JSON value and is ended. So a driver
//! that crashes, or never answers, costs the caller an error and nothing else.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::de::DeserializeOwned;

/// The hidden command of the program that serves the child.
pub const COMMAND: &str = "probe";
/// What the child is asked: the GPUs that NVML knows.
pub const NVIDIA: &str = "nvidia";
/// What the child is asked: the adapters that wgpu reaches.
pub const ADAPTERS: &str = "adapters";
/// What the child is asked: whether a device works.
pub const WORKS: &str = "works";

/// Time that a driver may take. One that has to wake eight GPUs first takes some ten seconds.
pub const ANSWER_MAX: Duration = Duration::from_mins(1);
/// Time that a process has to end once its output has ended.
const END_MAX: Duration = Duration::from_secs(2);
/// Bytes of standard error that are kept.
const STDERR_MAX: u64 = 1 << 16;

/// Why a question to a driver has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The process could not be started.
    #[error("cannot start a process that asks the driver")]
    Start(#[source] io::Error),
    /// The driver took too long.
    #[error("the driver gave no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The process ended without an answer.
    #[error("the driver ended the process that asked it ({how}){}", about(said))]
    Ended {
        /// How, such as `signal: 11 (SIGSEGV)`.
        how: String,
        /// Its last line on standard error; may be empty.
        said: String,
    },
}

fn about(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// What is asked of which program.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments after [`COMMAND`].
    pub arguments: &'a [&'a str],
    /// Further variables of its environment.
    pub variables: &'a [(&'a str, String)],
    /// Time that it may take.
    pub limit: Duration,
}

impl Question<'_> {
    /// Asks.
    ///
    /// # Errors
    /// When there is no answer within the time.
    pub fn ask<T: DeserializeOwned>(self) -> Result<T, ChildError> {
        let mut command = Command::new(self.program);
        command.arg(COMMAND).args(self.arguments.iter().map(OsStr::new));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(ChildError::Start)?;
        let answer = all_of(child.stdout.take(), u64::MAX);
        let said = all_of(child.stderr.take(), STDERR_MAX);
        let Ok(answer) = answer.recv_timeout(self.limit) else {
            end(child);
            return Err(ChildError::Late(self.limit));
        };
        let status = end(child);
        serde_json::from_slice(&answer).map_err(|_| {
            let how = status
                .recv_timeout(END_MAX)
                .map_or_else(|_| "it hangs".to_owned(), |status| status.to_string());
            let said = said.recv_timeout(END_MAX).unwrap_or_default();
            ChildError::Ended { how, said: last_line(&said) }
        })
    }
}

/// Reads a pipe to its end on a thread of its own.
fn all_of(pipe: Option<impl Read + Send + 'static>, max: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error counts.
            let _ = pipe.take(max).read_to_end(&mut bytes);
        }
        // Nobody waits for what comes too late.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Ends a process whose output has ended or came too late, on a thread: one that a driver holds cannot be reaped.
fn end(mut child: Child) -> mpsc::Receiver<ExitStatus> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let has_ended = (0..END_MAX.as_millis() / 20).any(|_| {
            thread::sleep(Duration::from_millis(20));
            !matches!(child.try_wait(), Ok(None))
        });
        if !has_ended {
            // It may have ended in this very moment.
            let _ = child.kill();
        }
        if let Ok(status) = child.wait() {
            let _ = sender.send(status);
        }
    });
    receiver
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a shell that runs `script`.
    fn asked(script: &str, limit: Duration) -> Result<u32, ChildError> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("driver");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, may_run).unwrap();
        let variables = [("ANSWER", "7".to_owned())];
        let question = Question { program: &program, arguments: &[NVIDIA], variables: &variables, limit };
        loop {
            match question.ask() {
                // Another thread's child may have the script open for writing.
                Err(ChildError::Start(error)) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                answer => return answer,
            }
        }
    }

    #[test]
    fn a_child_is_told_what_is_asked_and_answers_on_its_output() {
        let script = r#"test "$1" = probe && test "$2" = nvidia && echo "$ANSWER""#;
        assert_eq!(asked(script, ANSWER_MAX).unwrap(), 7);
    }

    #[test]
    fn a_driver_that_never_answers_is_given_up() {
        let error = asked("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, ChildError::Late(_)), "{error}");
    }

    #[test]
    fn a_driver_that_crashes_ends_the_child_alone() {
        let error = asked("echo loading >&2; kill -SEGV $$", ANSWER_MAX).unwrap_err();
        let expected = "the driver ended the process that asked it (signal: 11 (SIGSEGV)";
        assert!(
            error.to_string().starts_with(expected) && error.to_string().ends_with("): loading"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_is_missing_is_an_error() {
        let question =
            Question { program: Path::new("/missing"), arguments: &[], variables: &[], limit: ANSWER_MAX };
        assert!(matches!(question.ask::<u32>(), Err(ChildError::Start(_))));
    }
}
