//! A task for each worker: it turns lines, exits and deadlines into inputs of the scheduler.
//!
//! An exit is reported once the process has been reaped and every line that it sent has been passed on.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    connection::{Connection, Heard, RemoteNote},
    deadlines::{Deadlines, Heartbeat, Limits},
};
use crate::{
    process::{WorkerLog, WorkerOutput},
    protocol::WorkerRequest,
    scheduler::{Input, Slot},
    system::device::Device,
    system::files::Place,
    trial::TrialId,
};

/// How long the pipes of a dead worker are read: only a process that it left behind keeps them open.
const DRAIN: Duration = Duration::from_secs(2);

/// An order to a worker's task.
#[derive(Debug)]
pub(super) enum Command {
    /// Write a request, to the worker of a cluster with a note.
    Send(WorkerRequest, RemoteNote),
    /// Close standard input.
    Leave,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// Where a worker runs, and where its task reports.
pub(super) struct Post {
    pub(super) slot: Slot,
    pub(super) device: Device,
    pub(super) inbox: mpsc::Sender<Input>,
}

/// A running worker. Dropping it kills the process.
pub(super) struct Worker {
    /// What it computes on.
    pub(super) device: Device,
    /// Whether it belongs to a cluster.
    pub(super) is_remote: bool,
    commands: mpsc::UnboundedSender<Command>,
    log: WorkerLog,
}

impl Worker {
    /// Starts the task of a worker that was started at `post`.
    pub(super) fn watch(connection: Connection, limits: Limits, post: Post) -> Self {
        let now = Instant::now();
        let deadlines = Deadlines::new(post.slot, limits, now);
        Self::with(connection, deadlines, post)
    }

    /// Starts the task of a worker that has had these trials since an earlier run.
    pub(super) fn take_over(connection: Connection, limits: Limits, post: Post, trials: &[TrialId]) -> Self {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(post.slot, limits, now);
        let _ = deadlines.take_alarm();
        deadlines.on_run(trials.iter().copied(), now);
        Self::with(connection, deadlines, post)
    }

    fn with(connection: Connection, deadlines: Deadlines, post: Post) -> Self {
        let Post { slot, device, inbox } = post;
        let (log, is_remote) = (connection.log(), connection.is_remote());
        let (commands, orders) = mpsc::unbounded_channel();
        let heartbeat = Heartbeat::new(Instant::now());
        tokio::spawn(Watcher { slot, connection, deadlines, heartbeat, orders, inbox }.watch());
        Self { device, is_remote, commands, log }
    }

    /// Gives the task an order; a process that is gone needs none.
    pub(super) fn order(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// The end of its standard error.
    pub(super) fn last_words(&self) -> String {
        self.log.tail()
    }

    /// Sends its standard error to all of `logs` from now on: places, each with the title that it stands under there. The
    /// worker of a cluster writes where it is told with its trials.
    pub(super) fn log_to(&self, logs: &[(Place, String)]) {
        if !self.is_remote {
            self.log.switch(logs);
        }
    }
}

struct Watcher {
    slot: Slot,
    connection: Connection,
    deadlines: Deadlines,
    heartbeat: Heartbeat,
    orders: mpsc::UnboundedReceiver<Command>,
    inbox: mpsc::Sender<Input>,
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
        let end = loop {
            let (alarm, stall) = (self.deadlines.alarm(), self.deadlines.stall());
            let (time, overdue) = self.deadlines.time_limit().unzip();
            tokio::select! {
                // Orders, the end and the time limit come early, so that a worker that floods its output
                // cannot hide them. Stalling comes after the output: a worker whose lines have not been
                // taken in yet is not silent.
                biased;
                // Before any deadline: after this program stood still, all of them seem to be over.
                () = sleep_until(self.heartbeat.next()) => self.beat(),
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    // The loop is gone, by an error: so must the worker be.
                    None => return self.connection.abandon(),
                },
                () = until(time) => if let Some(trial) = overdue {
                    self.overdue(Input::TimeLimit(self.slot, trial)).await;
                },
                // Its end before its output: what a dead process sent is read afterwards, for a limited time.
                heard = self.connection.next(is_open) => match heard {
                    Heard::Ended(end) => break end,
                    Heard::Output(output) => is_open = self.on_output(output).await,
                },
                () = until(stall) => self.overdue(Input::Stalled(self.slot)).await,
                () = until(alarm) => if let Some(input) = self.deadlines.take_alarm() {
                    self.report(input).await;
                },
            }
        };
        // What it started and left behind. Its process number may be given to another process from here
        // on, but has not been yet.
        self.connection.kill_group();
        self.drain(is_open).await;
        let exit = self.connection.exit(end);
        self.report(Input::Exited(self.slot, exit)).await;
    }

    fn beat(&mut self) {
        let now = Instant::now();
        if let Some(gap) = self.heartbeat.beat(now) {
            self.deadlines.on_gap(gap, now);
        }
    }

    /// Handles a line, or the end of the output. Returns whether the output is still open.
    async fn on_output(&mut self, output: Option<WorkerOutput>) -> bool {
        if let Some(output) = output {
            self.pass_on(output).await;
            return true;
        }
        if self.connection.is_wanted() {
            self.deadlines.on_closed_output(Instant::now());
        }
        false
    }

    /// Reports that an attempt takes too long, and no other deadline of it: its process will be killed.
    async fn overdue(&mut self, input: Input) {
        self.deadlines.forget_trials();
        self.report(input).await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Send(request, note) => {
                if let WorkerRequest::Run { trials } = &request {
                    self.deadlines.on_run(trials.iter().map(|given| given.trial), Instant::now());
                }
                if let Err(error) = self.connection.send(request, note).await {
                    let message = format!("the trial cannot be given to a worker: {error}");
                    self.deadlines.forget_trials();
                    self.report(Input::Unsent(self.slot, message)).await;
                }
            }
            Command::Leave => {
                self.connection.close_input();
                self.deadlines.on_leave(Instant::now());
            }
            Command::Terminate => self.connection.terminate(),
            Command::Kill => self.connection.kill(),
        }
    }

    async fn pass_on(&mut self, output: WorkerOutput) {
        let input = match output {
            WorkerOutput::Garbage(what) => Input::Garbage(self.slot, what),
            WorkerOutput::Line(line) => {
                self.deadlines.on_line(&line, Instant::now());
                Input::Line(self.slot, *line)
            }
        };
        self.report(input).await;
    }

    async fn report(&mut self, input: Input) {
        let begun = Instant::now();
        // Without a listener the orders end too, and with them this task.
        let _ = self.inbox.send(input).await;
        let now = Instant::now();
        self.deadlines.on_silence(now - begun, now);
        // That time is accounted for.
        self.heartbeat = Heartbeat::new(now);
    }

    /// Passes on what the dead process sent last, and ends what it left behind.
    async fn drain(&mut self, mut is_open: bool) {
        let until = Instant::now() + DRAIN;
        while is_open {
            match self.connection.last_line(until).await {
                Some(Some(output)) => self.pass_on(output).await,
                Some(None) => is_open = false,
                None => break,
            }
        }
        self.connection.drain_errors(is_open, until).await;
    }
}
