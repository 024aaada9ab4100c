//! A trial's resumable checkpoint: a folder with everything that going on needs.
//!
//! ```text
//! last/          the newest                 last.before/   the one before it
//!   model.safetensors    the parameters, under Hugging Face's names
//!   state.safetensors    AdamW's moments; in its header: position, early stopping, evaluations, digests
//!   best.safetensors     the parameters of the best evaluation until then, if there was one
//! ```
//!
//! A checkpoint is written beside these (`last.new/`), synced, and then given its name, so
//! that one of the two is whole after a crash at any instant. It is read only if every
//! digest (SHA-256) is right. Dropout and data order are functions of the trial's seed and
//! the step (`masks`, `corpus`), so that no generator has a state to keep.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    early_stopping::Standing,
    exported::WEIGHTS,
    weights::{Part, Precision, Weights, WeightsError, write_safetensors},
};
use crate::{event::Evaluation, fingerprint, settings::Settings, system::files, trial::TrialId};

/// The file with the moments.
const STATE: &str = "state.safetensors";
/// The file with the best parameters.
const BEST: &str = "best.safetensors";
/// The version of the format; another one is not read.
const VERSION: u32 = 1;
/// The header's entry with the position.
const POSITION: &str = "sweep";
/// The header's entry with the digest of the moments and the position.
const DIGEST: &str = "sha256";

/// Which training a checkpoint is of: it is used for this one only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Every setting, but not where the pretrained checkpoint lies.
    pub(crate) settings: Settings,
    /// The trial's seed.
    pub(crate) seed: u64,
    /// Classes.
    pub(crate) classes: usize,
    /// Digest of the tokenised data.
    pub(crate) corpus: String,
}

impl Identity {
    /// Whether what was saved of this training is just what the training `longer` would have saved.
    fn begins(&self, longer: &Self) -> bool {
        let settings = longer.settings.clone();
        self.settings.is_prefix_of(&settings) && Self { settings, ..self.clone() } == *longer
    }
}

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Optimiser steps done; the next one has this number, counted from 0.
    pub(crate) step: u64,
    /// The epoch of the next step, from 0.
    pub(crate) epoch: u64,
    /// The batch of the next step in its epoch, from 0.
    pub(crate) batch: u64,
    /// Whether training is over, so that only the test set is left.
    pub(crate) over: bool,
    /// Updates that the moments have seen.
    pub(crate) updates: i32,
    /// Early stopping.
    pub(crate) stopping: Standing,
    /// Training loss since the last evaluation: the bits of its sum, and its documents.
    pub(crate) loss: (u64, usize),
    /// Every evaluation so far.
    pub(crate) evaluations: Vec<Evaluation>,
    /// Wall-clock seconds so far, over all attempts.
    pub(crate) seconds: f64,
    /// The trial whose final checkpoint this training started from, if there is one.
    #[serde(default, alias = "origin", skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<Prefix>,
    /// Whether some step was computed in smaller parts than planned, since memory had run out.
    #[serde(default)]
    pub(crate) is_cut: bool,
}

/// The trial that made the first steps of this training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prefix {
    /// The other trial.
    pub(crate) trial: TrialId,
    /// Wall-clock seconds that the other one took until there.
    pub(crate) seconds: f64,
}

/// AdamW's first and second moment of each parameter that has had a gradient, flat, by its path in the model.
pub(crate) type Moments<'a> = BTreeMap<Cow<'a, str>, [Cow<'a, [f32]>; 2]>;

/// The parameters of the best evaluation when a checkpoint is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Best<'a> {
    /// There was no evaluation yet.
    None,
    /// They are those of now.
    Now,
    /// They stand in `best/` with this digest.
    Before(&'a str),
}

/// What a checkpoint is written from.
#[derive(Debug)]
pub(crate) struct Saving<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) position: &'a Position,
    pub(crate) moments: &'a Moments<'a>,
    pub(crate) model: &'a Weights,
    pub(crate) best: Best<'a>,
}

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saved {
    pub(crate) position: Position,
    pub(crate) moments: Moments<'static>,
    /// The parameters.
    pub(crate) model: Weights,
    /// Those of the best evaluation, and their digest.
    pub(crate) best: Option<(Weights, String)>,
}

/// What the header of `state.safetensors` says.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    identity: Identity,
    position: Position,
    /// Digests of the other files.
    model: String,
    best: Option<String>,
}

/// Why a checkpoint cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl StateError {
    fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// Where the checkpoints of a trial are.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    trial: PathBuf,
}

/// What reading found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest checkpoint that is whole.
    pub(crate) saved: Option<Saved>,
    /// What is wrong with newer ones.
    pub(crate) damaged: Vec<StateError>,
}

