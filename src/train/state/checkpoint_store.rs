//! Writing, reading and falling back between the two checkpoints of a trial.

use std::{
    io,
    path::{Path, PathBuf},
};

use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::{
    position::{Position, TrainingIdentity},
    state_file::{STATE_VERSION, StateFault, StateHeader, floats, parse_state, write_state},
};
use crate::{
    fingerprint::{self, FileDigest},
    system::files::{self, Place},
    train::{
        encoder::weights::{Precision, Weights, WeightsError},
        exported::WEIGHTS,
        learning::adamw::Moments,
    },
};

/// The file with the moments.
const STATE: &str = "state.safetensors";
/// The file with the best parameters.
const BEST: &str = "best.safetensors";

/// The parameters of the best evaluation when a checkpoint is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BestParameters<'a> {
    /// There was no evaluation yet.
    None,
    /// They are the current parameters.
    Current,
    /// They stand in `best/` already, with this digest.
    Earlier(&'a str),
}

/// Everything that a checkpoint is written from.
#[derive(Debug)]
pub(crate) struct CheckpointDraft<'a> {
    pub(crate) identity: &'a TrainingIdentity,
    pub(crate) position: &'a Position,
    pub(crate) moments: &'a Moments<'a>,
    pub(crate) model: &'a Weights,
    pub(crate) best: BestParameters<'a>,
}

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedCheckpoint {
    pub(crate) position: Position,
    pub(crate) moments: Moments<'static>,
    /// The parameters, and the digest of their file.
    pub(crate) model: (Weights, String),
    /// The parameters of the best evaluation, and the digest of their file.
    pub(crate) best: Option<(Weights, String)>,
}

/// The digests of the files with parameters of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParameterDigests {
    /// Of the current parameters.
    pub(crate) last: String,
    /// Of those of the best evaluation.
    pub(crate) best: Option<String>,
}

/// Says what in a checkpoint's position contradicts its training.
type Contradiction<'a> = dyn Fn(&TrainingIdentity, &Position) -> Option<&'static str> + 'a;

/// Why a checkpoint cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The contents of a file are not those that were written.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StateFault,
    },
}

impl StateError {
    fn damaged(path: &Path, source: impl Into<StateFault>) -> Self {
        Self::Damaged { path: path.to_owned(), source: source.into() }
    }
}

/// The checkpoints in a trial's folder.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointStore {
    trial: Place,
}

/// The result of reading a trial's checkpoints.
#[derive(Debug, Default)]
pub(crate) struct FoundCheckpoint {
    /// The newest checkpoint that is whole.
    pub(crate) saved: Option<SavedCheckpoint>,
    /// The errors of newer checkpoints.
    pub(crate) damaged: Vec<StateError>,
}

impl CheckpointStore {
    /// The checkpoints in the folder `trial`.
    pub(crate) fn new(trial: &Place) -> Self {
        Self { trial: trial.clone() }
    }

    fn folder(&self, name: &str) -> Place {
        self.trial.join(name)
    }

    fn best_parameters(&self) -> Place {
        self.trial.join("best").join(WEIGHTS)
    }

    /// Writes a checkpoint as `last/`, after moving the former one to `last.before/`, and puts the best parameters into
    /// `best/`.
    ///
    /// # Errors
    /// When something cannot be written. The former checkpoints stay as they are then.
    pub(crate) fn write(&self, draft: &CheckpointDraft<'_>) -> Result<ParameterDigests, WeightsError> {
        let new = self.folder("last.new");
        // A crash of an earlier attempt may have left the folder.
        files::remove_folder(&new).and_then(|()| files::create_folder(&new)).map_err(failed_at(&new))?;
        let [model_place, best_place, state_place] = [WEIGHTS, BEST, STATE].map(|name| new.join(name));
        let mut model = String::new();
        files::write_new(&model_place, |file| {
            model = draft.model.write_to(file, Precision::F32)?;
            Ok(())
        })
        .map_err(failed_at(&model_place))?;
        let best = match draft.best {
            BestParameters::None => None,
            BestParameters::Current => {
                // A copy and no link: damage to one of the two files then spares the other.
                files::write_new(&best_place, |file| io::copy(&mut model_place.open()?, file).map(drop))
                    .map_err(failed_at(&best_place))?;
                Some(model.clone())
            }
            BestParameters::Earlier(digest) => {
                files::link_atomically(&self.best_parameters(), &best_place)
                    .map_err(failed_at(&best_place))?;
                Some(digest.to_owned())
            }
        };
        let (identity, position) = (draft.identity.clone(), draft.position.clone());
        let written = ParameterDigests { last: model.clone(), best: best.clone() };
        let header = StateHeader { version: STATE_VERSION, identity, position, model, best };
        files::write_new(&state_place, |file| write_state(file, &header, draft.moments))
            .map_err(failed_at(&state_place))?;
        let last = self.folder("last");
        files::rotate_folders(&new, &last, &self.folder("last.before")).map_err(failed_at(&last))?;
        if matches!(draft.best, BestParameters::Current) {
            self.publish_best()?;
        }
        Ok(written)
    }

