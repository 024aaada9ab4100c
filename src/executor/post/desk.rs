//! What the thread knows of workers, and how it carries out orders.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::mpsc as blocking,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    known::Known,
    messages::{PostEvent, PostOrder, PostTimes},
    session::{Session, SessionKey},
};
use crate::{
    mailbox::{Beat, Letter, Mailbox, Message, Order, WorkerName, is_of_this_version},
    scheduler::WorkerExit,
};

/// The thread's state.
#[derive(Debug)]
pub(super) struct Desk {
    mailbox: Mailbox,
    times: PostTimes,
    events: mpsc::UnboundedSender<PostEvent>,
    workers: BTreeMap<WorkerName, Known>,
    sessions: BTreeMap<SessionKey, Session>,
    /// Workers whose registration means nothing to this run.
    foreign: BTreeSet<WorkerName>,
    beats_seen: Instant,
    /// Until when workers that leave are waited for.
    farewell: Option<Instant>,
    has_warned: bool,
    has_begun: bool,
}

impl Desk {
    pub(super) fn new(mailbox: Mailbox, times: PostTimes, events: mpsc::UnboundedSender<PostEvent>) -> Self {
        Self {
            mailbox,
            times,
            events,
            workers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            foreign: BTreeSet::new(),
            beats_seen: Instant::now(),
            farewell: None,
            has_warned: false,
            has_begun: false,
        }
    }

    /// Carries out orders and looks at files until nobody gives orders any more, or the files are another process's.
    pub(super) fn work(mut self, orders: &blocking::Receiver<PostOrder>, is_ours: &dyn Fn() -> bool) {
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            let order = orders.recv_timeout(next.saturating_duration_since(now));
            if !is_ours() {
                return self.tell(PostEvent::TakenOver);
            }
            match order {
                Ok(order) => {
                    self.obey(order, Instant::now());
                    self.obey_all(orders);
                }
                Err(blocking::RecvTimeoutError::Timeout) => {}
                Err(blocking::RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                self.look(Instant::now());
                next = Instant::now() + self.times.look;
            }
        }
    }

    fn obey_all(&mut self, orders: &blocking::Receiver<PostOrder>) {
        while let Ok(order) = orders.try_recv() {
            self.obey(order, Instant::now());
        }
    }

    fn tell(&self, event: PostEvent) {
        let _ = self.events.send(event);
    }

    /// Says once in a while of trouble that something cannot be read or written now.
    fn trouble(&mut self, what: &str, error: &io::Error) {
        if !std::mem::replace(&mut self.has_warned, true) {
            let root = self.mailbox.root().display().to_string();
            self.tell(PostEvent::Warning(format!(
                "{root} cannot be {what} for now ({error}); workers go on, and it is tried again"
            )));
        }
    }

    pub(super) fn obey(&mut self, order: PostOrder, now: Instant) {
        match order {
            PostOrder::Open { worker, device, session, heard } => {
                let mut new = Session::new(heard);
                if !self.is_there(&worker) {
                    new.end(WorkerExit::Lost("it has left".to_owned()), String::new());
                }
                self.sessions.insert((worker.clone(), session), new);
                self.order(&worker, Order::Start { session, device });
            }
            PostOrder::Attach { found, heard } => {
                let (order, first) = (found.given.order, found.given.first);
                let key = (found.worker.clone(), found.session);
                self.sessions.insert(key, Session::since(order, first, found.over, heard));
                self.meet(&found.worker, now);
            }
            PostOrder::Order { worker, order } => self.order(&worker, order),
            PostOrder::Give { worker, session, request, logs, mut given } => {
                self.forget_letters(&worker, session);
                given.order = self.workers.get(&worker).map_or(0, Known::next_number);
                given.first = self.sessions.get(&(worker.clone(), session)).map_or(1, |session| session.next);
                match self.mailbox.note_given(&worker, session, &given) {
                    Ok(()) => self.order(&worker, Order::Send { session, request, logs }),
                    Err(error) => self.cannot_give(&worker, session, &error),
                }
            }
            PostOrder::Forget { worker, session } => self.forget(&worker, session),
            PostOrder::Begin => self.has_begun = true,
            PostOrder::Farewell { patience } => {
                self.farewell = Some(now + patience);
                let names: Vec<WorkerName> = self.workers.keys().cloned().collect();
                for worker in names {
                    self.order(&worker, Order::Leave);
                }
            }
        }
    }