impl Shelf {
    /// Those in the trial's folder.
    pub(crate) fn new(trial: &Path) -> Self {
        Self { trial: trial.to_owned() }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.trial.join(name)
    }

    fn best_parameters(&self) -> PathBuf {
        self.trial.join("best").join(WEIGHTS)
    }

    /// Writes a checkpoint. The newest one becomes the one before, and `best/` holds the best
    /// parameters. The answer is the digest of those.
    ///
    /// # Errors
    /// When something cannot be written; the checkpoints until now are left then.
    pub(crate) fn write(&self, saving: &Saving<'_>) -> Result<Option<String>, WeightsError> {
        let new = self.folder("last.new");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WeightsError::Write { path, source }
        };
        // What a crash left of an earlier attempt.
        files::remove_folder(&new).and_then(|()| files::create_folder(&new)).map_err(failed(&new))?;
        let [model_path, best_path, state_path] = [WEIGHTS, BEST, STATE].map(|name| new.join(name));
        let mut model = String::new();
        files::write_new(&model_path, |path| {
            model = saving.model.write_to(path, Precision::F32)?;
            Ok(())
        })
        .map_err(failed(&model_path))?;
        let best = match saving.best {
            Best::None => None,
            Best::Now => {
                // A file of its own: what befalls one of the two spares the other.
                files::write_new(&best_path, |path| fs::copy(&model_path, path).map(drop))
                    .map_err(failed(&best_path))?;
                Some(model.clone())
            }
            Best::Before(digest) => {
                files::link_atomically(&self.best_parameters(), &best_path).map_err(failed(&best_path))?;
                Some(digest.to_owned())
            }
        };
        let header = Header {
            version: VERSION,
            identity: saving.identity.clone(),
            position: saving.position.clone(),
            model,
            best: best.clone(),
        };
        files::write_new(&state_path, |path| write_state(path, &header, saving.moments))
            .map_err(failed(&state_path))?;
        let last = self.folder("last");
        files::rotate_folders(&new, &last, &self.folder("last.before")).map_err(failed(&last))?;
        if matches!(saving.best, Best::Now) {
            self.publish_best()?;
        }
        Ok(best)
    }

    /// Makes `best/` hold the best parameters of the newest checkpoint.
    fn publish_best(&self) -> Result<(), WeightsError> {
        self.take_best(self)
    }

    /// Reads the newest checkpoint of the training `identity` that is whole; and makes it the
    /// newest one, with its best parameters in `best/`.
    ///
    /// # Errors
    /// When a checkpoint that is whole cannot be put in its place.
    pub(crate) fn read(&self, identity: &Identity) -> Result<Found, WeightsError> {
        let mut found = Found::default();
        for name in ["last", "last.before"] {
            let folder = self.folder(name);
            match read(&folder, &|found| found == identity) {
                Ok(None) => {}
                Ok(Some(saved)) => {
                    if name != "last" {
                        self.step_back()?;
                    }
                    if saved.best.is_some() {
                        self.publish_best()?;
                    }
                    found.saved = Some(saved);
                    break;
                }
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }

    /// Reads the newest checkpoint of a trial that is over, for the training `identity` to go on from;
    /// `None` unless that one would have come just there itself.
    ///
    /// # Errors
    /// When it is damaged.
    pub(crate) fn read_end(&self, identity: &Identity) -> Result<Option<Saved>, StateError> {
        let saved = read(&self.folder("last"), &|found| found.begins(identity))?;
        // The mean loss of a step that was cut is the same; its dropout is not.
        Ok(saved.filter(|saved| !saved.position.is_cut))
    }

    /// Takes the best parameters of another trial's newest checkpoint for its own.
    pub(crate) fn take_best(&self, other: &Self) -> Result<(), WeightsError> {
        let path = self.best_parameters();
        files::link_atomically(&other.folder("last").join(BEST), &path)
            .map_err(|source| WeightsError::Write { path, source })
    }

    /// Makes the checkpoint before the newest one.
    fn step_back(&self) -> Result<(), WeightsError> {
        let [last, before] = ["last", "last.before"].map(|name| self.folder(name));
        let moved = files::remove_folder(&last).and_then(|()| files::rename_folder(&before, &last));
        moved.map_err(|source| WeightsError::Write { path: last, source })
    }
}

/// Reads the checkpoint in `folder`; `None` when there is none, or none of a training that is wanted.
fn read(folder: &Path, is_wanted: &dyn Fn(&Identity) -> bool) -> Result<Option<Saved>, StateError> {
    let path = folder.join(STATE);
    let bytes = match fs::read(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        bytes => bytes.map_err(|source| StateError::Read { path: path.clone(), source })?,
    };
    let Some((header, moments)) = parse(&bytes).map_err(|reason| StateError::damaged(&path, reason))? else {
        return Ok(None);
    };
    if !is_wanted(&header.identity) {
        return Ok(None);
    }
    let model = parameters(&folder.join(WEIGHTS), &header.model)?;
    let best = match header.best {
        Some(digest) => Some((parameters(&folder.join(BEST), &digest)?, digest)),
        None => None,
    };
    Ok(Some(Saved { position: header.position, moments, model, best }))
}

/// The parameters in `path`, whose contents have this digest.
fn parameters(path: &Path, digest: &str) -> Result<Weights, StateError> {
    // Read once: what is used is what was checked, whatever has the name by then.
    let bytes = fs::read(path).map_err(|source| StateError::Read { path: path.to_owned(), source })?;
    if fingerprint::hex(&Sha256::digest(&bytes)) != digest {
        return Err(StateError::damaged(path, "its contents are not those that were written"));
    }
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| StateError::damaged(path, error.to_string()))?
        .tensors();
    let mut weights = Weights::default();
    for (name, view) in tensors {
        weights.insert(name, view.shape().to_vec(), values(view.data()));
    }
    Ok(weights)
}

