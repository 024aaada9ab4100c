//! The loop's side of a cluster: which slots its workers have, what an earlier run left with them, and how they leave.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    connection::{Connection, RemoteWorker},
    crew::{Cluster, FleetTask, RemoteSlot},
    deadlines::Limits,
    error::ExecutorError,
    fleet::{Demand, Fleet, Known, Roster, cancel_jobs, prefix},
    observer::Notice,
    post::{Found, PostEvent, PostOffice, PostOrder, survey},
    state::{Channels, Loop},
    watch::{Post, Worker},
};
use crate::{
    event::{Event, RemotePlace},
    mailbox::{GivenAttempt, Mailbox, Order, Registration, WorkerName},
    results::ResultsError,
    scheduler::{self, Host, Input, Slot},
    system::device::Device,
    trial::{State, TrialId},
};

impl Loop<'_> {
    /// Opens the hand-over of a cluster, if the run has one. Returns the way by which the loop hears of workers.
    pub(super) fn open_cluster(&mut self) -> Result<mpsc::UnboundedReceiver<PostEvent>, ExecutorError> {
        let (sender, events) = mpsc::unbounded_channel();
        let Some(cluster) = &self.run.cluster else { return Ok(events) };
        let mailbox = Mailbox::new(&self.run.folder, "orchestrator");
        let root = mailbox.root().path().to_owned();
        let io = ResultsError::io("use", &root);
        mailbox.make().map_err(&io)?;
        mailbox.write(&mailbox.probe(), &"probe").map_err(&io)?;
        let found = survey(&mailbox).map_err(&io)?;
        let post = PostOffice::open(mailbox.clone(), cluster.times, self.run.tenure.clone(), sender.clone())
            .map_err(&io)?;
        let (roster, (demand, wanted)) = (Roster::default(), watch::channel(Demand::default()));
        let path = self.run.folder.path();
        let path = std::path::absolute(path).map_err(ResultsError::io("resolve", path))?;
        let fleet = cluster.slurm.clone().map(|slurm| {
            let (commands, prefix) = (slurm.slurm.clone(), prefix(&path));
            let tenure = self.run.tenure.clone();
            let fleet = Fleet::new(slurm, mailbox.clone(), path, wanted, roster.clone(), sender, tenure);
            FleetTask { task: tokio::spawn(fleet.keep()), slurm: commands, prefix }
        });
        let (slots, hosts, patience) = (BTreeMap::new(), BTreeMap::new(), cluster.patience);
        // Trials that run as far as the log tells, before a run begins anew.
        let found = found.into_iter().map(|found| self.still_run(found)).collect();
        let sessions = first_session();
        self.cluster = Some(Cluster {
            mailbox,
            post,
            slots,
            found,
            hosts,
            patience,
            sessions,
            roster,
            demand,
            ended: 0,
            fleet,
        });
        Ok(events)
    }

    /// What of `found` the log still waits for. Of trials together some may be over.
    fn still_run(&self, mut found: Found) -> Found {
        let is_waited_for = |given: &GivenAttempt| {
            let record = self.study.trial(given.trial);
            record.is_some_and(|record| record.state == State::Running && record.attempts == given.attempt)
        };
        let (trials, over) = found.given.trials.into_iter().partition::<Vec<_>, _>(is_waited_for);
        found.over = over.into_iter().map(|given| given.trial).collect();
        found.given.trials = trials;
        found
    }

    /// Takes over what workers have done, and do, since an earlier run gave it to them. What the log does not wait for is
    /// ended.
    pub(super) async fn take_over_all(&mut self) -> Result<(), ExecutorError> {
        let Some(cluster) = &mut self.cluster else { return Ok(()) };
        for found in std::mem::take(&mut cluster.found) {
            let trials: Vec<TrialId> = found.given.trials.iter().map(|given| given.trial).collect();
            if trials.is_empty() {
                self.end_session(&found);
            } else {
                self.take_over(found, trials).await?;
            }
        }
        if let Some(cluster) = &self.cluster {
            cluster.post.send(PostOrder::Begin);
        }
        self.tell_demand(None);
        Ok(())
    }

    fn end_session(&self, found: &Found) {
        let Some(cluster) = &self.cluster else { return };
        let (worker, session) = (found.worker.clone(), found.session);
        let (heard, _) = mpsc::unbounded_channel();
        cluster.post.send(PostOrder::Attach { found: Box::new(found.clone()), heard });
        cluster
            .post
            .send(PostOrder::Order { worker: worker.clone(), order: Order::End { session, is_kill: true } });
        cluster.post.send(PostOrder::Forget { worker, session });
    }

    async fn take_over(&mut self, found: Found, trials: Vec<TrialId>) -> Result<(), ExecutorError> {
        let Found { worker, session, registration, given, .. } = found.clone();
        let Some((slot, mut joined)) = self.slot_of(&worker, &registration, given.device) else {
            return Ok(());
        };
        let Some(cluster) = &mut self.cluster else { return Ok(()) };
        let (heard, listener) = mpsc::unbounded_channel();
        cluster.post.send(PostOrder::Attach { found: Box::new(found), heard });
        if let Some(own) = cluster.slots.get_mut(&slot) {
            own.session = Some(session);
        }
        let remote = RemoteWorker::new(worker, session, given.device, cluster.post.clone(), listener);
        let device =
            self.run.devices.get(slot.0).copied().unwrap_or(Device::Cpu { slot: slot.0, threads: 1 });
        let limits = Limits::new(self.run.workers.leave, &self.run.plan.policy).with_delay();
        let post = Post { slot, device, inbox: self.inbox.clone() };
        self.workers.insert(slot, Worker::take_over(Connection::Remote(remote), limits, post, &trials));
        if let Input::RemoteJoined { trials: own, .. } = &mut joined {
            *own = trials;
        }
        self.handle(joined).await
    }

    /// A new slot for one device of a worker, and how it joins; `None` if the device has a slot.
    fn slot_of(
        &mut self,
        worker: &WorkerName,
        registration: &Registration,
        device: usize,
    ) -> Option<(Slot, Input)> {
        let slot = Slot(self.run.devices.len());
        let cluster = self.cluster.as_mut()?;
        let is_known = cluster.slots.values().any(|own| own.worker == *worker && own.device == device);
        let own = registration.devices.get(device).filter(|_| !is_known)?;
        let shown = match *own {
            // Numbered through all workers.
            Device::Cpu { threads, .. } => Device::Cpu { slot: slot.0, threads },
            gpu @ Device::Gpu { .. } => gpu,
        };
        let next = Host(cluster.hosts.len() + 1);
        let host = *cluster.hosts.entry(worker.clone()).or_insert(next);
        cluster.slots.insert(slot, RemoteSlot { worker: worker.clone(), device, session: None });
        self.run.devices.push(shown);
        let Registration { host: name, job, arithmetic, is_for_one, .. } = registration.clone();
        let place = RemotePlace { host: name, job, arithmetic };
        let trials = Vec::new();
        let remote = scheduler::RemoteSlot { host, place, is_for_one };
        Some((slot, Input::RemoteJoined { slot, device: shown, remote, trials }))
    }

    /// Does what follows from news of a worker.
    pub(super) async fn on_post(&mut self, event: PostEvent) -> Result<(), ExecutorError> {
        match event {
            PostEvent::Joined(worker, registration) => {
                self.enrol(&worker, &registration);
                for device in 0..registration.devices.len() {
                    if let Some((_, joined)) = self.slot_of(&worker, &registration, device) {
                        self.handle(joined).await?;
                    }
                }
            }
            PostEvent::Leaving(worker) => self.no_more_work(&worker).await?,
            PostEvent::Gone { worker, lost } => {
                if !self.strike_off(&worker, lost.is_some()) {
                    return Ok(());
                }
                if let Some(why) = lost {
                    self.notify(&Notice::Warning(format!(
                        "worker {worker} is lost ({why}): its trials go on elsewhere, from their latest checkpoints"
                    )));
                }
                self.no_more_work(&worker).await?;
            }
            PostEvent::TakenOver => self.run.check()?,
            PostEvent::AllLeft => {}
            PostEvent::Status(line) => self.notify(&Notice::Workers(&line)),
            PostEvent::NoMoreWorkers(why) => {
                self.rests.given_up = Some(why);
                self.handle(Input::NoMoreSlots).await?;
            }
            PostEvent::Warning(text) => self.notify(&Notice::Warning(text)),
        }
        Ok(())
    }

    /// Notes a worker for those who keep the jobs.
    fn enrol(&self, worker: &WorkerName, registration: &Registration) {
        let Some(cluster) = &self.cluster else { return };
        let mut roster = cluster.roster.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, registration) = (worker.clone(), registration.clone());
        roster.push(Known { name, registration, lost: None, has_left: false });
    }

    /// Notes that a worker is gone. Returns whether that is news.
    fn strike_off(&self, worker: &WorkerName, is_lost: bool) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let mut roster = cluster.roster.lock().unwrap_or_else(PoisonError::into_inner);
        let known = roster.iter_mut().find(|known| known.name == *worker && known.is_there());
        known.is_some_and(|known| {
            (known.has_left, known.lost) = (!is_lost, is_lost.then(Instant::now));
            true
        })
    }

    /// Tells those who keep the jobs how much there is to do.
    pub(super) fn tell_demand(&mut self, event: Option<&Event>) {
        let Some(cluster) = &mut self.cluster else { return };
        if event.is_some_and(|event| {
            matches!(event, Event::Finished(_) | Event::Paused { .. } | Event::Failed { retry: false, .. })
        }) {
            cluster.ended += 1;
        }
        let counts = self.study.counts();
        let (open, ended) = (counts.waiting + counts.running, cluster.ended);
        cluster.demand.send_if_modified(|demand| {
            let new = Demand { open, ended };
            std::mem::replace(demand, new) != new
        });
    }

    async fn no_more_work(&mut self, worker: &WorkerName) -> Result<(), ExecutorError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let own = cluster.slots.iter().filter(|(_, slot)| slot.worker == *worker);
        let slots: Vec<Slot> = own.map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.handle(Input::SlotLeft(slot)).await?;
        }
        Ok(())
    }

    /// Has a worker start a process in its slot; `None` for a slot of this machine.
    pub(super) fn open_session(&mut self, slot: Slot) -> Option<Connection> {
        let cluster = self.cluster.as_mut()?;
        let own = cluster.slots.get_mut(&slot)?;
        cluster.sessions = cluster.sessions.wrapping_add(1).max(1);
        let session = cluster.sessions;
        own.session = Some(session);
        let (heard, listener) = mpsc::unbounded_channel();
        let (worker, device) = (own.worker.clone(), own.device);
        cluster.post.send(PostOrder::Open { worker: worker.clone(), device, session, heard });
        let remote = RemoteWorker::new(worker, session, device, cluster.post.clone(), listener);
        Some(Connection::Remote(remote))
    }

    /// All that the process of this slot said has been dealt with.
    pub(super) fn forget_session(&mut self, slot: Slot) {
        let Some(cluster) = &mut self.cluster else { return };
        if let Some(own) = cluster.slots.get_mut(&slot)
            && let Some(session) = own.session.take()
        {
            cluster.post.send(PostOrder::Forget { worker: own.worker.clone(), session });
        }
    }

    /// Lets all workers leave, and removes the files of their hand-over. After the user has ended this program alone, they
    /// go on.
    pub(super) async fn farewell(&mut self, channels: &mut Channels) {
        let Some(cluster) = self.cluster.as_mut() else { return };
        let fleet = cluster.fleet.take();
        if self.is_detached {
            return;
        }
        if let Some(FleetTask { slurm, prefix, .. }) = fleet.as_ref() {
            // Jobs that wait would find nothing to do; those that cannot be ended now leave by themselves.
            let _ = cancel_jobs(slurm, prefix, false).await;
        }
        drop(fleet);
        cluster.post.send(PostOrder::Farewell { patience: cluster.patience });
        let until = Instant::now() + cluster.patience + Duration::from_secs(1);
        while let Ok(Some(event)) = timeout_at(until, channels.events.recv()).await {
            if matches!(event, PostEvent::AllLeft) {
                break;
            }
        }
        // A worker that has not left sees that it is not registered.
        if let Err(error) = cluster.mailbox.clear() {
            let root = cluster.mailbox.root().display().to_string();
            self.notify(&Notice::Warning(format!("cannot empty {root}: {error}")));
        }
    }
}

/// A number that no process of an earlier run has: no run starts a thousand processes in each second.
fn first_session() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_millis() % u128::from(u32::MAX)).unwrap_or_default()
}
