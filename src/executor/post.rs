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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        mailbox::{CLUSTER, Registration, WorkerName},
        system::files::Place,
    };

    #[test]
    fn the_files_of_a_sweep_that_was_taken_over_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::at(Place::named(folder.path()).join(CLUSTER), "test");
        mailbox.make().unwrap();
        let worker = WorkerName::parse("w1").unwrap();
        // One of another version is sent away at the first look.
        let registration = Registration {
            v: 0,
            version: String::new(),
            job_name: String::new(),
            job: None,
            host: "n1".to_owned(),
            pid: 1,
            devices: Vec::new(),
            arithmetic: String::new(),
            is_for_one: false,
        };
        mailbox.register(&worker, &registration).unwrap();
        for is_ours in [false, true] {
            let (sender, orders) = blocking::channel();
            sender.send(PostOrder::Begin).unwrap();
            drop(sender);
            let (events, mut heard) = mpsc::unbounded_channel();
            let times = PostTimes { look: Duration::ZERO, lost_after: Duration::from_mins(1) };
            Desk::new(mailbox.clone(), times, events).work(&orders, &|| is_ours);
            assert_eq!(mailbox.is_registered(&worker).unwrap(), !is_ours);
            assert_eq!(matches!(heard.try_recv(), Ok(PostEvent::TakenOver)), !is_ours);
        }
    }

    #[test]
    fn a_run_whose_lock_nobody_can_take_goes_on() {
        assert!(is_ours(&Tenure::default(), Duration::ZERO));
    }
}
