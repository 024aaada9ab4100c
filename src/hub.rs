//! Checkpoints from the Hugging Face hub: their ids, and their files in the cache of `huggingface_hub`.
//!
//! A checkpoint is downloaded in two steps. [`Hub::prepare`] finds the commit of an id and downloads the
//! small files that a spec is checked with. [`Hub::fetch_weights`] downloads the weights. Neither uses the
//! network when its files are in the cache. A worker needs [`folder`] alone.

mod cache;
mod classic;
mod client;
mod contents;
mod download;
mod environment;
mod error;
mod flow;
mod id;
mod meter;

use std::{
    cell::{Cell, OnceCell},
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

pub(crate) use self::contents::ShardIndex;
use self::{cache::ModelCache, client::Client, download::Downloads};
pub use self::{
    classic::{Meant, meant},
    contents::WEIGHT_FILES,
    download::Pace,
    environment::{Environment, VARIABLES},
    error::{Damage, HubError},
    id::HubId,
};
use crate::{display::plain, error_chain::chain};

/// The hub that the environment names.
pub struct Hub {
    environment: Environment,
    pace: Pace,
    is_terminal: bool,
    client: OnceCell<Client>,
    /// Whether the hub could not be reached, so that the cache was used instead. It is then not asked again for what the
    /// cache holds.
    is_unreachable: Cell<bool>,
}

/// The folder of the commit `id` in the cache that the environment names; it may not exist yet.
#[must_use]
pub fn folder(id: &HubId) -> PathBuf {
    let root = Environment::of_this_process().cache.unwrap_or_default();
    ModelCache::new(&root, id).snapshot(id.revision())
}

impl Hub {
    /// The hub of `environment`, with retries at `pace`. Connects when it is first used.
    #[must_use]
    pub fn new(environment: Environment, pace: Pace) -> Self {
        Self {
            environment,
            pace,
            is_terminal: io::stderr().is_terminal(),
            client: OnceCell::new(),
            is_unreachable: Cell::new(false),
        }
    }

    /// Downloads the configuration and the tokenizer of `id` and returns its commit.
    ///
    /// When the hub cannot be reached, the commit in the cache is used, with a warning on standard error.
    ///
    /// # Errors
    /// When there is no such model, it is not an encoder, or neither hub nor cache has it.
    pub fn prepare(&self, id: &HubId) -> Result<HubId, HubError> {
        let cache = self.cache(id)?;
        if id.commit().is_some_and(|commit| contents::are_settled(&cache, commit)) {
            return Ok(id.clone());
        }
        if self.environment.is_offline {
            return cached(&cache, id).ok_or_else(|| self.offline(id, "the configuration and tokenizer"));
        }
        match self.prepare_from_hub(&cache, id) {
            Err(error) if error.is_passing() => {
                let Some(cached) = cached(&cache, id) else { return Err(error) };
                self.go_on_with(&cached.to_string(), &error);
                Ok(cached)
            }
            prepared => prepared,
        }
    }

    /// [`Self::prepare`] for files that the cache lacks.
    fn prepare_from_hub(&self, cache: &ModelCache, id: &HubId) -> Result<HubId, HubError> {
        let client = self.client()?;
        let listing = self.pace.patiently(|| client.listing(id, self.pace.window))?;
        let commit = id.at(&listing.sha.to_ascii_lowercase());
        let has = |file: &str| listing.siblings.iter().any(|sibling| sibling.rfilename == file);
        if let Some(what) = contents::lack(&has) {
            return Err(HubError::Lacks { id: commit.to_string(), what });
        }
        contents::form(&commit, &has)?;
        let downloads = self.downloads(client, cache, &commit);
        for file in contents::SMALL.into_iter().filter(|file| has(file)) {
            downloads.fetch(file, false)?;
        }
        for file in contents::SMALL.into_iter().chain(WEIGHT_FILES).filter(|file| !has(file)) {
            cache.note_absence(commit.revision(), file)?;
        }
        cache.note_commit(id.revision(), commit.revision())?;
        Ok(commit)
    }

    /// Whether the weights of the commit `id` are in the cache.
    #[must_use]
    pub fn has_weights(&self, id: &HubId) -> bool {
        let has_weights = |cache: ModelCache| contents::has_weights(&cache, id.revision(), self.is_offline());
        self.cache(id).and_then(has_weights).unwrap_or(false)
    }

    /// Downloads the weights of the commit `id` into the cache and shows the progress on standard error.
    ///
    /// # Errors
    /// When the commit has no weights in a known format, or neither hub nor cache has them. A partial
    /// download is kept, and the next call resumes it.
    pub fn fetch_weights(&self, id: &HubId) -> Result<(), HubError> {
        let (cache, commit) = (self.cache(id)?, id.revision());
        if contents::has_weights(&cache, commit, self.is_offline())? {
            return Ok(());
        }
        if self.environment.is_offline {
            return Err(self.offline(id, "the weights"));
        }
        match self.fetch_weights_from_hub(&cache, id) {
            // Which forms of weights the commit has is not known without the hub. Any complete one will do.
            Err(error) if error.is_passing() && contents::has_weights(&cache, commit, true)? => {
                self.go_on_with(&format!("the weights of {id}"), &error);
                Ok(())
            }
            fetched => fetched,
        }
    }

    /// [`Self::fetch_weights`] for weights that the cache lacks, or may have in another form than the preferred one.
    fn fetch_weights_from_hub(&self, cache: &ModelCache, id: &HubId) -> Result<(), HubError> {
        let client = self.client()?;
        let listing = self.pace.patiently(|| client.listing(id, self.pace.window))?;
        let has = |file: &str| listing.siblings.iter().any(|sibling| sibling.rfilename == file);
        let form = contents::form(id, &has)?;
        let downloads = self.downloads(client, cache, id);
        downloads.fetch(form, true)?;
        for shard in contents::shards(&cache.snapshot(id.revision()), form)? {
            downloads.fetch(&shard, true)?;
        }
        Ok(())
    }

    /// Whether the cache is all that there is.
    const fn is_offline(&self) -> bool {
        self.environment.is_offline || self.is_unreachable.get()
    }

    /// Warns that `what` is taken from the cache, since the hub cannot be reached.
    fn go_on_with(&self, what: &str, error: &HubError) {
        self.is_unreachable.set(true);
        // A closed standard error must not end the program.
        let error = plain(&chain(error));
        let _ = writeln!(io::stderr(), "warning: {error}; going on with {what}, which the cache holds");
    }

    /// The downloads of the commit `id`.
    fn downloads<'a>(&self, client: &'a Client, cache: &'a ModelCache, id: &'a HubId) -> Downloads<'a> {
        Downloads { client, cache, id, pace: self.pace, is_terminal: self.is_terminal }
    }

    /// The model's folder in the cache.
    fn cache(&self, id: &HubId) -> Result<ModelCache, HubError> {
        let root = self.environment.cache.as_ref().ok_or(HubError::NoCache)?;
        Ok(ModelCache::new(root, id))
    }

    /// The client, made when it is first used.
    fn client(&self) -> Result<&Client, HubError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.environment)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The error for missing files of `id` without a network.
    fn offline(&self, id: &HubId, what: &'static str) -> HubError {
        let cache = self.environment.cache.clone().unwrap_or_default();
        HubError::Offline { id: id.to_string(), what, cache }
    }
}

/// The commit of `id` in the cache; `None` unless its configuration and tokenizer are there.
fn cached(cache: &ModelCache, id: &HubId) -> Option<HubId> {
    let commit = id.commit().map(ToOwned::to_owned).or_else(|| cache.commit_of(id.revision()))?;
    contents::lack(&|file| cache.has(&commit, file)).is_none().then(|| id.at(&commit))
}
