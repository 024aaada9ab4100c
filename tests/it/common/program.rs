//! The program and its processes: how a test runs them, waits for them and reads what they write.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The program, without input.
pub(crate) fn sweep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a process wrote until it ended.
pub(crate) struct Written {
    /// `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Written {
    /// Runs `command` to its end.
    pub(crate) fn by(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.with_code(0)
    }
}

impl From<Output> for Written {
    fn from(output: Output) -> Self {
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Self { code: output.status.code(), stdout, stderr }
    }
}

/// The program while it runs; its standard error is read line by line.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// Reads lines up to the first with `mark`.
    pub(crate) fn wait_for(&mut self, mark: &str) {
        let mut line = String::new();
        while !line.contains(mark) {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended before it wrote {mark:?}");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        is_alive(Pid::from_child(&self.child))
    }

    /// Its workers: the children of all its threads.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let children =
            threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap());
        let children = children.collect::<Vec<_>>().join(" ");
        children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; the lines are those that nobody has read.
    pub(crate) fn end(mut self) -> Written {
        let lines: Vec<String> = self.lines.lines().map(Result::unwrap).collect();
        let code = self.child.wait().unwrap().code();
        Written { code, stdout: String::new(), stderr: lines.join("\n") }
    }
}

/// Whether a process runs; one that is dead and not reaped does not.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    test_kill_process(pid).is_ok() && state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Waits until a process is gone, which need not be a child of this one; `false` if it is not within a minute.
pub(crate) fn is_gone_soon(pid: Pid) -> bool {
    let begin = Instant::now();
    while is_alive(pid) && begin.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(5));
    }
    !is_alive(pid)
}

/// Set in a process that runs one test alone.
const ALONE: &str = "SWEEP_TEST_ALONE";

/// Whether this process runs the test `name` and no other. If not, runs the test in such a process, and
/// asserts that it passes there.
///
/// For a test that changes what the threads of a process share.
#[track_caller]
pub(crate) fn is_alone(name: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let written = Written::by(command.args([name, "--exact"]).env(ALONE, "1"));
    assert!(written.code == Some(0) && written.stdout.contains("1 passed"), "{}", written.stdout);
    false
}
