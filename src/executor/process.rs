//! One worker process and the task that watches it.
//!
//! The process has a group of its own, so that the terminal's Ctrl-C reaches only
//! the orchestrator, and so that what it may have started ends with it. Its exit
//! is reported once it was reaped and all that it said has been passed on.
//!
//! A limit is reported, not acted upon. Time in which the loop takes nothing in, or
//! in which the worker waits for space on the disk, counts for no limit of a trial.

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
    policy::Policy,
    protocol::{WorkerLine, WorkerRequest},
    scheduler::{Exit, Input, Slot},
    system::{
        device::Device,
        machine::visible_gpu,
        memory::{self, Memory},
        oom_kills::OomKills,
    },
};

/// Has glibc's allocator keep what is freed: a training step asks for the same memory as the one
/// before, and to have it cleared by the kernel each time costs some 15 % of a step on the CPU.
/// Other allocators do not read it.
const KEEP_PAGES: &str = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:\
                          glibc.malloc.top_pad=67108864";
/// How long the pipes of a dead worker are read: only something that it left behind keeps them open.
const DRAIN: Duration = Duration::from_secs(2);

/// SIGABRT, by which an allocator that gets nothing ends its process.
const ABORTED: i32 = Signal::ABORT.as_raw();
/// SIGKILL, by which the kernel makes room.
const KILLED: i32 = Signal::KILL.as_raw();

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

/// How long a worker may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    start_up: Duration,
    leave: Duration,
    stall: Duration,
    time: Option<Duration>,
}

impl Limits {
    pub(super) const fn new(workers: &Workers, policy: &Policy) -> Self {
        Self {
            start_up: policy.start_up_limit,
            leave: workers.leave,
            stall: policy.stall_limit,
            time: policy.time_limit,
        }
    }
}

/// Where a worker runs and whom it reports to.
pub(super) struct Post {
    pub(super) slot: Slot,
    pub(super) device: Device,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) kills: OomKills,
}

/// A running worker. Dropping it kills the process.
pub(super) struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    log: WorkerLog,
}

impl Worker {
    /// Starts a process at `post`.
    pub(super) fn start(workers: &Workers, limits: Limits, post: Post) -> io::Result<Self> {
        let Post { slot, device, inbox, kills } = post;
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
            log: log.clone(),
            orders,
            inbox,
            kills,
            is_killed: false,
            limits,
            alarm: Some((Instant::now() + limits.start_up, Input::StartupTimeout(slot))),
            attempt: None,
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
    if std::env::var_os("GLIBC_TUNABLES").is_none() {
        command.env("GLIBC_TUNABLES", KEEP_PAGES);
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
    log: WorkerLog,
    kills: OomKills,
    /// Whether it was us who sent SIGKILL.
    is_killed: bool,
    limits: Limits,
    /// What is reported at a time, unless something happens before.
    alarm: Option<(Instant, Input)>,
    /// The limits of the trial that the process has.
    attempt: Option<Attempt>,
}

/// When an attempt is overdue. A limit that has been reported is none any more.
#[derive(Debug, Default)]
struct Attempt {
    stall: Option<Instant>,
    time: Option<Instant>,
    /// Since when the worker waits for space on the disk.
    full: Option<Instant>,
}

impl Attempt {
    fn time(&self) -> Option<Instant> {
        self.time.filter(|_| self.full.is_none())
    }

    fn stall(&self) -> Option<Instant> {
        self.stall.filter(|_| self.full.is_none())
    }

    /// Takes so much time out of account.
    fn put_off(&mut self, by: Duration) {
        for at in [&mut self.stall, &mut self.time].into_iter().flatten() {
            *at += by;
        }
    }
}

/// At `at`, or never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Watcher {
    async fn watch(mut self) {
        let mut is_open = true;
        let status = loop {
            let alarm = self.alarm.as_ref().map(|(at, _)| *at);
            let (time, stall) = self.attempt.as_ref().map_or((None, None), |one| (one.time(), one.stall()));
            tokio::select! {
                // A worker that floods must keep neither orders from being heard nor its end nor its time from
                // being noticed; one whose words have not been taken in yet is not silent.
                biased;
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    // The loop is gone, by an error: so must the worker be.
                    None => return self.signal(Signal::KILL),
                },
                // What a dead process said is read afterwards, for a limited time.
                status = self.child.wait() => break status,
                () = until(time) => self.overdue(Input::TimeLimit(self.slot)).await,
                said = self.lines.next(), if is_open => if let Some(said) = said {
                    self.pass_on(said).await;
                } else {
                    is_open = false;
                    self.expect_end();
                },
                () = until(stall) => self.overdue(Input::Stalled(self.slot)).await,
                () = until(alarm) => if let Some((_, input)) = self.alarm.take() {
                    self.report(input).await;
                },
            }
        };
        // What it started and left behind. Its own number may be anew in use from here on, but not yet.
        self.signal(Signal::KILL);
        self.drain(is_open).await;
        let exit = self.exit(&status);
        self.report(Input::Exited(self.slot, exit)).await;
    }

