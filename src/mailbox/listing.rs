//! What stands in the folders: names of files, parsed.

use std::io;

use super::{
    folder::{Mailbox, tally},
    letters::{Given, Message, Order, Registration},
    names::WorkerName,
};
use crate::system::files::{self, Place};

/// A message that lies there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// Whose it is.
    pub worker: WorkerName,
    /// Of which of its processes; 0: of the pilot itself.
    pub session: u32,
    /// Its number, from 1; those of passing interest are numbered by themselves.
    pub number: u64,
    /// Whether it is of passing interest: it may be removed unread.
    pub is_passing: bool,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whose it is.
    pub worker: WorkerName,
    /// How many there were.
    pub count: u64,
}

impl Letter {
    fn file(&self) -> String {
        let Self { worker, session, number, is_passing } = self;
        format!("{worker}.{session}.{number}.{}", if *is_passing { "now" } else { "json" })
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let (worker, session, number) = (parts.next()?, parts.next()?, parts.next()?);
        let is_passing = match (parts.next()?, parts.next()) {
            ("json", None) => false,
            ("now", None) => true,
            _ => return None,
        };
        let (session, number) = (session.parse().ok()?, number.parse().ok()?);
        Some(Self { worker: WorkerName::parse(worker)?, session, number, is_passing })
    }
}

impl Mailbox {
    fn outbox(&self) -> Place {
        self.root().join("out")
    }

    fn inbox(&self, worker: &WorkerName) -> Place {
        self.root().join("in").join(worker.as_str())
    }

    fn registration(&self, worker: &WorkerName) -> Place {
        self.root().join("workers").join(format!("{worker}.json"))
    }

    fn given(&self, worker: &WorkerName, session: u32) -> Place {
        self.root().join("given").join(format!("{worker}.{session}.json"))
    }

    fn beat_file(&self, worker: &WorkerName, count: u64) -> Place {
        self.root().join("beats").join(format!("{worker}.{count}"))
    }

    /// Introduces a pilot: its inbox, its first sign of life, and then its registration.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn register(&self, worker: &WorkerName, registration: &Registration) -> io::Result<()> {
        files::create_folder(&self.inbox(worker))?;
        self.write(&self.beat_file(worker, 0), &())?;
        self.write(&self.registration(worker), registration)
    }

    /// Whether the worker is still one of this sweep's. An error means that nothing is known.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn is_registered(&self, worker: &WorkerName) -> io::Result<bool> {
        match self.read::<Registration>(&self.registration(worker)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The registered workers.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn workers(&self) -> io::Result<Vec<WorkerName>> {
        let names = self.names(&self.root().join("workers"))?;
        Ok(names.iter().filter_map(|name| WorkerName::parse(name.strip_suffix(".json")?)).collect())
    }

    /// The registration of a worker.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_registration(&self, worker: &WorkerName) -> io::Result<Registration> {
        self.read(&self.registration(worker))
    }

    /// Takes a worker out: its orders and its registration go, so that it leaves once it looks.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn unregister(&self, worker: &WorkerName) -> io::Result<()> {
        self.remove(&self.registration(worker))?;
        tally(2);
        files::remove_folder(&self.inbox(worker))
    }

    /// A sign of life after `count` others. One renaming.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn beat(&self, worker: &WorkerName, count: u64) -> io::Result<()> {
        tally(1);
        self.beat_file(worker, count).rename(&self.beat_file(worker, count + 1))
    }

    /// The signs of life. One that is renamed meanwhile may be missing.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn beats(&self) -> io::Result<Vec<Beat>> {
        let parse = |name: &String| {
            let (worker, count) = name.split_once('.')?;
            Some(Beat { worker: WorkerName::parse(worker)?, count: count.parse().ok()? })
        };
        Ok(self.names(&self.root().join("beats"))?.iter().filter_map(parse).collect())
    }

    /// Removes a sign of life.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn end_beats(&self, beat: &Beat) -> io::Result<()> {
        self.remove(&self.beat_file(&beat.worker, beat.count))
    }

    /// Writes an order to a worker.
    ///
    /// # Errors
    /// When it cannot be written, such as to a worker that was taken out.
    pub fn order(&self, worker: &WorkerName, number: u64, order: &Order) -> io::Result<()> {
        self.write(&self.inbox(worker).join(format!("{number}.json")), order)
    }

    /// The numbers of the orders to a worker.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn orders(&self, worker: &WorkerName) -> io::Result<Vec<u64>> {
        let names = self.names(&self.inbox(worker))?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// An order to a worker.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_order(&self, worker: &WorkerName, number: u64) -> io::Result<Order> {
        self.read(&self.inbox(worker).join(format!("{number}.json")))
    }

    /// Notes which trials a process of a worker has, before the order that gives them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_given(&self, worker: &WorkerName, session: u32, given: &Given) -> io::Result<()> {
        self.write(&self.given(worker, session), given)
    }

    /// The trials that processes have, by worker and session, as far as notes can be read.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all_given(&self) -> io::Result<Vec<(WorkerName, u32, Given)>> {
        let names = self.names(&self.root().join("given"))?;
        let mut all = Vec::new();
        for name in names {
            let parts = || name.strip_suffix(".json")?.split_once('.');
            let Some((worker, session)) = parts() else { continue };
            let (Some(worker), Ok(session)) = (WorkerName::parse(worker), session.parse()) else { continue };
            if let Ok(given) = self.read(&self.given(&worker, session)) {
                all.push((worker, session, given));
            }
        }
        all.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        Ok(all)
    }

    /// Forgets which trials a process has.
    ///
    /// # Errors
    /// When the note cannot be removed.
    pub fn forget_given(&self, worker: &WorkerName, session: u32) -> io::Result<()> {
        self.remove(&self.given(worker, session))
    }

    /// Writes a message of a worker.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn post(&self, letter: &Letter, message: &Message) -> io::Result<()> {
        self.write(&self.outbox().join(letter.file()), message)
    }

    /// All messages that lie there, by worker, process and number.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn letters(&self) -> io::Result<Vec<Letter>> {
        let names = self.names(&self.outbox())?;
        let mut letters: Vec<Letter> = names.iter().filter_map(|name| Letter::parse(name)).collect();
        letters.sort();
        Ok(letters)
    }

    /// A message.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_letter(&self, letter: &Letter) -> io::Result<Message> {
        self.read(&self.outbox().join(letter.file()))
    }

    /// Removes a message.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove_letter(&self, letter: &Letter) -> io::Result<()> {
        self.remove(&self.outbox().join(letter.file()))
    }
}
