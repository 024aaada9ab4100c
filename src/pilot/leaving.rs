//! How a pilot leaves: why, what its trials do meanwhile, and when it is done.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use super::Pilot;
use crate::mailbox::Message;

/// Why a pilot left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was told to, or there was nothing to do.
    Done,
    /// The time of its job is over soon (SIGUSR1): the job should be put into the queue again.
    TimeIsOver,
    /// Its machine wishes so (SIGTERM): the batch system decides what becomes of the job.
    Ended,
    /// Another worker has its trials.
    Fenced,
}

impl Left {
    const fn why(self) -> &'static str {
        match self {
            Self::Done => "there is no more to do",
            Self::TimeIsOver => "the time of its job is over soon",
            Self::Ended => "its job is ended",
            Self::Fenced => "another worker has its trials",
        }
    }
}

/// A pilot that leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    why: Left,
    is_told: bool,
}

/// The signals that ask a pilot to leave.
#[derive(Debug)]
pub struct Signals {
    time: Option<Signal>,
    end: Option<Signal>,
}

impl Signals {
    /// Listens to SIGUSR1 and SIGTERM.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> std::io::Result<Self> {
        let time = Some(signal(SignalKind::user_defined1())?);
        Ok(Self { time, end: Some(signal(SignalKind::terminate())?) })
    }

    /// Listens to nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self { time: None, end: None }
    }

    pub(super) async fn next(&mut self) -> Option<Left> {
        async fn of(signal: &mut Option<Signal>) -> Option<()> {
            match signal {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            time = of(&mut self.time) => time.map(|()| Left::TimeIsOver),
            end = of(&mut self.end) => end.map(|()| Left::Ended),
        }
    }
}

impl Pilot {
    /// Begins to leave: trials stop with a checkpoint. Asked again, it ends its workers at once.
    pub(super) fn leave(&mut self, why: Left) {
        if let Some(leaving) = &self.leaving {
            if leaving.why != Left::Done && why == Left::Ended {
                self.children.values_mut().for_each(|child| child.end(true));
            }
            return;
        }
        self.leaving = Some(Leaving { why, is_told: false });
        self.outbox.post(0, Message::Leaving(why.why().to_owned()));
        self.children.values_mut().for_each(super::Child::stop);
    }

    /// Leaves when there has been nothing to do for long.
    pub(super) fn consider_leaving(&mut self, now: Instant) {
        if !self.children.is_empty() {
            self.idle = now;
        } else if now.duration_since(self.idle) >= self.flight.pace.idle {
            self.leave(Left::Done);
        }
    }

    /// Why it left, once nothing is left to be done or said.
    pub(super) fn has_left(&mut self) -> Option<Left> {
        let leaving = self.leaving.as_mut().filter(|_| self.children.is_empty())?;
        if !std::mem::replace(&mut leaving.is_told, true) {
            self.outbox.post(0, Message::Left);
            self.outbox.flush();
        }
        let why = leaving.why;
        self.outbox.is_empty().then_some(why)
    }
}
