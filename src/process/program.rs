//! The program that is started as a worker.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// What Linux calls the file of the running program. It is the program itself, even if its file has been
/// replaced or removed since, and it needs no open file.
const RUNNING_PROGRAM: &str = "/proc/self/exe";

/// The program that is started as a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What is executed.
    pub(crate) file: PathBuf,
    /// How the process is called in lists of processes.
    pub(crate) name: OsString,
}

impl Program {
    /// The program in the file `path`.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { name: path.clone().into_os_string(), file: path }
    }

    /// The running program, as it was when it was started. On systems other than Linux, the program in its
    /// file.
    ///
    /// # Errors
    /// When the system does not tell which file that is.
    pub fn running() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        let name = std::env::args_os().next().unwrap_or_else(|| path.clone().into_os_string());
        let is_linux = cfg!(target_os = "linux");
        Ok(Self { file: if is_linux { Path::new(RUNNING_PROGRAM).to_owned() } else { path }, name })
    }
}
