//! The messages of one process of a worker, read in their order.

use tokio::sync::mpsc;

use super::messages::RemoteHeard;
use crate::{
    mailbox::{Message, WorkerName},
    process::WorkerOutput,
    protocol::WorkerLine,
    scheduler::WorkerExit,
    trial::TrialId,
};

/// A process that is listened to.
#[derive(Debug)]
pub(super) struct Session {
    /// The number of the next message.
    pub(super) next: u64,
    /// What it said before this order was passed on has been dealt with by an earlier run.
    skips_until: Option<u64>,
    /// Trials of that order that are over: what it said of them, too.
    skipped: Vec<TrialId>,
    heard: mpsc::UnboundedSender<RemoteHeard>,
    is_over: bool,
    /// How often the next message was found damaged.
    unreadable: u32,
}

/// A message that is found damaged so often, in a minute or so, will not become whole.
const UNREADABLE_MAX: u32 = 240;

impl Session {
    pub(super) const fn new(heard: mpsc::UnboundedSender<RemoteHeard>) -> Self {
        Self { next: 1, skips_until: None, skipped: Vec::new(), heard, is_over: false, unreadable: 0 }
    }

    /// A process whose trials were given by this order, in an earlier run. Of `over`, nothing is passed on.
    pub(super) const fn since(
        order: u64,
        next: u64,
        over: Vec<TrialId>,
        heard: mpsc::UnboundedSender<RemoteHeard>,
    ) -> Self {
        Self { next, skips_until: Some(order), skipped: over, heard, is_over: false, unreadable: 0 }
    }

    fn is_skipped(&self, line: &WorkerLine) -> bool {
        line.trial().is_some_and(|trial| self.skipped.contains(&trial))
    }

    /// Passes on a message that came in its turn.
    pub(super) fn on_message(&mut self, message: Message) {
        (self.next, self.unreadable) = (self.next + 1, 0);
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

    /// The next message is damaged. It may still be on its way; if it stays so, the process is given up.
    pub(super) fn on_unreadable(&mut self) {
        self.unreadable += 1;
        if self.unreadable == UNREADABLE_MAX {
            self.end(WorkerExit::Lost(format!("its message {} is damaged", self.next)), String::new());
        }
    }

    /// Passes on a message of passing interest.
    pub(super) fn on_passing(&self, message: Message) {
        if let Message::Line(line) = message
            && self.skips_until.is_none()
            && !self.is_skipped(&line)
        {
            self.tell(RemoteHeard::Output(WorkerOutput::Line(Box::new(line))));
        }
    }

    fn pass_on(&mut self, message: Message) {
        match message {
            Message::Line(line) if self.is_skipped(&line) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &mut mpsc::UnboundedReceiver<RemoteHeard>) -> Vec<String> {
        std::iter::from_fn(|| listener.try_recv().ok()).map(|heard| format!("{heard:?}")).collect()
    }

    #[test]
    fn what_an_earlier_run_has_dealt_with_is_left_out() {
        let (sender, mut listener) = mpsc::unbounded_channel();
        let mut session = Session::since(7, 4, Vec::new(), sender);
        session.on_message(Message::Line(WorkerLine::Stopped(TrialId(1))));
        session.on_message(Message::Given(7));
        session.on_message(Message::Line(WorkerLine::Stopped(TrialId(2))));
        assert_eq!(session.next, 7);
        let [only] = &heard(&mut listener)[..] else { panic!("one is passed on") };
        assert!(only.contains("Stopped(TrialId(2))"), "{only}");
    }

    #[test]
    fn of_trials_that_were_given_together_those_that_are_over_are_left_out() {
        let (sender, mut listener) = mpsc::unbounded_channel();
        let mut session = Session::since(7, 1, vec![TrialId(1)], sender);
        session.on_message(Message::Given(7));
        for trial in [1, 2].map(TrialId) {
            session.on_passing(Message::Line(WorkerLine::Alive(trial)));
            session.on_message(Message::Line(WorkerLine::Stopped(trial)));
        }
        let [alive, stopped] = &heard(&mut listener)[..] else { panic!("two are passed on") };
        assert!(alive.contains("Alive(TrialId(2))") && stopped.contains("Stopped(TrialId(2))"));
    }

    #[test]
    fn a_message_that_stays_damaged_ends_the_process_once() {
        let (sender, mut listener) = mpsc::unbounded_channel();
        let mut session = Session::new(sender);
        (1..UNREADABLE_MAX).for_each(|_| session.on_unreadable());
        assert!(heard(&mut listener).is_empty(), "it may still be on its way");
        (0..3).for_each(|_| session.on_unreadable());
        let [end] = &heard(&mut listener)[..] else { panic!("it ends once") };
        assert!(end.contains("message 1 is damaged"), "{end}");
    }
}
