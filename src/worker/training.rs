//! What trains the trials of a worker.

use crate::{
    job::{Attempt, Job},
    system::{device::Device, files::Place},
    train::{Ending, Entrant, Listener, Observe, Session, TrainError},
};

/// Trains, as [`Session`] does.
pub(super) trait Train {
    /// Runs one trial; see [`Session::run`].
    fn alone(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError>;

    /// Runs several trials together; see [`Session::run_together`].
    fn together(&mut self, entrants: &[Entrant<'_>], listener: &mut dyn Listener) -> Result<(), TrainError>;
}

/// A session that is opened for the first trial, so that a device that cannot be opened fails that trial.
pub(super) struct FirstUse {
    device: Device,
    session: Option<Session>,
}

impl FirstUse {
    pub(super) const fn new(device: Device) -> Self {
        Self { device, session: None }
    }

    fn session(&mut self) -> Result<&mut Session, TrainError> {
        Ok(match &mut self.session {
            Some(session) => session,
            empty => empty.insert(Session::open(self.device)?),
        })
    }
}

impl Train for FirstUse {
    fn alone(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        self.session()?.run(job, attempt, folder, observe)
    }

    fn together(&mut self, entrants: &[Entrant<'_>], listener: &mut dyn Listener) -> Result<(), TrainError> {
        self.session()?.run_together(entrants, listener)
    }
}
