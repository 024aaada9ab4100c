//! The files by which the orchestrator and the workers of a cluster hand over trials: `cluster/` in the sweep's folder.
//!
//! Every file has one writer, is written under another name first, and gets its own name by renaming; nothing is
//! appended to, and nothing is locked. A reader looks at a folder's names alone, so that the number of looks does not
//! grow with the number of workers. Names may be seen late, and in any order: messages are numbered, and are read in
//! their order.
//!
//! ```text
//! cluster/probe                        written when a run begins, read by each pilot
//! cluster/workers/WORKER.json          a pilot is there (Registration)
//! cluster/beats/WORKER.N               it lives: N grows
//! cluster/in/WORKER/N.json             orders of the orchestrator to the pilot (Order)
//! cluster/given/WORKER.SESSION.json    the trials that one of its processes has (Given), written by the orchestrator
//! cluster/out/WORKER.SESSION.N.json    what its process says (Message); session 0 is the pilot itself
//! cluster/out/WORKER.SESSION.N.now     the same, of passing interest
//! ```

mod folder;
mod letters;
mod listing;
mod names;

pub use self::{
    folder::{CLUSTER, LOGS, Mailbox, PROBE, operations},
    letters::{Given, GivenAttempt, Message, Order, Registration, Titled},
    listing::{Beat, Letter},
    names::WorkerName,
};

/// The version of these files. Orchestrator and pilots must have the same.
pub const MAILBOX_VERSION: u32 = 1;

/// Whether a pilot is of this version of the program, and writes files of this version.
#[must_use]
pub fn is_of_this_version(pilot: &Registration) -> bool {
    pilot.v == MAILBOX_VERSION && pilot.version == env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
mod tests;
