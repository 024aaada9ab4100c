//! Pages of sweeps over HTTP, which follow their sweeps while these run.
//!
//! Nothing here knows of files: what is shown comes from a [`Library`]. Only GET is answered. No part of an address is
//! ever a path: names are compared with those that the library lists. A viewer that is slow, or gone, holds up neither
//! the others nor the library: it gets the newest state once it can take it.

mod body;
mod connection;
mod feed;
mod guard;
mod respond;
mod route;
mod snapshot;

use std::{future::Future, io, net::TcpListener, sync::Arc};

pub use self::guard::Guard;
use self::{feed::Feeds, respond::Server};
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

/// Answers viewers on `listener` until `stop` is ready.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    guard: Guard,
    library: Library,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = Arc::new(Server { guard, feeds: Feeds::new(Arc::new(library)) });
    tokio::select! {
        () = stop => Ok(()),
        () = connection::accept(listener, server) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
