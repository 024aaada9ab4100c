//! A worker process of a pilot, and the task that listens to it.

use std::{io, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::trials::Trials;
use crate::{
    process::{Process, WorkerLog, WorkerOutput, WorkerStart},
    protocol::{WorkerLine, WorkerRequest},
    scheduler::WorkerExit,
    system::{device::Device, files::Place, oom_kills::OomKills},
};

/// How long the pipes of a dead worker are read: only a process that it left behind keeps them open.
const DRAIN: Duration = Duration::from_secs(2);

/// What is heard of a process.
#[derive(Debug)]
pub(super) enum Heard {
    /// It has said something.
    Output(WorkerOutput),
    /// It is over, after all that it said.
    Ended { exit: WorkerExit, words: String },
}

#[derive(Debug)]
enum Command {
    Send(WorkerRequest),
    Close,
    Terminate,
    Kill,
}

/// A running worker. Dropping it kills the process.
pub(super) struct Child {
    commands: mpsc::UnboundedSender<Command>,
    log: WorkerLog,
    trials: Trials,
    /// Whether the pilot has ended it by a signal.
    is_ended: bool,
}

impl Child {
    /// Starts a process, and its task, which tells `ears` what it hears.
    pub(super) fn start(
        session: u32,
        start: &WorkerStart<'_>,
        device: Device,
        oom_kills: OomKills,
        ears: mpsc::Sender<(u32, Heard)>,
    ) -> io::Result<Self> {
        let process = Process::start(start, device, oom_kills)?;
        let log = process.log();
        let (commands, orders) = mpsc::unbounded_channel();
        tokio::spawn(listen(session, process, orders, ears));
        Ok(Self { commands, log, trials: Trials::default(), is_ended: false })
    }

    fn order(&self, command: Command) {
        // A process that is gone needs none.
        let _ = self.commands.send(command);
    }

    pub(super) fn send(&mut self, request: WorkerRequest) {
        if let WorkerRequest::Run { trials } = &request {
            self.trials.on_run(trials.iter().map(|given| given.trial));
        }
        self.order(Command::Send(request));
    }

    pub(super) fn close(&mut self) {
        self.order(Command::Close);
    }

    pub(super) fn end(&mut self, is_kill: bool) {
        self.is_ended = true;
        self.order(if is_kill { Command::Kill } else { Command::Terminate });
    }

    pub(super) fn on_line(&mut self, line: &WorkerLine) {
        self.trials.on_line(line);
    }

    /// Asks it to stop all its trials, or to leave if it has none.
    pub(super) fn stop(&mut self) {
        if self.trials.are_none() {
            return self.close();
        }
        self.trials.all().for_each(|trial| self.order(Command::Send(WorkerRequest::Stop(trial))));
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.trials.are_none()
    }

    pub(super) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    pub(super) fn log_to(&self, logs: &[(Place, String)]) {
        self.log.switch(logs);
    }
}

async fn listen(
    session: u32,
    mut process: Process,
    mut orders: mpsc::UnboundedReceiver<Command>,
    ears: mpsc::Sender<(u32, Heard)>,
) {
    let mut is_open = true;
    let status = loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                // What cannot be written as JSON was read as JSON before.
                Some(Command::Send(request)) => _ = process.send(&request).await,
                Some(Command::Close) => process.close_input(),
                Some(Command::Terminate) => process.terminate(),
                Some(Command::Kill) => process.kill(),
                // The pilot is gone: so must the worker be.
                None => return process.kill_group(),
            },
            status = process.child.wait() => break status,
            output = process.lines.next(), if is_open => match output {
                Some(output) => if ears.send((session, Heard::Output(output))).await.is_err() {
                    return process.kill_group();
                },
                None => is_open = false,
            },
        }
    };
    process.kill_group();
    let until = Instant::now() + DRAIN;
    while is_open {
        match process.last_line(until).await {
            Some(Some(output)) => _ = ears.send((session, Heard::Output(output))).await,
            Some(None) => is_open = false,
            None => break,
        }
    }
    process.drain_errors(is_open, until).await;
    let (exit, words) = (process.exit(&status), process.log().tail());
    let _ = ears.send((session, Heard::Ended { exit, words })).await;
}
