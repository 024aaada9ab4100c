//! How work that takes long learns that it shall stop.

/// Somebody asked the work to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Asked now and then by work that takes long. An error asks the work to stop at once.
pub(crate) type GoOn<'a> = dyn FnMut() -> Result<(), Stopped> + 'a;
