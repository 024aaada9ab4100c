//! Why a pilot leaves, and the signals that ask it to.

use tokio::signal::unix::{Signal, SignalKind, signal};

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
    pub(super) const fn why(self) -> &'static str {
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
    pub(super) why: Left,
    /// Whether its last word was said.
    pub(super) is_told: bool,
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
