//! What a machine can be short of for a moment: processes, threads and open files.
//!
//! Such an error says nothing about what was attempted: the same thing works once others have ended or
//! closed something, or once a limit is raised.

use std::{error::Error, io};

use rustix::io::Errno;

/// What there is none of at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Open files of this process.
    Files,
    /// Open files of the whole machine.
    FilesOfMachine,
    /// Processes and threads.
    Processes,
    /// Memory of the kernel.
    Memory,
}

/// Each with the system's number for it.
const ALL: [(Shortage, Errno); 4] = [
    (Shortage::Files, Errno::MFILE),
    (Shortage::FilesOfMachine, Errno::NFILE),
    (Shortage::Processes, Errno::AGAIN),
    (Shortage::Memory, Errno::NOMEM),
];

impl Shortage {
    /// The shortage that an error of the system means, if it means one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        let number = error.raw_os_error()?;
        ALL.iter().find(|(_, errno)| errno.raw_os_error() == number).map(|(shortage, _)| *shortage)
    }

    /// The shortage that is among the causes of an error.
    #[must_use]
    pub fn cause(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(shortage) = error.downcast_ref::<io::Error>().and_then(Self::of) {
                return Some(shortage);
            }
            next = error.source();
        }
        None
    }

    /// The shortage that the last words of a process mean: its own, or those of the system's loader, which
    /// names the number alone.
    #[must_use]
    pub fn in_last_words(words: &str) -> Option<Self> {
        let names = |number: i32| {
            [format!("(os error {number})"), format!("{{ code: {number},"), format!(": Error {number}")]
                .iter()
                .any(|form| words.contains(form.as_str()))
        };
        ALL.iter().find(|(_, errno)| names(errno.raw_os_error())).map(|(shortage, _)| *shortage)
    }

    /// The shortage that a message ends with. Its beginning may quote any text. Memory is left out: how a
    /// trial that gets none is repeated is another matter.
    pub(crate) fn at_end(message: &str) -> Option<Self> {
        let ends = |number: i32| message.ends_with(&format!("(os error {number})"));
        let found = ALL.iter().find(|(_, errno)| ends(errno.raw_os_error())).map(|(shortage, _)| *shortage);
        found.filter(|shortage| *shortage != Self::Memory)
    }

    /// Whether others may end it, so that waiting is worth while.
    #[must_use]
    pub const fn is_of_others(self) -> bool {
        match self {
            Self::Files => false,
            Self::FilesOfMachine | Self::Processes | Self::Memory => true,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Files => "allow more open files (`ulimit -n 1024`), or use fewer slots (`--devices cpu:1`)",
            Self::FilesOfMachine => {
                "the machine has as many open files as it may have (`fs.file-max`): end what holds them"
            }
            Self::Processes => {
                "end other processes, or allow more (`ulimit -u`; in a container, its limit of processes)"
            }
            Self::Memory => "free memory, or use fewer slots (`--devices cpu:1`)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_numbers_are_recognised_in_errors_and_messages() {
        for (shortage, errno) in ALL {
            let error = io::Error::from(errno);
            assert_eq!(Shortage::of(&error), Some(shortage));
            assert_eq!(Shortage::in_last_words(&format!("cannot read a: {error}\n")), Some(shortage));
        }
        assert_eq!(Shortage::of(&Errno::NOENT.into()), None);
        assert_eq!(Shortage::of(&io::ErrorKind::WouldBlock.into()), None);
    }

    #[test]
    fn the_words_of_the_loader_and_of_a_panic_are_recognised() {
        for (words, shortage) in [
            ("libc.so.6: cannot open shared object file: Error 24", Some(Shortage::Files)),
            (
                "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"Resource temporarily \
                 unavailable\" }",
                Some(Shortage::Processes),
            ),
            ("index out of bounds: the len is 24", None),
            ("", None),
        ] {
            assert_eq!(Shortage::in_last_words(words), shortage, "{words}");
        }
    }

    #[test]
    fn a_message_is_judged_by_its_end_alone_and_memory_is_another_matter() {
        assert_eq!(
            Shortage::at_end("cannot open a: Too many open files (os error 24)"),
            Some(Shortage::Files)
        );
        assert_eq!(Shortage::at_end("label `(os error 24)` is unknown"), None);
        assert_eq!(Shortage::at_end("cannot map a: Cannot allocate memory (os error 12)"), None);
    }

    #[test]
    fn a_cause_is_found_below_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot draw")]
        struct Outer(#[source] io::Error);
        assert_eq!(Shortage::cause(&Outer(Errno::NFILE.into())), Some(Shortage::FilesOfMachine));
        assert_eq!(Shortage::cause(&Outer(Errno::NOSPC.into())), None);
    }
}
