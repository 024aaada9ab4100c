//! A temporary folder in which the program runs: a spec, its data and its results.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    program::{self, Written, is_alive},
    results::SweepResults,
};

pub(crate) struct Place {
    root: TempDir,
    name: &'static str,
}

impl Place {
    pub(crate) fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap(), name: "" }
    }

    /// A folder with the spec of the sweep `name` in `<name>.toml`.
    pub(crate) fn new(name: &'static str, spec: &str) -> Self {
        let place = Self { name, ..Self::empty() };
        place.write_spec(spec);
        place
    }

    /// As [`Self::new`], for a `static`, which is never dropped: the next run of the tests removes the folder.
    pub(crate) fn shared(name: &'static str, spec: &str) -> Self {
        let place = Self { root: tempfile::tempdir_in(&*SHARED).unwrap(), name };
        place.write_spec(spec);
        place
    }

    pub(crate) fn write_spec(&self, spec: &str) {
        self.write(format!("{}.toml", self.name), spec);
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, and creates the folders above it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(crate) fn text(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The program in this folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::sweep(arguments);
        command.current_dir(self.root.path());
        command
    }

    pub(crate) fn sweep(&self, arguments: &[&str]) -> Written {
        Written::by(&mut self.command(arguments))
    }

    /// `sweep run` with the spec.
    pub(crate) fn run_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["run", &format!("{}.toml", self.name)]);
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Written {
        Written::by(&mut self.run_command(arguments))
    }

    /// The results of the spec's sweep.
    pub(crate) fn results(&self) -> SweepResults {
        self.results_of(self.name)
    }

    pub(crate) fn results_of(&self, sweep: &str) -> SweepResults {
        SweepResults::new(&self.path("results"), sweep)
    }

    pub(crate) fn has_results(&self) -> bool {
        self.path("results").exists()
    }
}

/// A folder that is only this process's. When it is made, the folders of processes that are gone are removed.
static SHARED: LazyLock<PathBuf> = LazyLock::new(|| {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared");
    fs::create_dir_all(&all).unwrap();
    for entry in fs::read_dir(&all).unwrap().map(Result::unwrap) {
        let pid = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?));
        if !pid.is_some_and(is_alive) {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    let own = all.join(std::process::id().to_string());
    fs::create_dir(&own).unwrap();
    own
});

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
