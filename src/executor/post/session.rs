//! The messages of one process of a worker, read in their order.

use tokio::sync::mpsc;

use super::messages::RemoteHeard;
use crate::{
    mailbox::{Message, WorkerName},
    process::WorkerOutput,
    scheduler::WorkerExit,
};

/// A process that is listened to.
#[derive(Debug)]
pub(super) struct Session {
    /// The number of the next message.
    pub(super) next: u64,
    /// What it said before this order was passed on has been dealt with by an earlier run.
    skips_until: Option<u64>,
    heard: mpsc::UnboundedSender<RemoteHeard>,
    is_over: bool,
}

impl Session {
    pub(super) const fn new(heard: mpsc::UnboundedSender<RemoteHeard>) -> Self {
        Self { next: 1, skips_until: None, heard, is_over: false }
    }

    /// A process whose trials were given by this order, in an earlier run.
    pub(super) const fn since(order: u64, next: u64, heard: mpsc::UnboundedSender<RemoteHeard>) -> Self {
        Self { next, skips_until: Some(order), heard, is_over: false }
    }

    /// Passes on a message that came in its turn.
    pub(super) fn on_message(&mut self, message: Message) {
        self.next += 1;
        if let Message::Given(order) = message {
            if self.skips_until == Some(order) {
                self.skips_until = None;
            }
            return;
        }
        // The end counts in any case: a process may end before it reads what it was given.
        let is_end = matches!(message, Message::Ended { .. } | Message::Unstarted(_));
        if self.skips_until.is_some() && !is_end {
            return;
        }
        self.pass_on(message);
    }

    /// Passes on a message of passing interest.
    pub(super) fn on_passing(&self, message: Message) {
        if self.skips_until.is_none() && matches!(message, Message::Line(_)) {
            let Message::Line(line) = message else { return };
            self.tell(RemoteHeard::Output(WorkerOutput::Line(Box::new(line))));
        }
    }

    fn pass_on(&mut self, message: Message) {
        match message {
            Message::Line(line) => self.tell(RemoteHeard::Output(WorkerOutput::Line(Box::new(line)))),
            Message::Garbage(what) => self.tell(RemoteHeard::Output(WorkerOutput::Garbage(what))),
            Message::Unstarted(why) => {
                self.end(WorkerExit::Lost(format!("it could not be started: {why}")), String::new());
            }
            Message::Ended { exit, words } => self.end(exit, words),
            Message::Given(_) | Message::Leaving(_) | Message::Left => {}
        }
    }

    /// Says that the process is over, once.
    pub(super) fn end(&mut self, exit: WorkerExit, words: String) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.tell(RemoteHeard::Ended { exit, words });
        }
    }

    fn tell(&self, heard: RemoteHeard) {
        // Nobody listens any more once the run ends.
        let _ = self.heard.send(heard);
    }
}

/// Whose messages they are.
pub(super) type SessionKey = (WorkerName, u32);