    /// The files with the last and the best parameters of a complete trial, of which the digests are known.
    ///
    /// # Errors
    /// When one of them is gone.
    pub(crate) fn parameter_files(&self, last: &str, best: &str) -> Result<[FileDigest; 2], WeightsError> {
        let file = |place: Place, sha256: &str| match place.about() {
            Ok(found) => Ok(FileDigest { bytes: found.length, sha256: sha256.to_owned() }),
            Err(source) => Err(WeightsError::Write { path: place.path().to_owned(), source }),
        };
        Ok([file(self.folder("last").join(WEIGHTS), last)?, file(self.best_parameters(), best)?])
    }

    /// Puts the best parameters of `last/` into `best/`.
    fn publish_best(&self) -> Result<(), WeightsError> {
        self.take_best(self)
    }

    /// Reads the newest checkpoint of the training `identity` that is whole, makes it `last/`, and puts its best
    /// parameters into `best/`. A checkpoint with a contradiction counts as damaged.
    ///
    /// # Errors
    /// When a whole checkpoint cannot be moved to its place.
    pub(crate) fn read(
        &self,
        identity: &TrainingIdentity,
        contradiction: &Contradiction<'_>,
    ) -> Result<FoundCheckpoint, WeightsError> {
        let mut found = FoundCheckpoint::default();
        for name in ["last", "last.before"] {
            let folder = self.folder(name);
            match read_checkpoint(&folder, &|found| found == identity, contradiction) {
                Ok(None) => {}
                Ok(Some(saved)) => {
                    if name != "last" {
                        self.promote_before()?;
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

    /// Reads the final checkpoint of a complete trial, for the training `identity` to start from. Returns `None`
    /// unless that training would have come to the same state by itself.
    ///
    /// # Errors
    /// When the checkpoint is damaged, or has a contradiction.
    pub(crate) fn read_final(
        &self,
        identity: &TrainingIdentity,
        contradiction: &Contradiction<'_>,
    ) -> Result<Option<SavedCheckpoint>, StateError> {
        let begins = |found: &TrainingIdentity| found.begins(identity);
        let saved = read_checkpoint(&self.folder("last"), &begins, contradiction)?;
        // Smaller micro-batches have other dropout masks, so the state is another one.
        Ok(saved.filter(|saved| !saved.position.is_cut))
    }

    /// Puts the best parameters of another trial's newest checkpoint into this trial's `best/`.
    pub(crate) fn take_best(&self, other: &Self) -> Result<(), WeightsError> {
        let place = self.best_parameters();
        files::link_atomically(&other.folder("last").join(BEST), &place).map_err(failed_at(&place))
    }

    /// Promotes `last.before/` to `last/`.
    fn promote_before(&self) -> Result<(), WeightsError> {
        let [last, before] = ["last", "last.before"].map(|name| self.folder(name));
        let moved = files::remove_folder(&last).and_then(|()| files::rename_folder(&before, &last));
        moved.map_err(failed_at(&last))
    }
}

/// Turns an error of the system into that of writing `path`.
fn failed_at(place: &Place) -> impl FnOnce(io::Error) -> WeightsError {
    let path = place.path().to_owned();
    move |source| WeightsError::Write { path, source }
}

/// Reads the checkpoint in `folder`. Returns `None` when there is none, or when `is_wanted` refuses its identity.
fn read_checkpoint(
    folder: &Place,
    is_wanted: &dyn Fn(&TrainingIdentity) -> bool,
    contradiction: &Contradiction<'_>,
) -> Result<Option<SavedCheckpoint>, StateError> {
    let place = folder.join(STATE);
    let path = place.path();
    let bytes = match place.read() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        bytes => bytes.map_err(|source| StateError::Read { path: path.to_owned(), source })?,
    };
    let parsed = parse_state(&bytes).map_err(|fault| StateError::damaged(path, fault))?;
    let Some((header, moments)) = parsed else { return Ok(None) };
    if !is_wanted(&header.identity) {
        return Ok(None);
    }
    if let Some(what) = contradiction(&header.identity, &header.position) {
        return Err(StateError::damaged(path, StateFault::Contradiction { what }));
    }
    let model = (read_parameters(&folder.join(WEIGHTS), &header.model)?, header.model);
    let best = match header.best {
        Some(digest) => Some((read_parameters(&folder.join(BEST), &digest)?, digest)),
        None => None,
    };
    Ok(Some(SavedCheckpoint { position: header.position, moments, model, best }))
}

/// Reads the parameters in `place`, whose contents must have the digest `digest`.
fn read_parameters(place: &Place, digest: &str) -> Result<Weights, StateError> {
    let path = place.path();
    // One read for both the digest and the values: the file may be replaced between two reads.
    let bytes = place.read().map_err(|source| StateError::Read { path: path.to_owned(), source })?;
    if fingerprint::hex(&Sha256::digest(&bytes)) != digest {
        return Err(StateError::damaged(path, StateFault::Digest));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| StateError::damaged(path, error))?;
    let mut weights = Weights::default();
    for (name, view) in tensors.tensors() {
        weights.insert(name, view.shape().to_vec(), floats(view.data()));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests;
