//! One worker process and the task that watches it.
//!
//! The process has a group of its own, so that the terminal's Ctrl-C reaches only
//! the orchestrator, and so that what it may have started ends with it. Its exit
//! is reported once it was reaped and all that it said has been passed on.

use std::{
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Workers,
    lines::{Lines, Said},
    worker_log::WorkerLog,
};
use crate::{
    device::Device,
    event::{WorkerLine, WorkerRequest},
    machine::visible_gpu,
    scheduler::{Exit, Input, Slot},
};

/// How long the pipes of a dead worker are read: only something that it left behind keeps them open.
const DRAIN: Duration = Duration::from_secs(2);

/// What a worker's task is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Write a request.
    Send(WorkerRequest),
    /// Close standard input.
    Leave,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// A running worker. Dropping it kills the process.
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    log: WorkerLog,
}

impl Worker {
    /// Starts a process for `device`, which will report to `inbox` as `slot`.
    pub(super) fn start(
        workers: &Workers,
        slot: Slot,
        device: Device,
        inbox: mpsc::Sender<Input>,
    ) -> io::Result<Self> {
        let mut child = command(workers, device).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let log = WorkerLog::default();
        let (commands, orders) = mpsc::unbounded_channel();
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let watcher = Watcher {
            slot,
            child,
            group,
            stdin: Some(stdin),
            lines: Lines::new(stdout),
            stderr: tokio::spawn(log.clone().fill(stderr)),
            orders,
            inbox,
            leave: workers.leave,
            alarm: Some((Instant::now() + workers.startup, Input::StartupTimeout(slot))),
        };
        tokio::spawn(watcher.watch());
        Ok(Self { commands, log })
    }

    /// Gives the task an order; a process that is gone needs none.
    pub(super) fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Where standard error goes from now on.
    pub(super) fn log_to(&self, path: &Path, title: &str) {
        self.log.switch(path, title);
    }
}

fn command(workers: &Workers, device: Device) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(&workers.program);
    command.arg("worker").arg("--device");
    match device {
        Device::Cpu { slot, threads } => {
            let threads = threads.to_string();
            command.arg(format!("cpu:{slot}")).args(["--threads", &threads]);
            command.env("RAYON_NUM_THREADS", threads).env("CUDA_VISIBLE_DEVICES", "");
        }
        Device::Cuda { index } => {
            let inherited = std::env::var("CUDA_VISIBLE_DEVICES").ok();
            command.env("CUDA_VISIBLE_DEVICES", visible_gpu(index, inherited.as_deref()));
            command.env("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
            // The only GPU that a process sees is its first.
            command.args(["cuda:0", "--threads", "1"]);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    command
}

struct Watcher {
    slot: Slot,
    child: Child,
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
    lines: Lines<ChildStdout>,
    stderr: JoinHandle<()>,
    orders: mpsc::UnboundedReceiver<Command>,
    inbox: mpsc::Sender<Input>,
    leave: Duration,
    /// What is reported at a time, unless something happens before.
    alarm: Option<(Instant, Input)>,
}

impl Watcher {
    async fn watch(mut self) {
        let mut is_open = true;
        let status = loop {
            let alarm = self.alarm.as_ref().map_or_else(Instant::now, |(at, _)| *at);
            tokio::select! {
                // Lines last but one: a worker that floods must neither keep orders from being heard nor its end.
                biased;
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    // The loop is gone, by an error: so must the worker be.
                    None => return self.signal(Signal::KILL),
                },
                // What a dead process said is read afterwards, for a limited time.
                status = self.child.wait() => break status,
                said = self.lines.next(), if is_open => if let Some(said) = said {
                    self.pass_on(said).await;
                } else {
                    is_open = false;
                    self.expect_end();
                },
                () = sleep_until(alarm), if self.alarm.is_some() => {
                    if let Some((_, input)) = self.alarm.take() {
                        self.report(input).await;
                    }
                }
            }
        };
        self.drain(is_open).await;
        let exit = exit(&status);
        self.report(Input::Exited(self.slot, exit)).await;
    }

    /// Standard output is at its end: the process is about to exit, or breaks the protocol.
    fn expect_end(&mut self) {
        if self.stdin.is_some() {
            let input = Input::Garbage(self.slot, "the end of its output, yet it lives".to_owned());
            self.alarm = Some((Instant::now() + self.leave, input));
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Send(request) => {
                let mut line = match serde_json::to_vec(&request) {
                    Ok(line) => line,
                    Err(error) => {
                        let message = format!("the trial cannot be given to a worker: {error}");
                        return self.report(Input::Unsent(self.slot, message)).await;
                    }
                };
                if let Some(stdin) = &mut self.stdin {
                    line.push(b'\n');
                    // A worker that cannot be written to is gone, which its exit will say.
                    let _ = stdin.write_all(&line).await;
                }
            }
            Command::Leave => {
                self.stdin = None;
                self.alarm = Some((Instant::now() + self.leave, Input::LeaveTimeout(self.slot)));
            }
            Command::Terminate => self.signal(Signal::TERM),
            Command::Kill => self.signal(Signal::KILL),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended in this very moment.
            let _ = kill_process_group(group, signal);
        }
    }

    async fn pass_on(&mut self, said: Said) {
        let input = match said {
            Said::Garbage(what) => Input::Garbage(self.slot, what),
            Said::Line(line) => {
                if matches!(
                    (&*line, &self.alarm),
                    (WorkerLine::Ready { .. }, Some((_, Input::StartupTimeout(_))))
                ) {
                    self.alarm = None;
                }
                Input::Line(self.slot, *line)
            }
        };
        self.report(input).await;
    }

    async fn report(&self, input: Input) {
        // Without a listener the orders end too, and with them this task.
        let _ = self.inbox.send(input).await;
    }

    /// Passes on what the dead process said last, and ends what it left behind.
    async fn drain(&mut self, mut is_open: bool) {
        let until = Instant::now() + DRAIN;
        while is_open {
            match timeout_at(until, self.lines.next()).await {
                Ok(Some(said)) => self.pass_on(said).await,
                Ok(None) => is_open = false,
                Err(_) => break,
            }
        }
        let drained = timeout_at(until, &mut self.stderr).await.is_ok();
        if is_open || !drained {
            // Somebody holds the pipes, so the group still has a member and its number is not anew in use.
            self.signal(Signal::KILL);
            self.stderr.abort();
        }
    }
}

fn exit(status: &io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Code(-1),
        },
        Err(_) => Exit::Code(-1),
    }
}
