//! What a pilot has to say: numbered, in order, and kept until it is written.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    mailbox::{Letter, Mailbox, Message, WorkerName},
    protocol::WorkerLine,
};

/// Messages of a pilot that are not written yet, and the numbers of the next ones.
#[derive(Debug)]
pub(super) struct Outbox {
    mailbox: Mailbox,
    worker: WorkerName,
    unsent: VecDeque<(Letter, Message)>,
    /// The number of the latest message of each process, and of the latest one of passing interest.
    numbers: BTreeMap<u32, (u64, u64)>,
    /// When each process last said something of passing interest that was passed on.
    passed: BTreeMap<u32, Instant>,
    passing_every: Duration,
}

impl Outbox {
    pub(super) fn new(mailbox: Mailbox, worker: WorkerName, passing_every: Duration) -> Self {
        let (numbers, passed) = (BTreeMap::new(), BTreeMap::new());
        Self { mailbox, worker, unsent: VecDeque::new(), numbers, passed, passing_every }
    }

    /// Says something for a process; 0 is the pilot itself.
    pub(super) fn post(&mut self, session: u32, message: Message) {
        let (latest, _) = self.numbers.entry(session).or_default();
        *latest += 1;
        let number = *latest;
        self.unsent.push_back((self.letter(session, number, false), message));
    }

    fn letter(&self, session: u32, number: u64, is_passing: bool) -> Letter {
        Letter { worker: self.worker.clone(), session, number, is_passing }
    }

    /// Passes a line on. Of those of passing interest, one in a while is enough, and none is kept.
    pub(super) fn line(&mut self, session: u32, line: WorkerLine) {
        if !matches!(line, WorkerLine::Progress(..) | WorkerLine::Alive(_)) {
            return self.post(session, Message::Line(line));
        }
        let now = Instant::now();
        let passed = self.passed.get(&session);
        if passed.is_some_and(|passed| now.duration_since(*passed) < self.passing_every) {
            return;
        }
        self.passed.insert(session, now);
        let (_, latest) = self.numbers.entry(session).or_default();
        *latest += 1;
        let number = *latest;
        let _ = self.mailbox.post(&self.letter(session, number, true), &Message::Line(line));
    }

    /// Lets the first line about new trials pass at once.
    pub(super) fn forget(&mut self, session: u32) {
        self.passed.remove(&session);
    }

    /// Writes what can be written, in order.
    pub(super) fn flush(&mut self) {
        while let Some((letter, message)) = self.unsent.front() {
            if self.mailbox.post(letter, message).is_err() {
                // A full disk, or a folder that cannot be reached for now.
                return;
            }
            self.unsent.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }
}