/// Values from their bytes, little-endian.
fn values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn write_state(path: &Path, header: &Header, moments: &Moments<'_>) -> io::Result<()> {
    let position = serde_json::to_string(header)?;
    let mut parts: Vec<(String, [usize; 1], &[f32])> = Vec::with_capacity(2 * moments.len());
    for (name, values) in moments {
        for (moment, values) in ["first", "second"].into_iter().zip(values) {
            parts.push((format!("{moment}.{name}"), [values.len()], values));
        }
    }
    parts.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    let parts: Vec<Part<'_>> =
        parts.iter().map(|(name, shape, values)| (name.as_str(), shape.as_slice(), *values)).collect();
    let mut digest = StateDigest::new(&position);
    let mut bytes = Vec::new();
    for (name, _, values) in &parts {
        bytes.clear();
        Precision::F32.append(values, &mut bytes);
        digest.add(name.as_bytes());
        digest.add(&bytes);
    }
    let entries = [(DIGEST.to_owned(), digest.finish()), (POSITION.to_owned(), position)].into();
    write_safetensors(path, entries, &parts, Precision::F32).map(drop)
}

/// The header and the moments; `None` when another version wrote them.
fn parse(bytes: &[u8]) -> Result<Option<(Header, Moments<'static>)>, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let text = |error: safetensors::SafeTensorError| error.to_string();
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(text)?;
    let entries = metadata.metadata().clone().unwrap_or_default();
    let entry = |name: &str| entries.get(name).ok_or_else(|| format!("its header has no {name:?}"));
    let position = entry(POSITION)?;
    let mut tensors = SafeTensors::deserialize(bytes).map_err(text)?.tensors();
    tensors.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut digest = StateDigest::new(position);
    for (name, view) in &tensors {
        digest.add(name.as_bytes());
        digest.add(view.data());
    }
    if digest.finish() != *entry(DIGEST)? {
        return Err("its contents are not those that were written".to_owned());
    }
    let Versioned { version } = serde_json::from_str(position).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Ok(None);
    }
    let header: Header = serde_json::from_str(position).map_err(|error| error.to_string())?;
    let mut moments = Moments::new();
    for (name, view) in &tensors {
        let values: Cow<'static, [f32]> = values(view.data()).into();
        let (moment, name) = name.split_once('.').unwrap_or_default();
        let [first, second] = moments.entry(name.to_owned().into()).or_default();
        match moment {
            "first" => *first = values,
            "second" => *second = values,
            other => return Err(format!("it has a tensor {other:?}")),
        }
    }
    Ok(Some((header, moments)))
}

/// Reads a `state.safetensors` from anywhere: the step it stands at, and how many moments it has.
///
/// For the fuzzer; what it says of a file that is damaged is for people.
///
/// # Errors
/// When it is damaged.
#[doc(hidden)]
pub fn probe_state(bytes: &[u8]) -> Result<Option<(u64, usize)>, String> {
    Ok(parse(bytes)?.map(|(header, moments)| (header.position.step, moments.len())))
}

/// SHA-256 of the position and the moments, by name.
struct StateDigest(Sha256);

impl StateDigest {
    fn new(position: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.add(position.as_bytes());
        digest
    }

    /// After its length, so that no two lists of parts are alike.
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn finish(self) -> String {
        fingerprint::hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests;
