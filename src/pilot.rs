//! The process in a cluster's job: it starts workers on its machine, and passes orders and lines on.
//!
//! A pilot decides nothing about trials. It introduces itself in the sweep's folder, does what orders say, and writes
//! down what its workers say until that is written, however long the folder cannot be reached. It leaves when it is told
//! to, when there was nothing to do for long, when its machine wishes so (then its trials stop with a checkpoint), and as
//! soon as its registration is gone: then another worker has its trials, and nothing that it writes counts.

mod child;
mod departure;
mod leaving;
mod outbox;
mod trials;

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

pub use self::leaving::{Left, Signals};
use self::{
    child::{Child, Heard},
    leaving::Leaving,
    outbox::Outbox,
};
use crate::{
    mailbox::{CLUSTER, Mailbox, Message, Order, Registration, WorkerName},
    process::{Program, WorkerOutput, WorkerStart},
    protocol::WorkerRequest,
    scheduler::WorkerExit,
    system::{
        files::{self, Place},
        oom_kills::OomKills,
    },
};

/// What a worker says may wait in so many pieces; a worker that floods its output waits itself.
const HEARD_MAX: usize = 256;

/// How often a pilot does what.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks for orders while a worker waits for a trial.
    pub look: Duration,
    /// As above, while all have trials.
    pub look_busy: Duration,
    /// Between two signs of life, and between two lines of passing interest.
    pub beat: Duration,
    /// How long it waits without a worker before it leaves.
    pub idle: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(200),
            look_busy: Duration::from_secs(2),
            beat: Duration::from_secs(5),
            idle: Duration::from_mins(5),
        }
    }
}

/// What a pilot is given.
#[derive(Clone, Debug)]
pub struct Flight {
    /// The sweep's folder.
    pub folder: PathBuf,
    /// Who it is.
    pub registration: Registration,
    /// How often its job was started before.
    pub restarts: u32,
    /// What it starts as a worker.
    pub program: Program,
    /// What `CUDA_VISIBLE_DEVICES` calls its GPUs.
    pub visible: Vec<String>,
    /// How often it does what.
    pub pace: Pace,
}

/// A pilot at work.
struct Pilot {
    mailbox: Mailbox,
    name: WorkerName,
    flight: Flight,
    sweep: Place,
    children: BTreeMap<u32, Child>,
    heard: mpsc::Receiver<(u32, Heard)>,
    ears: mpsc::Sender<(u32, Heard)>,
    outbox: Outbox,
    next_order: u64,
    beats: u64,
    beaten: Instant,
    looked: Instant,
    /// Since when it has no worker.
    idle: Instant,
    leaving: Option<Leaving>,
    is_fenced: bool,
    oom_kills: OomKills,
}

/// Serves the sweep until there is no more to do, or `signals` says that it is to leave.
///
/// # Errors
/// When the pilot cannot introduce itself: the folder cannot be reached or written.
pub async fn run(flight: Flight, signals: Signals) -> io::Result<Left> {
    let Registration { job, host, pid, .. } = &flight.registration;
    let name = WorkerName::new(*job, flight.restarts, host, *pid);
    let sweep = Place::named(&flight.folder);
    let mailbox = Mailbox::at(sweep.join(CLUSTER), name.as_str());
    register(&mailbox, &name, &flight).await?;
    let (ears, heard) = mpsc::channel(HEARD_MAX);
    let now = Instant::now();
    let pilot = Pilot {
        outbox: Outbox::new(mailbox.clone(), name.clone(), flight.pace.beat),
        mailbox,
        name,
        sweep,
        children: BTreeMap::new(),
        heard,
        ears,
        next_order: 1,
        beats: 0,
        beaten: now,
        looked: now,
        idle: now,
        leaving: None,
        is_fenced: false,
        oom_kills: OomKills::from_now_on(),
        flight,
    };
    Ok(pilot.serve(signals).await)
}

/// Introduces itself. A full disk is waited out as long as a pilot waits for work: a job that fails for it would be
/// followed by others that fail.
async fn register(mailbox: &Mailbox, name: &WorkerName, flight: &Flight) -> io::Result<()> {
    let until = Instant::now() + flight.pace.idle;
    loop {
        match mailbox.register(name, &flight.registration) {
            Err(error) if files::is_full(&error) && Instant::now() < until => sleep(flight.pace.beat).await,
            registered => return registered,
        }
    }
}

impl Pilot {
    async fn serve(mut self, mut signals: Signals) -> Left {
        loop {
            let pause = self.pause();
            tokio::select! {
                Some((session, heard)) = self.heard.recv() => self.on_heard(session, heard),
                Some(why) = signals.next() => self.leave(why),
                () = sleep(pause) => {}
            }
            let now = Instant::now();
            if now.duration_since(self.looked) >= self.look_every() {
                self.looked = now;
                self.look();
            }
            if now.duration_since(self.beaten) >= self.flight.pace.beat {
                self.beaten = now;
                self.beat();
            }
            self.outbox.flush();
            if self.is_fenced {
                return Left::Fenced;
            }
            self.consider_leaving(now);
            if let Some(left) = self.has_left() {
                return left;
            }
        }
    }

