//! Why results cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::holder::Holder;
use crate::display::shell_word;

/// Why results cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Another process of `sweep run` works in the folder.
    #[error("{} is locked by {holder}; wait for it, or end it first", folder.display())]
    Locked {
        /// The sweep's folder.
        folder: PathBuf,
        /// The process that holds the lock.
        holder: Holder,
    },
    /// A process of another machine may work in the folder. This machine cannot find out whether it still
    /// runs.
    #[error(
        "{} may be in use by {holder}, which cannot be asked from this machine; if that process is over: rm {}",
        folder.display(), quoted(lock)
    )]
    Doubtful {
        /// The sweep's folder.
        folder: PathBuf,
        /// The file that names the process.
        lock: PathBuf,
        /// The process that the file names.
        holder: Holder,
    },
    /// A process of another machine has taken the lock over: it took this one for ended.
    #[error(
        "{} was taken over by {holder}: this process had given no sign of life for so long that it counted as \
         ended. It writes nothing more; the other one goes on with the sweep",
        folder.display()
    )]
    TakenOver {
        /// The sweep's folder.
        folder: PathBuf,
        /// The process that holds the lock now.
        holder: Holder,
    },
    /// The folder holds something that is not a sweep.
    #[error(
        "{} holds files but no plan.json, so it is not a sweep's folder; choose another name or --results folder",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The folder holds the log of a sweep, but not its plan.
    #[error(
        "{} has lost its plan.json, so that nothing is known of its trials; put the file back, or forget what is left \
         of the sweep: sweep run SPEC --fresh",
        .0.display()
    )]
    NoPlan(PathBuf),
    /// The folder was renamed or removed while it was in use.
    #[error(
        "{} was moved or removed while the sweep ran{}", folder.display(), where_it_is(folder, now.as_deref())
    )]
    Moved {
        /// The sweep's folder, by the path that it had.
        folder: PathBuf,
        /// The path that it has now, as far as the system tells.
        now: Option<PathBuf>,
    },
    /// There is no sweep at all.
    #[error("{} holds no sweep; `sweep run SPEC` makes one", .0.display())]
    Empty(PathBuf),
    /// There is no sweep of this name.
    #[error("no sweep `{name}` in {}{}", root.display(), there_are(known))]
    Unknown {
        /// The results folder.
        root: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names of the sweeps that exist.
        known: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The operation that failed, such as `read`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file's contents are not what they should be.
    #[error("{} cannot be understood", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
}

/// The end of a message that names the sweeps that exist.
fn there_are(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; there are: {}", names.join(", ")) }
}

/// The end of a message about a folder that was moved or removed.
fn where_it_is(folder: &Path, now: Option<&Path>) -> String {
    match now {
        Some(now) => format!(
            "; what is complete is in {}: move it back to {} and run the sweep again, and it goes on from there",
            now.display(),
            folder.display()
        ),
        None => "; what was in it is lost, if it was not put elsewhere; run the sweep again".to_owned(),
    }
}

/// A path as an argument of a shell command, in quotes if need be.
pub(super) fn quoted(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

impl ResultsError {
    /// Makes an error of a failed operation on a path; for `map_err`.
    pub(crate) fn io<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_quotes_a_path_that_a_shell_would_take_apart() {
        assert_eq!(quoted(Path::new("results/a_1/.lock")), "results/a_1/.lock");
        assert_eq!(quoted(Path::new("it's mine/.lock")), r"'it'\''s mine/.lock'");
    }
}
