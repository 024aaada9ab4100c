//! Whether data and checkpoint are still those that the plan was made with, when a worker reads them.
//!
//! A sweep may run for days. What a new worker reads then must be what the others have read.

use super::TrainError;
use crate::{
    data::{DataSpec, Dataset},
    display::plain,
    fingerprint::{self, DataDigests},
    job::Job,
};

/// Refuses documents that are not those of `expected`, where that is known.
pub(super) fn data(
    dataset: &Dataset,
    spec: &DataSpec,
    expected: Option<&DataDigests>,
) -> Result<(), TrainError> {
    let changed = expected.map(|expected| expected.changed(&DataDigests::of(dataset), &spec.source));
    match changed.unwrap_or_default() {
        files if files.is_empty() => Ok(()),
        files => Err(TrainError::DataChanged { files: plain(&files.join(", ")) }),
    }
}

/// Refuses a checkpoint whose files are not those of the job's digest, where that is known.
pub(super) fn checkpoint(job: &Job) -> Result<(), TrainError> {
    let Some(expected) = &job.checkpoint_digest else { return Ok(()) };
    let checkpoint = &job.trial.settings.checkpoint;
    let now = fingerprint::checkpoints([checkpoint]).map_err(TrainError::Fingerprint)?;
    match now.get(checkpoint) {
        Some(digest) if digest != expected => {
            Err(TrainError::CheckpointChanged { folder: plain(&checkpoint.to_string()) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        data::{self, Duplicates, Limit, Source},
        samples,
        trial::FailureKind,
    };

    #[test]
    fn documents_that_changed_are_told_by_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let [train, validation, test] =
            ["train", "dev", "test"].map(|name| folder.path().join(format!("{name}.csv")));
        for (path, word) in [(&train, "a"), (&validation, "b"), (&test, "c")] {
            fs::write(path, format!("text,label\n{word} one,0\n{word} two,1\n")).unwrap();
        }
        let spec = DataSpec {
            source: Source::Files { train, validation: validation.clone(), test },
            text: "text".to_owned(),
            label: "label".to_owned(),
            positive: None,
            average: None,
            duplicates: Duplicates::Drop,
            limit: Limit::default(),
            seed: 1,
        };
        let before = data::load(&spec).unwrap();
        let digests = DataDigests::of(&before);
        super::data(&before, &spec, Some(&digests)).unwrap();
        fs::write(&validation, "text,label\nb one,1\nb two,0\n").unwrap();
        let after = data::load(&spec).unwrap();
        super::data(&after, &spec, None).unwrap();
        let error = super::data(&after, &spec, Some(&digests)).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Data);
        let message = error.to_string();
        assert!(message.contains("dev.csv changed while") && !message.contains("train.csv"), "{message}");
    }

    #[test]
    fn a_checkpoint_that_changed_is_told_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let name = folder.path().to_str().unwrap().to_owned();
        let mut plan = samples::plan(1);
        let folder_checkpoint = crate::checkpoint::Checkpoint::parse(&name);
        plan.trials[0].settings.checkpoint = folder_checkpoint.clone();
        checkpoint(&plan.job(&plan.trials[0])).unwrap();
        plan.fingerprints.checkpoints = fingerprint::checkpoints([&folder_checkpoint]).unwrap();
        let job = plan.job(&plan.trials[0]);
        checkpoint(&job).unwrap();
        fs::write(folder.path().join("config.json"), "{ }").unwrap();
        let error = checkpoint(&job).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Checkpoint);
        assert!(error.to_string().contains(&name), "{error}");
    }
}