    fn look_every(&self) -> Duration {
        let is_waiting = self.children.is_empty() || self.children.values().any(|child| !child.is_busy());
        if is_waiting { self.flight.pace.look } else { self.flight.pace.look_busy }
    }

    fn pause(&self) -> Duration {
        let due = (self.looked + self.look_every()).min(self.beaten + self.flight.pace.beat);
        due.saturating_duration_since(Instant::now())
    }

    /// Shows that it lives, and sees whether it still counts.
    fn beat(&mut self) {
        // Otherwise its sign was taken away, or the folder cannot be reached. The registration tells which.
        if self.mailbox.beat(&self.name, self.beats).is_ok() {
            self.beats += 1;
        }
        // An error that is not about the file says nothing.
        self.is_fenced |= matches!(self.mailbox.is_registered(&self.name), Ok(false));
    }

    /// Does what new orders say.
    fn look(&mut self) {
        let Ok(numbers) = self.mailbox.orders(&self.name) else { return };
        for number in numbers {
            if number < self.next_order {
                continue;
            }
            if number > self.next_order {
                // An earlier one cannot be seen yet.
                return;
            }
            let Ok(order) = self.mailbox.read_order(&self.name, number) else { return };
            self.next_order += 1;
            self.obey(number, order);
        }
    }

    fn obey(&mut self, number: u64, order: Order) {
        match order {
            Order::Start { session, device } => self.start(session, device),
            Order::Send { session, request, logs } => {
                let logs: Vec<_> = logs
                    .into_iter()
                    .map(|log| (self.sweep.join(log.folder).join("worker.log"), log.title))
                    .collect();
                self.send(number, session, request, &logs);
            }
            Order::Close { session } => self.with(session, Child::close),
            Order::End { session, is_kill } => self.with(session, |child| child.end(is_kill)),
            Order::Leave => self.leave(Left::Done),
        }
    }

    fn with(&mut self, session: u32, act: impl FnOnce(&mut Child)) {
        if let Some(child) = self.children.get_mut(&session) {
            act(child);
        }
    }

    fn start(&mut self, session: u32, device: usize) {
        let device = self.flight.registration.devices.get(device).copied();
        let Some(device) = device.filter(|_| self.leaving.is_none()) else {
            let exit = WorkerExit::Lost("its job ends".to_owned());
            return self.outbox.post(session, Message::Ended { exit, words: String::new() });
        };
        let start = WorkerStart { program: &self.flight.program, visible: &self.flight.visible };
        match Child::start(session, &start, device, self.oom_kills.clone(), self.ears.clone()) {
            Ok(child) => _ = self.children.insert(session, child),
            Err(error) => self.outbox.post(session, Message::Unstarted(error.to_string())),
        }
    }

    fn send(&mut self, number: u64, session: u32, request: WorkerRequest, logs: &[(Place, String)]) {
        let is_leaving = self.leaving.is_some();
        let Some(child) = self.children.get_mut(&session) else { return };
        if !logs.is_empty() {
            child.log_to(logs);
        }
        let WorkerRequest::Run { trials } = &request else { return child.send(request) };
        self.outbox.forget(session);
        self.outbox.post(session, Message::Given(number));
        if is_leaving {
            // Not begun, so that there is nothing to stop.
            for given in trials {
                self.outbox.post(session, Message::Line(crate::protocol::WorkerLine::Stopped(given.trial)));
            }
            return;
        }
        child.send(request);
    }

    fn on_heard(&mut self, session: u32, heard: Heard) {
        match heard {
            Heard::Output(WorkerOutput::Line(line)) => {
                self.with(session, |child| child.on_line(&line));
                self.outbox.line(session, *line);
                if self.leaving.is_some() {
                    self.with(session, |child| {
                        if !child.is_busy() {
                            child.close();
                        }
                    });
                }
            }
            Heard::Output(WorkerOutput::Garbage(what)) => self.outbox.post(session, Message::Garbage(what)),
            Heard::Ended { exit, words } => {
                let child = self.children.remove(&session);
                self.idle = Instant::now();
                let exit = match child {
                    Some(child) if self.leaving.is_some() && child.is_busy() => {
                        WorkerExit::Lost("its job ended before the trial could stop".to_owned())
                    }
                    child => outside(exit, child.is_some_and(|child| child.is_ended())),
                };
                self.outbox.post(session, Message::Ended { exit, words });
                if self.flight.registration.is_for_one {
                    self.leave(Left::Done);
                }
            }
        }
    }
}

/// What an exit means: a batch system ends all processes of a job with SIGTERM, which is no fault of the trial.
fn outside(exit: WorkerExit, is_ours: bool) -> WorkerExit {
    const TERM: i32 = rustix::process::Signal::TERM.as_raw();
    match exit {
        WorkerExit::Signal(TERM) if !is_ours => {
            WorkerExit::Lost("it was asked to end (SIGTERM), as batch systems do".to_owned())
        }
        exit => exit,
    }
}

#[cfg(test)]
mod tests;
