//! Connections: how many there are, and how long each may keep the server waiting.

use std::{
    convert::Infallible,
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep, sleep},
};

use super::respond::Server;

/// Connections at once at most. A browser has one for each page that it follows, and some more while it loads one.
const CONNECTIONS_MAX: usize = 256;
/// How long a request may take to arrive.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long a viewer may take nothing of an answer.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Rest after a connection could not be taken, since the process has no open file to spare for instance.
const REST: Duration = Duration::from_millis(100);

/// Takes connections for ever; each is answered beside the others. One too many is closed at once.
pub(super) async fn accept(listener: TcpListener, server: Arc<Server>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            answer(stream, server).await;
            drop(permit);
        });
    }
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, server: Arc<Server>) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_MAX);
    // A viewer that went away, or wrote something else than HTTP, is nobody's concern.
    let _ = http.serve_connection(TokioIo::new(Patient::new(stream, STALL_MAX)), service).await;
}

/// A stream whose writes fail if the other side takes nothing for so long.
struct Patient<T> {
    stream: T,
    stall_max: Duration,
    patience: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<T> Patient<T> {
    fn new(stream: T, stall_max: Duration) -> Self {
        Self { stream, stall_max, patience: Box::pin(sleep(stall_max)), is_waiting: false }
    }

    /// `written`, unless it has been pending for too long.
    fn within<R>(&mut self, written: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.patience.as_mut().reset(Instant::now() + self.stall_max);
        }
        self.patience.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.within(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within(ended, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_write_that_nobody_takes_fails_in_the_end() {
        let (near, _far) = tokio::io::duplex(8);
        let mut near = Patient::new(near, Duration::from_millis(1));
        assert_eq!(near.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_viewer_that_takes_something_is_waited_for() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = Patient::new(near, STALL_MAX);
        let mut seen = Vec::new();
        let writing = async {
            near.write_all(&[0; 64]).await.unwrap();
            drop(near);
        };
        tokio::join!(writing, async { far.read_to_end(&mut seen).await.unwrap() });
        assert_eq!(seen.len(), 64);
    }
}
