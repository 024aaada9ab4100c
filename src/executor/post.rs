//! The thread that reads and writes the files of a cluster's workers.
//!
//! The loop never waits for the file system of a cluster: it gives orders and hears what has come. A worker is lost once
//! no new sign of life was seen for long, by the clock of this machine; no clocks of two machines are compared. What
//! cannot be read, or cannot be seen yet, means nothing: it is looked for again.

mod desk;
mod known;
mod messages;
mod session;
mod survey;

use std::sync::mpsc as blocking;

use tokio::sync::mpsc;

use self::desk::Desk;
pub use self::messages::PostTimes;
pub(super) use self::{
    messages::{PostEvent, PostOrder, RemoteHeard},
    survey::{Found, survey},
};
use crate::{
    mailbox::Mailbox,
    results::{ResultsError, Tenure},
    system::threads,
};

/// The way to the thread.
#[derive(Clone, Debug)]
pub(super) struct PostOffice(blocking::Sender<PostOrder>);

impl PostOffice {
    pub(super) fn send(&self, order: PostOrder) {
        // Without the thread, the run is over.
        let _ = self.0.send(order);
    }

    /// Starts the thread. `events` hears of workers. It does nothing any more once the sweep is another process's.
    ///
    /// # Errors
    /// When the system has no thread to spare.
    pub(super) fn open(
        mailbox: Mailbox,
        times: PostTimes,
        tenure: Tenure,
        events: mpsc::UnboundedSender<PostEvent>,
    ) -> std::io::Result<Self> {
        let (sender, orders) = blocking::channel();
        threads::start(move || {
            let desk = Desk::new(mailbox, times, events);
            desk.work(&orders, &|| is_ours(&tenure, times.look));
        })?;
        Ok(Self(sender))
    }
}

/// Whether the sweep is this process's. After a pause of it, such as a suspension, it may be another one's. Waits as long
/// as that cannot be found out; the loop decides for how long.
fn is_ours(tenure: &Tenure, pause: std::time::Duration) -> bool {
    loop {
        match tenure.check() {
            Ok(()) => return true,
            Err(ResultsError::TakenOver { .. }) => return false,
            Err(_) => std::thread::sleep(pause),
        }
    }
}
