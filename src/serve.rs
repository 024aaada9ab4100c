//! Pages of sweeps over HTTP, which follow their sweeps while these run.
//!
//! Nothing here knows of files: what is shown comes from a [`Library`]. Only GET is answered. No part of an address is
//! ever a path: names are compared with those that the library lists. A viewer that is slow, or gone, holds up neither
//! the others nor the library: it gets the newest state once it can take it.

mod body;
mod connection;
mod feed;
mod guard;
mod library;
mod respond;
mod route;
mod snapshot;

use std::{future::Future, io, net::TcpListener, sync::Arc};

use self::{feed::Feeds, respond::Server};
pub use self::{
    guard::Guard,
    library::{FindPicture, Library, OpenSweep, Picture, Source},
};

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
