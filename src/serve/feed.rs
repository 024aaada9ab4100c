//! Feeds: one for each page that somebody looks at, however many do.
//!
//! A feed asks its source for a new state from time to time, and rests the longer the longer an answer takes, so that
//! viewers cost a sweep next to nothing. Without a viewer it ends.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::{
    library::{Library, Source},
    route::Subject,
    snapshot::Snapshot,
};

/// Rest after a look at the source, in multiples of the time it took: looking takes a hundredth of one processor.
const REST: u32 = 99;
/// The shortest rest.
const REST_MIN: Duration = Duration::from_millis(300);
/// The longest rest: news are shown within 2 seconds.
const REST_MAX: Duration = Duration::from_millis(1_500);
/// How long a feed goes on without a viewer: one that reloads a page comes back at once.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// The newest state of a page; none before the first one.
pub(super) type States = watch::Receiver<Option<Arc<Snapshot>>>;

/// The feeds of a server.
pub(super) struct Feeds {
    pub(super) shown: Arc<Library>,
    open: Mutex<BTreeMap<Subject, States>>,
}

impl Feeds {
    pub(super) fn new(shown: Arc<Library>) -> Self {
        Self { shown, open: Mutex::default() }
    }

    /// The states of a page, of which there is one at least, and the newest of them; `None` if there is no such page.
    pub(super) async fn of(&self, subject: &Subject) -> Option<(States, Arc<Snapshot>)> {
        let mut states = self.opened(subject).await?;
        let newest = states.wait_for(Option::is_some).await.ok()?.clone()?;
        Some((states, newest))
    }

    /// The feed of a page, which begins if there is none. All viewers have the same one.
    async fn opened(&self, subject: &Subject) -> Option<States> {
        let mut open = self.open.lock().await;
        open.retain(|_, states| states.has_changed().is_ok());
        if let Some(states) = open.get(subject) {
            return Some(states.clone());
        }
        let (library, wanted) = (Arc::clone(&self.shown), subject.clone());
        let source = spawn_blocking(move || match wanted {
            Subject::Index => Some((library.index)()),
            Subject::Sweep(name) => (library.sweep)(&name),
        });
        let source = source.await.ok()??;
        let (sender, states) = watch::channel(None);
        tokio::spawn(follow(source, sender));
        open.insert(subject.clone(), states.clone());
        Some(states)
    }
}

/// Sends every new state of `source`, until nobody has looked for a while.
async fn follow(mut source: Source, states: watch::Sender<Option<Arc<Snapshot>>>) {
    // Feeds of different servers have different numbers.
    let number = RandomState::new().hash_one("feed");
    let mut seen = Instant::now();
    loop {
        let begun = Instant::now();
        let looked = spawn_blocking(move || {
            let state = source();
            (source, state)
        });
        // A source that panicked has nothing more to tell.
        let Ok((back, state)) = looked.await else { return };
        source = back;
        if let Some(state) = state {
            states.send_if_modified(|newest| {
                let next = match newest {
                    Some(newest) => newest.next(state),
                    None => Some(Snapshot::first(number, state)),
                };
                let is_new = next.is_some();
                *newest = next.map(Arc::new).or_else(|| newest.take());
                is_new
            });
        }
        // The list of open feeds is not a viewer.
        if states.receiver_count() > 1 {
            seen = Instant::now();
        } else if seen.elapsed() > IDLE_MAX {
            return;
        }
        sleep((begun.elapsed() * REST).clamp(REST_MIN, REST_MAX)).await;
    }
}
