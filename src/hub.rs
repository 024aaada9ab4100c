//! Checkpoints from the Hugging Face hub: what their ids mean, and their files in the cache.
//!
//! A checkpoint comes in two halves. [`Hub::prepare`] turns an id into one with a commit and
//! brings the small files that a spec is checked with; [`Hub::fetch_weights`] brings the rest.
//! Both leave the network alone when the cache has what they would ask for. After them
//! [`folder`] is all that a worker needs. The cache is the one of `huggingface_hub`.

mod cache;
mod client;
mod contents;
mod download;
mod environment;
mod error;
mod id;
mod meter;

use std::{
    cell::OnceCell,
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use self::{cache::ModelCache, client::Client, contents::Weights, download::Downloads};
pub use self::{
    contents::WEIGHT_FILES,
    download::Pace,
    environment::{Environment, VARIABLES},
    error::HubError,
    id::HubId,
};
use crate::error_chain::chain;

/// The hub, as the environment has it.
pub struct Hub {
    environment: Environment,
    pace: Pace,
    is_terminal: bool,
    client: OnceCell<Client>,
}

/// The folder of the commit `id` in the cache that the environment names; nothing need be there.
#[must_use]
pub fn folder(id: &HubId) -> PathBuf {
    let root = Environment::of_this_process().cache.unwrap_or_default();
    ModelCache::new(&root, id).snapshot(id.revision())
}

impl Hub {
    /// The hub of `environment`, tried at `pace`. Nothing is asked yet.
    #[must_use]
    pub fn new(environment: Environment, pace: Pace) -> Self {
        Self { environment, pace, is_terminal: io::stderr().is_terminal(), client: OnceCell::new() }
    }

    /// The commit that `id` is, once its configuration and tokenizer are in the cache.
    ///
    /// When the hub cannot be reached, what the cache holds must do; standard error says so.
    ///
    /// # Errors
    /// When there is no such model, it is no encoder, or neither hub nor cache can give it.
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
                let text = format!("{}; going on with {cached}, which is in the cache", chain(&error));
                // Nobody need listen there.
                let _ = writeln!(io::stderr(), "warning: {text}");
                Ok(cached)
            }
            prepared => prepared,
        }
    }

    fn prepare_from_hub(&self, cache: &ModelCache, id: &HubId) -> Result<HubId, HubError> {
        let client = self.client()?;
        let listing = self.pace.patiently(|| client.listing(id))?;
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
        let weights =
            |cache: ModelCache| contents::weights(&cache, id.revision(), self.environment.is_offline);
        matches!(self.cache(id).and_then(weights), Ok(Weights::Here))
    }

    /// Brings the weights of the commit `id` into the cache, telling how far they are on standard error.
    ///
    /// # Errors
    /// When the commit has none that are read, or neither hub nor cache can give them. What came
    /// until then is kept, and the next call goes on there.
    pub fn fetch_weights(&self, id: &HubId) -> Result<(), HubError> {
        let (cache, commit) = (self.cache(id)?, id.revision());
        let is_offline = self.environment.is_offline;
        if contents::weights(&cache, commit, is_offline)? == Weights::Here {
            return Ok(());
        }
        if is_offline {
            return Err(self.offline(id, "the weights"));
        }
        let client = self.client()?;
        let listing = self.pace.patiently(|| client.listing(id))?;
        let has = |file: &str| listing.siblings.iter().any(|sibling| sibling.rfilename == file);
        let form = contents::form(id, &has)?;
        let downloads = self.downloads(client, &cache, id);
        downloads.fetch(form, true)?;
        for shard in contents::shards(&cache.snapshot(commit), form)? {
            downloads.fetch(&shard, true)?;
        }
        Ok(())
    }

    fn downloads<'a>(&self, client: &'a Client, cache: &'a ModelCache, id: &'a HubId) -> Downloads<'a> {
        Downloads { client, cache, id, pace: self.pace, is_terminal: self.is_terminal }
    }

    fn cache(&self, id: &HubId) -> Result<ModelCache, HubError> {
        let root = self.environment.cache.as_ref().ok_or(HubError::NoCache)?;
        Ok(ModelCache::new(root, id))
    }

    fn client(&self) -> Result<&Client, HubError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.environment)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn offline(&self, id: &HubId, what: &'static str) -> HubError {
        let cache = self.environment.cache.clone().unwrap_or_default();
        HubError::Offline { id: id.to_string(), what, cache }
    }
}

/// The commit that the cache has for `id`, if it has its configuration and tokenizer.
fn cached(cache: &ModelCache, id: &HubId) -> Option<HubId> {
    let commit = id.commit().map(ToOwned::to_owned).or_else(|| cache.commit_of(id.revision()))?;
    contents::lack(&|file| cache.has(&commit, file)).is_none().then(|| id.at(&commit))
}
