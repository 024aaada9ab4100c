//! Who hears what happens in a run: progress on a terminal, pictures, and what else may come.

use std::time::Duration;

use tokio::{sync::mpsc, time::sleep};

use crate::{
    event::{Progress, Record},
    study::Study,
    trial::TrialId,
};

/// Between two looks whether observers are done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What observers hear while a run lasts.
#[derive(Debug)]
pub enum Notice<'a> {
    /// This record was logged; the study is the one after it.
    Logged(&'a Record, &'a Study),
    /// A trial has moved on; this is not logged.
    Progress(TrialId, &'a Progress),
    /// The user asked to stop, for the first, second, … time.
    Stopping(u32),
    /// The workers and jobs of a cluster by state, in a few words.
    Workers(&'a str),
    /// Something that people may want to know.
    Note(String),
    /// Something that people should know, and that does not end the run.
    Warning(String),
    /// What the last warning was about is over; the text says how.
    Resolved(String),
}

/// Hears what happens in a run. Observers decide nothing, and their failure fails no trial.
pub trait Observer {
    /// The run begins, with this study. `warnings` takes what all observers should hear.
    fn on_start(&mut self, _study: &Study, _warnings: &Warnings) {}

    /// Something happened. The loop waits for the answer, so that long work belongs on a thread.
    fn on_notice(&mut self, notice: &Notice<'_>);

    /// The run is over: the observer finishes its own work.
    fn on_end(&mut self) {}

    /// Whether its own work is done, after [`Self::on_end`].
    fn is_done(&mut self) -> bool {
        true
    }

    /// The user does not want to wait: what can be made again later is left out.
    fn hurry(&mut self) {}
}

impl<F: FnMut(&Notice<'_>)> Observer for F {
    fn on_notice(&mut self, notice: &Notice<'_>) {
        self(notice);
    }
}

/// The way for warnings from observers and other threads to the loop, which shows them.
#[derive(Clone, Debug)]
pub struct Warnings(mpsc::UnboundedSender<String>);

impl Warnings {
    /// A way for warnings, and its end.
    pub(super) fn channel() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Shows a warning to the user, as long as the run lasts.
    pub fn send(&self, warning: String) {
        // Nobody is left to be warned once the run is over.
        let _ = self.0.send(warning);
    }
}

/// The observers of a run.
pub(super) struct Observers<'a>(Vec<&'a mut dyn Observer>);

impl<'a> Observers<'a> {
    pub(super) const fn new(observers: Vec<&'a mut dyn Observer>) -> Self {
        Self(observers)
    }

    pub(super) fn start(&mut self, study: &Study, warnings: &Warnings) {
        self.0.iter_mut().for_each(|observer| observer.on_start(study, warnings));
    }

    pub(super) fn notify(&mut self, notice: &Notice<'_>) {
        self.0.iter_mut().for_each(|observer| observer.on_notice(notice));
    }

    /// Comes back once the own work of every observer is done. A message on `interrupts` makes them hurry;
    /// the answer is whether one came.
    pub(super) async fn end(&mut self, interrupts: &mut mpsc::Receiver<()>) -> bool {
        self.0.iter_mut().for_each(|observer| observer.on_end());
        let (mut is_listening, mut is_hurried) = (true, false);
        while !self.0.iter_mut().all(|observer| observer.is_done()) {
            tokio::select! {
                wish = interrupts.recv(), if is_listening => {
                    is_listening = wish.is_some();
                    is_hurried |= is_listening;
                    if is_hurried {
                        self.0.iter_mut().for_each(|observer| observer.hurry());
                    }
                }
                () = sleep(LOOK_EVERY) => {}
            }
        }
        is_hurried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An observer that is done after so many looks, or once it is to hurry.
    struct Slow(u32);

    impl Observer for Slow {
        fn on_notice(&mut self, _notice: &Notice<'_>) {}

        fn is_done(&mut self) -> bool {
            self.0 = self.0.saturating_sub(1);
            self.0 == 0
        }

        fn hurry(&mut self) {
            self.0 = 1;
        }
    }

    #[tokio::test]
    async fn the_work_of_observers_is_waited_for() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let mut slow = Slow(3);
        assert!(!Observers::new(vec![&mut slow]).end(&mut interrupts).await);
        assert_eq!(slow.0, 0);
    }

    #[tokio::test]
    async fn a_wish_to_stop_is_heard_while_observers_work() {
        let (sender, mut interrupts) = mpsc::channel(1);
        sender.send(()).await.unwrap();
        let mut slow = Slow(u32::MAX);
        assert!(Observers::new(vec![&mut slow]).end(&mut interrupts).await);
    }

    #[tokio::test]
    async fn where_nobody_can_wish_to_stop_the_work_is_waited_for_all_the_same() {
        let (sender, mut interrupts) = mpsc::channel(1);
        drop(sender);
        assert!(!Observers::new(vec![&mut Slow(3)]).end(&mut interrupts).await);
    }
}
