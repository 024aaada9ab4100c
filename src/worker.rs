//! The process around [`crate::train`]: requests on standard input, lines on standard output.
//!
//! A worker owns the folders of the trials that it was given and nothing else. It
//! leaves when its input ends (its parent died, or has no more work), when its
//! output is closed, and after any failure: only a fresh process has a clean state.

mod endings;
mod output;
mod panics;
mod reporter;
mod requests;
mod server;
mod together;
mod training;

use std::{
    io::{self, BufReader, Write},
    thread,
    time::Duration,
};

use self::{
    output::Closed,
    requests::Requests,
    server::Server,
    training::{FirstUse, Train},
};
use crate::{
    protocol::{Assignment, PROTOCOL_VERSION, WorkerLine},
    system::{
        device::{Device, GpuBackend},
        gpus::{self, visible},
        panics::Panics,
    },
};

/// Time from the end of the input to the end of the process, if training does not stop before.
const GRACE: Duration = Duration::from_secs(5);

/// Why a worker left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Its input or its output ended.
    Quietly,
    /// Its trial failed.
    AfterFailure,
}

/// Serves trials on `device` until there is no more to do, on this process's standard streams.
///
/// # Errors
/// When a thread cannot be started. The worker has not reported ready then.
pub fn run(device: Device) -> io::Result<Left> {
    let panics = Panics::record();
    if let Device::Cpu { threads, .. } = device {
        compute_here(threads)?;
    }
    let mut train = FirstUse::new(device);
    let at_end = || {
        thread::sleep(GRACE);
        // Everything in a trial's folder is written atomically, so that the process may end at any moment.
        #[expect(clippy::exit, reason = "the main thread may be in a long step, and nobody waits for it")]
        std::process::exit(1);
    };
    let requests = Requests::listen(BufReader::new(io::stdin()), at_end)?;
    let measure = Box::new(measuring(device));
    Ok(Server { output: io::stdout(), requests, panics, measure }.serve(&mut train))
}

/// Makes this thread one of the `threads` that compute. Otherwise it would only wait for them, and hand
/// over data that lies in another core's cache.
fn compute_here(threads: usize) -> io::Result<()> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global();
    built.map_err(|error| io::Error::other(format!("cannot start {threads} threads: {error}")))
}

/// Bytes of GPU memory that this process has, asked once: after its first trial, the peak is known.
fn measuring(device: Device) -> impl FnMut() -> Option<u64> {
    let mut is_asked = !matches!(device, Device::Gpu { backend: GpuBackend::Cuda, .. });
    move || {
        if std::mem::replace(&mut is_asked, true) {
            return None;
        }
        // The name of this worker's one GPU.
        gpus::own_memory(&std::env::var(visible::VARIABLE).ok()?)
    }
}

impl<W: Write> Server<W> {
    fn serve(mut self, train: &mut dyn Train) -> Left {
        if self.send(&WorkerLine::Ready { v: PROTOCOL_VERSION }).is_err() {
            return Left::Quietly;
        }
        while let Ok(orders) = self.requests.trials.recv() {
            let can_go_on = match orders.as_slice() {
                [] => Ok(true),
                [order] => self.alone(order, train),
                orders => self.together(orders, train),
            };
            match can_go_on {
                Ok(true) => {}
                Ok(false) => return Left::AfterFailure,
                Err(Closed) => return Left::Quietly,
            }
        }
        Left::Quietly
    }

    /// Runs one trial, and says how it ended. Returns whether the worker can take another one.
    fn alone(&mut self, order: &Assignment, train: &mut dyn Train) -> Result<bool, Closed> {
        let line = self.attempt(order, train)?;
        self.send(&line)?;
        Ok(!matches!(line, WorkerLine::Failed(..)))
    }
}

#[cfg(test)]
mod tests;