    /// Standard output is at its end: the process is about to exit, or breaks the protocol.
    fn expect_end(&mut self) {
        if self.stdin.is_some() {
            let input = Input::Garbage(self.slot, "the end of its output, yet it lives".to_owned());
            self.alarm = Some((Instant::now() + self.limits.leave, input));
        }
    }

    /// Reports that the attempt takes too long; no limit of it is reported again.
    async fn overdue(&mut self, input: Input) {
        self.attempt = None;
        self.report(input).await;
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
                if let WorkerRequest::Run { .. } = request {
                    let now = Instant::now();
                    let time = self.limits.time.map(|limit| now + limit);
                    self.attempt = Some(Attempt { stall: Some(now + self.limits.stall), time, full: None });
                }
                if let Some(stdin) = &mut self.stdin {
                    line.push(b'\n');
                    // A worker that cannot be written to is gone, which its exit will say.
                    let _ = stdin.write_all(&line).await;
                }
            }
            Command::Leave => {
                (self.stdin, self.attempt) = (None, None);
                self.alarm = Some((Instant::now() + self.limits.leave, Input::LeaveTimeout(self.slot)));
            }
            Command::Terminate => self.signal(Signal::TERM),
            Command::Kill => {
                self.is_killed = true;
                self.signal(Signal::KILL);
            }
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
                self.hear(&line);
                Input::Line(self.slot, *line)
            }
        };
        self.report(input).await;
    }

    /// What a line says about the limits.
    fn hear(&mut self, line: &WorkerLine) {
        let now = Instant::now();
        let Some(attempt) = &mut self.attempt else { return };
        attempt.stall = Some(now + self.limits.stall);
        match line {
            WorkerLine::DiskFull(..) => attempt.full = attempt.full.or(Some(now)),
            WorkerLine::DiskFreed(_) => {
                if let Some(since) = attempt.full.take() {
                    attempt.put_off(now - since);
                    attempt.stall = Some(now + self.limits.stall);
                }
            }
            WorkerLine::Finished(..) | WorkerLine::Failed(..) | WorkerLine::Stopped(_) => self.attempt = None,
            WorkerLine::Ready { .. }
            | WorkerLine::Progress(..)
            | WorkerLine::Alive(_)
            | WorkerLine::Event(..) => {}
        }
    }

    async fn report(&mut self, input: Input) {
        let begun = Instant::now();
        // Without a listener the orders end too, and with them this task.
        let _ = self.inbox.send(input).await;
        if let Some(attempt) = &mut self.attempt {
            attempt.put_off(begun.elapsed());
        }
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
            // Somebody outside of the group holds the pipes.
            self.stderr.abort();
        }
    }

    fn exit(&self, status: &io::Result<ExitStatus>) -> Exit {
        let status = status.as_ref().ok().map(|status| (status.code(), status.signal()));
        match status {
            Some((Some(code), _)) => Exit::Code(code),
            Some((None, Some(KILLED))) if !self.is_killed && self.kills.claim() => {
                Exit::OutOfMemory(Memory::Host)
            }
            Some((None, Some(signal))) => match memory::ran_out(&self.log.tail()) {
                Some(memory) if signal == ABORTED => Exit::OutOfMemory(memory),
                _ => Exit::Signal(signal),
            },
            Some((None, None)) | None => Exit::Code(-1),
        }
    }
}
