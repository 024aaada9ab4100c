//! Exit codes, and which error leads to which.

use std::{
    io,
    process::{ExitCode, Termination},
};

use crate::{
    display,
    executor::ExecutorError,
    journal::JournalError,
    results::ResultsError,
    spec::SpecError,
    study::{Counts, StudyError},
    system::machine::DeviceError,
};

/// The end of `sweep --help`.
pub(super) const HELP: &str = "\
Exit codes: 0 every trial complete; 1 internal error; 2 bad usage or spec; 3 some trials failed; \
4 none complete; 5 results unusable or locked; 130 interrupted";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for is done; of a run: every trial is complete.
    Complete,
    /// 1: a bug, a system that does not do what every system does, or a download that failed.
    Internal,
    /// 2: wrong arguments, or a wrong spec. Nothing was done.
    Usage,
    /// 3: the run is over, and some trials failed.
    SomeFailed,
    /// 4: the run is over, and no trial is complete.
    NoneComplete,
    /// 5: results cannot be read or written, or somebody else works on them.
    Results,
    /// 130: stopped at the user's wish; the same command goes on.
    Interrupted,
}

impl Exit {
    /// The code that the shell sees.
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

    /// What a run that left its trials so ends with.
    #[must_use]
    pub fn of_run(counts: Counts, interrupted: bool) -> Self {
        match counts {
            Counts { waiting: 0, running: 0, failed: 0, .. } => Self::Complete,
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

/// Why a command ends before its end.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) exit: Exit,
    /// For people; empty: nothing is to be said.
    pub(super) message: String,
}

impl Stop {
    /// With a message that may quote what others wrote.
    pub(super) fn new(exit: Exit, message: &str) -> Self {
        Self { exit, message: display::message(message) }
    }

    /// Wrong arguments, or a wrong spec.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, &message.into())
    }

    /// A spec with its problems, each drawn.
    pub(super) fn spec(error: &SpecError, colour: bool) -> Self {
        // Drawn with colours, and without anything else that speaks to the terminal.
        let message = format!("the spec cannot be run\n\n{}", error.render(colour).trim_end());
        Self { exit: Exit::Usage, message }
    }

    /// Results that cannot be used.
    pub(super) fn results(error: &impl ToString) -> Self {
        Self::new(Exit::Results, &error.to_string())
    }

    /// A bug, or a strange system.
    pub(super) fn internal(error: &impl ToString) -> Self {
        Self::new(Exit::Internal, &error.to_string())
    }
}

impl From<ResultsError> for Stop {
    fn from(error: ResultsError) -> Self {
        Self::results(&error)
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::results(&error)
    }
}

impl From<StudyError> for Stop {
    fn from(error: StudyError) -> Self {
        Self::results(&error)
    }
}

impl From<ExecutorError> for Stop {
    fn from(error: ExecutorError) -> Self {
        match error {
            ExecutorError::NoDevice => Self::usage(error.to_string()),
            ExecutorError::Full { .. } => Self { exit: Exit::Interrupted, message: error.to_string() },
            ExecutorError::Journal(_) | ExecutorError::Study(_) | ExecutorError::Results(_) => {
                Self::results(&error)
            }
        }
    }
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Errors of standard output: a reader that has seen enough is none.
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
    fn codes_are_those_of_the_help() {
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
    fn a_runs_code_follows_from_where_its_trials_stand() {
        let counts = |complete, failed, waiting| Counts { complete, failed, waiting, running: 0 };
        assert_eq!(Exit::of_run(counts(4, 0, 0), false), Exit::Complete);
        assert_eq!(Exit::of_run(counts(4, 0, 0), true), Exit::Complete);
        assert_eq!(Exit::of_run(counts(3, 1, 0), false), Exit::SomeFailed);
        assert_eq!(Exit::of_run(counts(0, 4, 0), false), Exit::NoneComplete);
        assert_eq!(Exit::of_run(counts(2, 1, 1), true), Exit::Interrupted);
    }

    #[test]
    fn a_closed_output_is_no_error() {
        let stop = Stop::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((stop.exit, stop.message.as_str()), (Exit::Complete, ""));
    }
}
