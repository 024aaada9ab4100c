//! What a server shows: functions that give the pages of sweeps and the pictures of trials.

use crate::{report::PageState, trial::TrialId};

/// Gives the state of a page if it has changed since the last call; the first call gives one. It may take long.
pub type Source = Box<dyn FnMut() -> Option<PageState> + Send>;

/// Begins to look at a sweep; `None` if there is none of this name.
pub type OpenSweep = Box<dyn Fn(&str) -> Option<Source> + Send + Sync>;
/// Gives a picture of a trial, as PNG; `None` if there is none.
pub type FindPicture = Box<dyn Fn(&str, TrialId, Picture) -> Option<Vec<u8>> + Send + Sync>;

/// What a server shows. Every function may wait for a disk.
pub struct Library {
    /// The page that lists the sweeps.
    pub index: Box<dyn Fn() -> Source + Send + Sync>,
    /// The page of a sweep.
    pub sweep: OpenSweep,
    /// The pictures of trials.
    pub picture: FindPicture,
}

/// A picture of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Losses and F1.
    Curve,
    /// The confusion matrix.
    Confusion,
}
