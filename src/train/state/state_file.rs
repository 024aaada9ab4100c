//! The file `state.safetensors`: AdamW's moments as tensors, and everything else in the header.

use std::{borrow::Cow, fs::File, io};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::position::{Position, TrainingIdentity};
use crate::{
    error_chain::chain,
    fingerprint,
    train::{
        encoder::weights::{NamedTensor, Precision, write_safetensors},
        learning::adamw::Moments,
    },
};

/// The version of the format. Files of other versions are not read.
pub(super) const STATE_VERSION: u32 = 1;
/// The entry of the safetensors header that holds [`StateHeader`].
const POSITION: &str = "sweep";
/// The entry of the safetensors header that holds the digest of the moments and of [`StateHeader`].
const DIGEST: &str = "sha256";

/// The contents of a state file besides the moments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StateHeader {
    pub(super) version: u32,
    pub(super) identity: TrainingIdentity,
    pub(super) position: Position,
    /// Digest of the file with the parameters.
    pub(super) model: String,
    /// Digest of the file with the best parameters.
    pub(super) best: Option<String>,
}

/// What is wrong with a file of a checkpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFault {
    /// The digest is another one.
    #[error("its contents are not those that were written")]
    Digest,
    /// The header lacks an entry.
    #[error("its header has no {entry:?}")]
    NoEntry {
        /// The entry.
        entry: &'static str,
    },
    /// A tensor is neither a first nor a second moment.
    #[error("it has a tensor {name:?}")]
    Tensor {
        /// The beginning of the tensor's name.
        name: String,
    },
    /// The position names a best evaluation, and the header no best parameters, or the other way round.
    #[error("its evaluations and its best parameters contradict each other")]
    Best,
    /// The position cannot be one of its training.
    #[error("its position contradicts its settings: {what}")]
    Contradiction {
        /// What is wrong.
        what: &'static str,
    },
    /// It is no safetensors file.
    #[error(transparent)]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The header cannot be understood.
    #[error(transparent)]
    Header(#[from] serde_json::Error),
}

/// Writes a state file.
pub(super) fn write_state(file: &mut File, header: &StateHeader, moments: &Moments<'_>) -> io::Result<()> {
    let header = serde_json::to_string(header)?;
    let mut tensors: Vec<(String, [usize; 1], &[f32])> = Vec::with_capacity(2 * moments.len());
    for (name, values) in moments {
        for (moment, values) in ["first", "second"].into_iter().zip(values) {
            tensors.push((format!("{moment}.{name}"), [values.len()], values));
        }
    }
    tensors.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    let tensors: Vec<NamedTensor<'_>> =
        tensors.iter().map(|(name, shape, values)| (name.as_str(), shape.as_slice(), *values)).collect();
    let mut digest = StateDigest::new(&header);
    let mut bytes = Vec::new();
    for (name, _, values) in &tensors {
        bytes.clear();
        Precision::F32.append(values, &mut bytes);
        digest.add(name.as_bytes());
        digest.add(&bytes);
    }
    let entries = [(DIGEST.to_owned(), digest.finish()), (POSITION.to_owned(), header)].into();
    write_safetensors(file, entries, &tensors, Precision::F32).map(drop)
}

/// Reads a state file from its bytes; `None` when another version wrote it.
pub(super) fn parse_state(bytes: &[u8]) -> Result<Option<(StateHeader, Moments<'static>)>, StateFault> {
    #[derive(Deserialize)]
    struct FormatVersion {
        version: u32,
    }
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let entries = metadata.metadata().clone().unwrap_or_default();
    let entry = |entry: &'static str| entries.get(entry).ok_or(StateFault::NoEntry { entry });
    let header = entry(POSITION)?;
    let mut tensors = SafeTensors::deserialize(bytes)?.tensors();
    tensors.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let mut digest = StateDigest::new(header);
    for (name, view) in &tensors {
        digest.add(name.as_bytes());
        digest.add(view.data());
    }
    if digest.finish() != *entry(DIGEST)? {
        return Err(StateFault::Digest);
    }
    let FormatVersion { version } = serde_json::from_str(header)?;
    if version != STATE_VERSION {
        return Ok(None);
    }
    let header: StateHeader = serde_json::from_str(header)?;
    if !header.position.agrees_with(header.best.is_some()) {
        return Err(StateFault::Best);
    }
    let mut moments = Moments::new();
    for (name, view) in &tensors {
        let values: Cow<'static, [f32]> = floats(view.data()).into();
        let (moment, name) = name.split_once('.').unwrap_or_default();
        let [first, second] = moments.entry(name.to_owned().into()).or_default();
        match moment {
            "first" => *first = values,
            "second" => *second = values,
            other => return Err(StateFault::Tensor { name: other.to_owned() }),
        }
    }
    Ok(Some((header, moments)))
}

/// Values from their little-endian bytes.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Reads the bytes of a `state.safetensors` from anywhere, and returns the number of steps done and of moments;
/// `None` when another version wrote them.
///
/// For the fuzzer. The text of an error is for people.
///
/// # Errors
/// When the bytes are damaged.
#[doc(hidden)]
pub fn probe_state(bytes: &[u8]) -> Result<Option<(u64, usize)>, String> {
    let parsed = parse_state(bytes).map_err(|fault| chain(&fault))?;
    Ok(parsed.map(|(header, moments)| (header.position.step, moments.len())))
}

/// SHA-256 of the header, and of the moments in the order of their names.
struct StateDigest(Sha256);

impl StateDigest {
    fn new(header: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.add(header.as_bytes());
        digest
    }

    // Each part after its length: otherwise parts that are cut at other places would have the same digest.
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn finish(self) -> String {
        fingerprint::hex(&self.0.finalize())
    }
}
