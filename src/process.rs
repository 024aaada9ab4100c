//! A worker process of this machine: how it is started, reached over its pipes, and ended.
//!
//! It knows no deadline; whoever watches it does. The process has a group of its
//! own, so that the terminal's Ctrl-C reaches only the orchestrator, and so that whatever the process
//! has started ends with it.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

mod log;
mod output;
mod program;

pub use self::program::Program;
pub(crate) use self::{
    log::WorkerLog,
    output::{OutputLines, WorkerOutput},
};
use crate::{
    protocol::WorkerRequest,
    scheduler::WorkerExit,
    system::{
        device::{Device, GpuBackend},
        gpus::visible,
        memory::{self, Memory},
        oom_kills::OomKills,
    },
};

/// Has glibc's allocator keep what is freed: a training step asks for the same memory as the one
/// before, and to have it cleared by the kernel each time costs some 15 % of a step on the CPU.
/// Other allocators do not read it.
const KEEP_PAGES: &str = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:\
                          glibc.malloc.top_pad=67108864";

/// SIGABRT, by which an allocator that gets nothing ends its process.
const ABORTED: i32 = Signal::ABORT.as_raw();
/// SIGKILL, by which the kernel makes room.
const KILLED: i32 = Signal::KILL.as_raw();

/// How a worker of this machine is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerStart<'a> {
    /// The program.
    pub(crate) program: &'a Program,
    /// What `CUDA_VISIBLE_DEVICES` calls `cuda:0`, `cuda:1` and so on. A GPU without a name is called by its number.
    pub(crate) visible: &'a [String],
}

/// A worker process. Dropping it kills the process.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) lines: OutputLines<ChildStdout>,
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
    stderr: JoinHandle<()>,
    log: WorkerLog,
    oom_kills: OomKills,
    /// Whether it was this program that sent SIGKILL.
    is_killed: bool,
}

impl Process {
    /// Starts the worker of `device`.
    pub(crate) fn start(start: &WorkerStart<'_>, device: Device, oom_kills: OomKills) -> io::Result<Self> {
        let mut child = command(start, device).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let log = WorkerLog::default();
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self {
            child,
            lines: OutputLines::new(stdout),
            group,
            stdin: Some(stdin),
            stderr: tokio::spawn(log.clone().fill(stderr)),
            log,
            oom_kills,
            is_killed: false,
        })
    }

    /// Where its standard error goes.
    pub(crate) fn log(&self) -> WorkerLog {
        self.log.clone()
    }

    /// Writes a request to its standard input.
    ///
    /// # Errors
    /// When the request cannot be written as JSON. A process that cannot be written to is gone, which
    /// its exit will say.
    pub(crate) async fn send(&mut self, request: &WorkerRequest) -> serde_json::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        if let Some(stdin) = &mut self.stdin {
            line.push(b'\n');
            let _ = stdin.write_all(&line).await;
        }
        Ok(())
    }

    /// Closes its standard input, which asks it to leave.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Whether it has not been asked to leave.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.stdin.is_some()
    }

    /// Asks it, and all that it started, to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it, and all that it started (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        self.kill_group();
    }

    /// Ends what a dead process left behind.
    pub(crate) fn kill_group(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended in this very moment.
            let _ = kill_process_group(group, signal);
        }
    }

    /// The next line of a dead process, until its pipe is closed or the time is over.
    pub(crate) async fn last_line(&mut self, until: Instant) -> Option<Option<WorkerOutput>> {
        timeout_at(until, self.lines.next()).await.ok()
    }

    /// Waits until the standard error of a dead process has been taken in, `until` at the latest.
    pub(crate) async fn drain_errors(&mut self, is_output_open: bool, until: Instant) {
        let is_drained = timeout_at(until, &mut self.stderr).await.is_ok();
        if is_output_open || !is_drained {
            // A process outside of the group holds the pipes.
            self.stderr.abort();
        }
    }

    /// How a process with this status ended.
    pub(crate) fn exit(&self, status: &io::Result<ExitStatus>) -> WorkerExit {
        let status = status.as_ref().ok().map(|status| (status.code(), status.signal()));
        match status {
            Some((Some(code), _)) => WorkerExit::Code(code),
            Some((None, Some(KILLED))) if !self.is_killed && self.oom_kills.claim() => {
                WorkerExit::OutOfMemory(Memory::Host)
            }
            Some((None, Some(signal))) => {
                let is_out = signal == ABORTED && memory::ran_out(&self.log.tail());
                if is_out { WorkerExit::OutOfMemory(Memory::Host) } else { WorkerExit::Signal(signal) }
            }
            Some((None, None)) | None => WorkerExit::Code(-1),
        }
    }
}

fn command(start: &WorkerStart<'_>, device: Device) -> Command {
    let program = start.program;
    let mut command = Command::new(&program.file);
    command.arg0(&program.name).arg("worker").arg("--device");
    match device {
        Device::Cpu { slot, threads } => {
            let threads = threads.to_string();
            command.arg(format!("cpu:{slot}")).args(["--threads", &threads]);
            command.env("RAYON_NUM_THREADS", threads).env(visible::VARIABLE, "");
        }
        Device::Gpu { backend: GpuBackend::Cuda, index } => {
            let name = start.visible.get(index).cloned().unwrap_or_else(|| index.to_string());
            command.envs(visible::environment(&name));
            // The only GPU that a process sees is its first.
            command.args(["cuda:0", "--threads", "1"]);
        }
        Device::Gpu { backend: GpuBackend::Wgpu, .. } => {
            command.arg(device.to_string()).args(["--threads", "1"]);
            command.env(visible::VARIABLE, "");
        }
    }
    if std::env::var_os("GLIBC_TUNABLES").is_none() {
        command.env("GLIBC_TUNABLES", KEEP_PAGES);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    command
}
