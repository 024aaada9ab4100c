//! Draws pictures beside the loop: one thread, one drawing at a time, the newest state.

use std::{error::Error, sync::mpsc as blocking};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{study::Study, trial::TrialId};

/// Draws what follows from a study in which these trials have come to an end since the last call.
pub type Draw = Box<dyn FnMut(&Study, &[TrialId]) -> Result<(), Box<dyn Error + Send + Sync>> + Send>;

/// The thread and the way to it.
pub(super) struct Painter {
    orders: blocking::Sender<(Study, TrialId)>,
    thread: JoinHandle<()>,
    troubles: mpsc::UnboundedSender<String>,
}

impl Painter {
    /// Starts the thread; what goes wrong is told to `troubles`.
    pub(super) fn start(mut draw: Draw, troubles: mpsc::UnboundedSender<String>) -> Self {
        let (orders, queue) = blocking::channel::<(Study, TrialId)>();
        let told = troubles.clone();
        let thread = tokio::task::spawn_blocking(move || {
            while let Ok((mut study, trial)) = queue.recv() {
                let mut trials = vec![trial];
                // Trials that ended while the last drawing was made share the next one.
                for (newer, trial) in queue.try_iter() {
                    study = newer;
                    if !trials.contains(&trial) {
                        trials.push(trial);
                    }
                }
                if let Err(error) = draw(&study, &trials) {
                    // Nobody is left to be told once the run is over.
                    let _ = told.send(format!("cannot draw: {error}"));
                }
            }
        });
        Self { orders, thread, troubles }
    }

    /// Orders a drawing.
    pub(super) fn draw(&self, study: &Study, trial: TrialId) {
        // A thread that panicked draws no more; `finish` tells of it.
        let _ = self.orders.send((study.clone(), trial));
    }

    /// Waits for what was ordered.
    pub(super) async fn finish(self) {
        drop(self.orders);
        if let Err(error) = self.thread.await {
            let _ = self.troubles.send(format!("drawing ended by a bug: {error}"));
        }
    }
}
