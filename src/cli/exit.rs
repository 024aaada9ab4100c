//! Exit codes, and which error leads to which code.

use std::{
    error::Error,
    io,
    process::{ExitCode, Termination},
};

use crate::{
    display,
    error_chain::chain,
    executor::ExecutorError,
    journal::JournalError,
    results::ResultsError,
    spec::SpecError,
    study::{Counts, StudyError},
    system::{disk::Lack, selection::DeviceError, shortage::Shortage},
};

/// The end of `sweep --help`.
pub(super) const HELP: &str = "\
Exit codes: 0 every trial complete; 1 internal error; 2 bad usage or spec; 3 some trials failed; \
4 none complete, or none fit for export; 5 results unusable or locked; 130 interrupted";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the command did its work; after a run, every trial is complete.
    Complete,
    /// 1: a bug, a system call that failed unexpectedly, or a download that failed.
    Internal,
    /// 2: wrong arguments or a wrong spec. Nothing was done.
    Usage,
    /// 3: the run is over, and some trials failed.
    SomeFailed,
    /// 4: the run is over, and no trial is complete; or no trial is fit for export.
    NoneComplete,
    /// 5: results cannot be read or written, or another process works on them.
    Results,
    /// 130: the user interrupted the run; the same command resumes it.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::NoneComplete => 4,
            Self::Results => 5,
            Self::Interrupted => 130,
        }
    }

    /// The exit code of a run that ended with these counts of trials.
    #[must_use]
    pub fn of_run(counts: Counts, interrupted: bool) -> Self {
        match counts {
            Counts { waiting: 0, running: 0, paused: 0, failed: 0, .. } => Self::Complete,
            _ if interrupted => Self::Interrupted,
            Counts { complete: 0, .. } => Self::NoneComplete,
            Counts { .. } => Self::SomeFailed,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// An error that ends a command: its message and its exit code.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) exit: Exit,
    /// The message for people; nothing is printed if it is empty.
    pub(super) message: String,
}

impl Stop {
    /// An error with a message, which is made safe for terminals: it may quote text from files.
    pub(super) fn new(exit: Exit, message: &str) -> Self {
        Self { exit, message: display::message(message) }
    }

    /// An error in the arguments or the spec.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, &message.into())
    }

    /// A spec that cannot be run, with an excerpt for each of its problems.
    pub(super) fn spec(error: &SpecError, colour: bool) -> Self {
        // The excerpts are safe for terminals already, and may hold escape sequences for colours.
        let message = format!("the spec cannot be run\n\n{}", error.render(colour).trim_end());
        Self { exit: Exit::Usage, message }
    }

    /// An error in reading or writing results.
    pub(super) fn results(error: &impl ToString) -> Self {
        Self::new(Exit::Results, &error.to_string())
    }

    /// A bug, or a system call that failed unexpectedly.
    pub(super) fn internal(error: &impl ToString) -> Self {
        Self::new(Exit::Internal, &error.to_string())
    }
}

/// What a person can do about an error of the system that a message ends with; `lack` is what the disk of the
/// results lacks.
pub(super) fn hint(message: &str, lack: impl FnOnce() -> Lack) -> Option<&'static str> {
    if message.contains("(os error 28)") && lack() == Lack::Inodes {
        return Some("the disk has space, but no inode for another file: remove files (`df -i` counts them)");
    }
    if message.contains("(os error 27)") {
        return Some("allow larger files: `ulimit -f unlimited`");
    }
    Shortage::in_last_words(message).map(Shortage::remedy)
}

/// An error with its causes, if it has any.
pub(super) fn with_causes(error: &dyn Error) -> String {
    // `chain` collapses white space, which a path or a command in a message without causes should keep.
    if error.source().is_some() { chain(error) } else { error.to_string() }
}

impl From<ResultsError> for Stop {
    fn from(error: ResultsError) -> Self {
        Self::results(&with_causes(&error))
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::results(&with_causes(&error))
    }
}

impl From<StudyError> for Stop {
    fn from(error: StudyError) -> Self {
        Self::results(&with_causes(&error))
    }
}

impl From<ExecutorError> for Stop {
    fn from(error: ExecutorError) -> Self {
        match error {
            ExecutorError::NoDevice => Self::usage(error.to_string()),
            ExecutorError::Full { .. } => Self::new(Exit::Interrupted, &error.to_string()),
            ExecutorError::NoWorker { .. }
            | ExecutorError::NoDeviceLeft { .. }
            | ExecutorError::Stuck { .. } => Self::internal(&error),
            ExecutorError::Journal(_)
            | ExecutorError::Study(_)
            | ExecutorError::Results(_)
            | ExecutorError::Decision { .. } => Self::results(&with_causes(&error)),
        }
    }
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Errors of writing to standard output. A reader that closes it early is no error.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { exit: Exit::Complete, message: String::new() },
            _ => Self::internal(&format!("cannot write the output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        for (exit, text) in [
            (Exit::Complete, "0 every"),
            (Exit::Internal, "1 internal"),
            (Exit::Usage, "2 bad"),
            (Exit::SomeFailed, "3 some"),
            (Exit::NoneComplete, "4 none"),
            (Exit::Results, "5 results"),
            (Exit::Interrupted, "130 interrupted"),
        ] {
            assert!(text.starts_with(&format!("{} ", exit.code())) && HELP.contains(text), "{exit:?}");
        }
    }

    #[test]
    fn the_code_of_a_run_follows_from_the_counts_of_its_trials() {
        let counts = |complete, failed, waiting| Counts { waiting, complete, failed, ..Counts::default() };
        assert_eq!(Exit::of_run(counts(4, 0, 0), false), Exit::Complete);
        assert_eq!(Exit::of_run(counts(4, 0, 0), true), Exit::Complete);
        assert_eq!(Exit::of_run(counts(3, 1, 0), false), Exit::SomeFailed);
        assert_eq!(Exit::of_run(counts(0, 4, 0), false), Exit::NoneComplete);
        assert_eq!(Exit::of_run(counts(2, 1, 1), true), Exit::Interrupted);
    }

    #[test]
    fn errors_of_limits_come_with_what_helps() {
        let space = || Lack::Space(Some(0));
        let of = |error: i32| format!("cannot write a.csv: {}", io::Error::from_raw_os_error(error));
        assert_eq!(hint(&of(28), space), None);
        assert!(hint(&of(28), || Lack::Inodes).is_some_and(|hint| hint.contains("df -i")));
        assert!(hint(&of(27), space).is_some_and(|hint| hint.contains("ulimit -f")));
        assert!(hint(&of(24), space).is_some_and(|hint| hint.contains("ulimit -n")));
        assert!(hint(&of(11), space).is_some_and(|hint| hint.contains("ulimit -u")));
        assert_eq!(hint(&of(13), space), None);
    }

    #[test]
    fn a_closed_output_is_no_error() {
        let stop = Stop::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((stop.exit, stop.message.as_str()), (Exit::Complete, ""));
    }
}
