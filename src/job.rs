//! What a worker is given: a trial with all that running it takes.

use serde::{Deserialize, Serialize};

use crate::{
    cache::CacheSpec,
    data::DataSpec,
    fingerprint::DataDigests,
    policy::CheckpointEvery,
    trial::{Trial, TrialId},
};

/// The contents of `trial.json`: everything that a worker needs to run the trial again by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The sweep's name.
    pub sweep: String,
    /// The trial.
    pub trial: Trial,
    /// Its data, with absolute paths.
    pub data: DataSpec,
    /// How often it writes a resumable checkpoint while an epoch lasts.
    #[serde(default)]
    pub checkpoint_every: CheckpointEvery,
    /// Digests of the documents that the plan was made with; others fail the trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_digest: Option<DataDigests>,
    /// That of the checkpoint's files, if they lie in a folder that the spec names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_digest: Option<String>,
    /// The cache of what trials share; `None`: nothing is kept outside a worker.
    #[serde(default)]
    pub cache: Option<CacheSpec>,
}

/// How one attempt at a trial is made. None of it changes what the trial is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// The largest number of examples in one forward and backward pass, where memory ran out with
    /// more; the step's batch stays whole. `None`: as the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Which trials share steps with this one.
    #[serde(skip_serializing_if = "Sharing::is_none")]
    pub sharing: Sharing,
    /// The epochs after which the trial pauses, with its checkpoint written: whether it goes on is decided by
    /// comparison with others. `None`: it goes on to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_after: Option<usize>,
    /// Whether it uses no cache, since entries changed under earlier attempts.
    #[serde(skip_serializing_if = "is_false")]
    pub without_cache: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(truth: &bool) -> bool {
    !truth
}

/// Which trials share steps with this one: trials that are trained alike until the shorter one ends.
/// Sharing changes no number, only which trial computes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sharing {
    /// The trial whose final checkpoint it starts from, where it has no checkpoint of its own.
    #[serde(alias = "origin", skip_serializing_if = "Option::is_none")]
    pub prefix: Option<TrialId>,
    /// Whether another trial will start from its final checkpoint.
    #[serde(alias = "is_gone_on_from")]
    pub has_successors: bool,
}

impl Sharing {
    /// Whether it has nothing to do with others.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_is_read_under_its_older_keys_too() {
        let sharing: Sharing = serde_json::from_str(r#"{"origin":3,"is_gone_on_from":true}"#).unwrap();
        assert_eq!(sharing, Sharing { prefix: Some(TrialId(3)), has_successors: true });
    }
}
