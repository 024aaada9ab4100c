//! The orchestrator's requests.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use crate::{
    protocol::{Assignment, WorkerRequest},
    trial::TrialId,
};

/// Which trials are to stop.
#[derive(Clone, Default)]
pub(super) struct StopWishes(Arc<Mutex<Wishes>>);

#[derive(Default)]
struct Wishes {
    trials: BTreeSet<TrialId>,
    all: bool,
}

impl StopWishes {
    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn has(&self, trial: TrialId) -> bool {
        let wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.all || wishes.trials.contains(&trial)
    }
}

/// The orchestrator's requests, which a thread reads.
pub(super) struct Requests {
    pub(super) trials: mpsc::Receiver<Vec<Assignment>>,
    pub(super) stop: StopWishes,
}

impl Requests {
    /// Listens to `input`; `at_end` is called on the listening thread once it ended.
    pub(super) fn listen(
        input: impl BufRead + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, trials) = mpsc::channel();
        let stop = StopWishes::default();
        let wishes = stop.clone();
        thread::Builder::new().spawn(move || {
            for line in input.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(WorkerRequest::Run { trials }) => {
                        // Here and not where a trial starts: a stop may follow at once.
                        wishes.change(|wishes| wishes.trials.clear());
                        if sender.send(trials).is_err() {
                            break;
                        }
                    }
                    Ok(WorkerRequest::Stop(trial)) => wishes.change(|wishes| _ = wishes.trials.insert(trial)),
                    Err(_) => break,
                }
            }
            wishes.change(|wishes| wishes.all = true);
            drop(sender);
            at_end();
        })?;
        Ok(Self { trials, stop })
    }
}