    /// Where a note cannot be written, the process ends, and its trials are tried again.
    fn cannot_give(&mut self, worker: &WorkerName, session: u32, error: &io::Error) {
        self.trouble("written", error);
        if let Some(session) = self.sessions.get_mut(&(worker.clone(), session)) {
            session.end(
                WorkerExit::Lost(format!("its trials could not be written down: {error}")),
                String::new(),
            );
        }
        self.order(worker, Order::End { session, is_kill: true });
    }

    fn is_there(&self, worker: &WorkerName) -> bool {
        self.workers.get(worker).is_some_and(|known| !known.has_left)
    }

    fn order(&mut self, worker: &WorkerName, order: Order) {
        if let Some(known) = self.workers.get_mut(worker) {
            known.unwritten.push(order);
        }
        self.write(worker);
    }

    /// Writes the orders that wait, in order, as far as that is possible.
    fn write(&mut self, worker: &WorkerName) {
        let mut failed = None;
        if let Some(known) = self.workers.get_mut(worker) {
            let mut written = 0;
            for order in &known.unwritten {
                match self.mailbox.order(worker, known.next_order, order) {
                    Ok(()) => (known.next_order, written) = (known.next_order + 1, written + 1),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            known.unwritten.drain(..written);
            if written > 0 {
                self.has_warned = false;
            }
        }
        if let Some(error) = failed {
            self.trouble("written", &error);
        }
    }

    /// Removes what a process has said so far. The loop has dealt with it.
    fn forget_letters(&mut self, worker: &WorkerName, session: u32) {
        let Ok(letters) = self.mailbox.letters() else { return };
        let next = self.sessions.get(&(worker.clone(), session)).map_or(u64::MAX, |session| session.next);
        let is_old = |letter: &&Letter| {
            letter.worker == *worker
                && letter.session == session
                && letter.number < next
                && !letter.is_passing
        };
        for letter in letters.iter().filter(is_old) {
            let _ = self.mailbox.remove_letter(letter);
        }
    }

    fn forget(&mut self, worker: &WorkerName, session: u32) {
        self.sessions.remove(&(worker.clone(), session));
        self.forget_letters(worker, session);
        let _ = self.mailbox.forget_given(worker, session);
        if self.workers.get(worker).is_some_and(|known| known.has_left) {
            self.release(worker);
        }
    }

    /// Takes a worker out that has left, once nothing that it said waits to be dealt with.
    fn release(&mut self, worker: &WorkerName) {
        if self.sessions.keys().any(|(owner, _)| owner == worker) {
            return;
        }
        self.fence(worker);
    }

    /// Takes a worker out: it leaves as soon as it sees that.
    fn fence(&mut self, worker: &WorkerName) {
        let _ = self.mailbox.unregister(worker);
        if let Ok(letters) = self.mailbox.letters() {
            let own = letters.iter().filter(|letter| letter.worker == *worker);
            own.for_each(|letter| _ = self.mailbox.remove_letter(letter));
        }
        if let Ok(beats) = self.mailbox.beats() {
            let own = beats.iter().filter(|beat| beat.worker == *worker);
            own.for_each(|beat| _ = self.mailbox.end_beats(beat));
        }
        self.workers.remove(worker);
        self.foreign.insert(worker.clone());
    }

    /// Looks at everything.
    pub(super) fn look(&mut self, now: Instant) {
        if !self.has_begun {
            return;
        }
        self.look_for_workers(now);
        match self.mailbox.letters() {
            Ok(letters) => letters.iter().for_each(|letter| self.on_letter(letter)),
            Err(error) => self.trouble("read", &error),
        }
        let waiting: Vec<WorkerName> = self
            .workers
            .iter()
            .filter(|(_, known)| !known.unwritten.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for worker in waiting {
            self.write(&worker);
        }
        if now.duration_since(self.beats_seen) >= self.beats_every() {
            self.beats_seen = now;
            self.look_at_beats(now);
        }
        self.look_at_farewell(now);
    }

    fn beats_every(&self) -> Duration {
        (self.times.lost_after / 10).clamp(Duration::from_millis(100), Duration::from_secs(5))
    }

    fn look_for_workers(&mut self, now: Instant) {
        let workers = match self.mailbox.workers() {
            Ok(workers) => workers,
            Err(error) => return self.trouble("read", &error),
        };
        for worker in workers {
            if self.foreign.contains(&worker) || self.workers.get(&worker).is_some_and(|known| known.next > 0)
            {
                continue;
            }
            // What cannot be read yet is read at the next look.
            let Ok(registration) = self.mailbox.read_registration(&worker) else { continue };
            if !is_of_this_version(&registration) {
                let version = &registration.version;
                self.tell(PostEvent::Warning(format!(
                    "the worker on {} runs version {version} of this program and is sent away: all workers must have \
                     this version, {}",
                    registration.host,
                    env!("CARGO_PKG_VERSION")
                )));
                self.fence(&worker);
                continue;
            }
            self.meet(&worker, now);
            if let Some(known) = self.workers.get_mut(&worker) {
                known.next = 1;
                self.tell(PostEvent::Joined(worker, Box::new(registration)));
            }
        }
    }

    /// Begins to know a worker.
    fn meet(&mut self, worker: &WorkerName, now: Instant) {
        // Without the numbers of earlier orders one of them might be replaced: it is met at a later look.
        if !self.workers.contains_key(worker)
            && let Ok(orders) = self.mailbox.orders(worker)
        {
            let next_order = orders.last().map_or(1, |last| last + 1);
            let known =
                Known { next_order, beat: (None, now), next: 0, has_left: false, unwritten: Vec::new() };
            self.workers.insert(worker.clone(), known);
        }
    }

    fn on_letter(&mut self, letter: &Letter) {
        if letter.is_passing {
            let message = self.mailbox.read_letter(letter);
            let _ = self.mailbox.remove_letter(letter);
            let session = self.sessions.get(&(letter.worker.clone(), letter.session));
            if let (Ok(message), Some(session)) = (message, session) {
                session.on_passing(message);
            }
        } else if letter.session == 0 {
            self.on_pilots_letter(letter);
        } else if let Some(session) = self.sessions.get_mut(&(letter.worker.clone(), letter.session)) {
            if session.next == letter.number {
                match self.mailbox.read_letter(letter) {
                    Ok(message) => session.on_message(message),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => session.on_unreadable(),
                    // It cannot be seen yet.
                    Err(_) => {}
                }
            }
        } else if self.workers.contains_key(&letter.worker) || self.foreign.contains(&letter.worker) {
            // What a process says that was given up.
            let _ = self.mailbox.remove_letter(letter);
        }
    }

    fn on_pilots_letter(&mut self, letter: &Letter) {
        let Some(known) = self.workers.get_mut(&letter.worker) else { return };
        if known.next != letter.number {
            return;
        }
        let Ok(message) = self.mailbox.read_letter(letter) else { return };
        known.next += 1;
        match message {
            Message::Leaving(_) => self.tell(PostEvent::Leaving(letter.worker.clone())),
            Message::Left => {
                known.has_left = true;
                // Sorted by number, its processes' last words may come later in this look.
                self.tell(PostEvent::Gone { worker: letter.worker.clone(), lost: None });
                self.release(&letter.worker);
            }
            _ => {}
        }
    }

    /// Notes signs of life, and which workers have given none for too long.
    fn look_at_beats(&mut self, now: Instant) {
        let Ok(beats) = self.mailbox.beats() else { return };
        for Beat { worker, count } in beats {
            if let Some(known) = self.workers.get_mut(&worker)
                && known.beat.0 != Some(count)
            {
                known.beat = (Some(count), now);
            }
        }
        let silent = |known: &Known| now.duration_since(known.beat.1) >= self.times.lost_after;
        let lost: Vec<WorkerName> =
            self.workers.iter().filter(|(_, known)| silent(known)).map(|(name, _)| name.clone()).collect();
        for worker in lost {
            self.lose(&worker);
        }
    }

    fn lose(&mut self, worker: &WorkerName) {
        let why = format!("no sign of life for {} s", self.times.lost_after.as_secs());
        for ((owner, _), session) in &mut self.sessions {
            if owner == worker {
                session.end(WorkerExit::Lost(why.clone()), String::new());
            }
        }
        self.tell(PostEvent::Gone { worker: worker.clone(), lost: Some(why) });
        self.fence(worker);
    }

    fn look_at_farewell(&mut self, now: Instant) {
        let is_over = |until: Instant| now >= until || self.workers.values().all(|known| known.has_left);
        if self.farewell.is_some_and(is_over) {
            self.farewell = None;
            self.tell(PostEvent::AllLeft);
        }
    }
}
