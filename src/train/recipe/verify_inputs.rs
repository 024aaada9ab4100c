//! Whether the data and the checkpoint that a worker reads are those that the plan was made with.
//!
//! A sweep may run for days, and its workers start at different times. All of them must read
//! the same files.

use crate::{
    data::DataSpec,
    display::plain,
    fingerprint::{self, DataDigests},
    job::Job,
    train::error::TrainError,
};

/// Refuses documents whose digests `now` are not `expected`, where the plan has recorded digests.
pub(super) fn verify_data(
    now: &DataDigests,
    spec: &DataSpec,
    expected: Option<&DataDigests>,
) -> Result<(), TrainError> {
    match expected.map(|expected| expected.changed(now, spec)).unwrap_or_default() {
        files if files.is_empty() => Ok(()),
        files => Err(TrainError::data_changed(&files)),
    }
}

/// Refuses a checkpoint whose files do not have the job's digest, where the plan has recorded one.
pub(super) fn verify_checkpoint(job: &Job) -> Result<(), TrainError> {
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
        checkpoint::Checkpoint,
        data::{self, Source},
        samples,
        trial::FailureKind,
    };

    /// Data in three files, of which the validation file changes after the first load.
    struct Changed {
        _folder: tempfile::TempDir,
        spec: DataSpec,
        digests: DataDigests,
        before: DataDigests,
        after: DataDigests,
    }

    fn changed_validation() -> Changed {
        let folder = tempfile::tempdir().unwrap();
        let [train, validation, test] =
            ["train", "dev", "test"].map(|name| folder.path().join(format!("{name}.csv")));
        for (path, word) in [(&train, "a"), (&validation, "b"), (&test, "c")] {
            fs::write(path, format!("text,label\n{word} one,0\n{word} two,1\n")).unwrap();
        }
        let spec = samples::data_spec(Source::Files { train, validation: Some(validation.clone()), test });
        let before = DataDigests::of(&data::load(&spec).unwrap());
        let digests = before.clone();
        fs::write(&validation, "text,label\nb one,1\nb two,0\n").unwrap();
        let after = DataDigests::of(&data::load(&spec).unwrap());
        Changed { _folder: folder, spec, digests, before, after }
    }

    #[test]
    fn documents_that_are_the_same_are_accepted() {
        let Changed { spec, digests, before, .. } = changed_validation();
        verify_data(&before, &spec, Some(&digests)).unwrap();
    }

    #[test]
    fn without_digests_any_documents_are_accepted() {
        let Changed { spec, after, .. } = changed_validation();
        verify_data(&after, &spec, None).unwrap();
    }

    #[test]
    fn documents_that_changed_fail_the_trial_for_its_data() {
        let Changed { spec, digests, after, .. } = changed_validation();
        assert_eq!(verify_data(&after, &spec, Some(&digests)).unwrap_err().kind(), FailureKind::Data);
    }

    #[test]
    fn documents_that_changed_are_named_by_their_file() {
        let Changed { spec, digests, after, .. } = changed_validation();
        let message = verify_data(&after, &spec, Some(&digests)).unwrap_err().to_string();
        assert!(message.contains("dev.csv changed while") && !message.contains("train.csv"), "{message}");
    }

    /// A job with the digest of the checkpoint in `folder`.
    fn job(folder: &tempfile::TempDir) -> Job {
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let checkpoint = Checkpoint::Folder(folder.path().to_owned());
        let mut plan = samples::plan(1);
        plan.trials[0].settings.checkpoint = checkpoint.clone();
        plan.fingerprints.checkpoints = fingerprint::checkpoints([&checkpoint]).unwrap();
        plan.job(&plan.trials[0])
    }

    #[test]
    fn a_checkpoint_that_is_the_same_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        verify_checkpoint(&job(&folder)).unwrap();
    }

    #[test]
    fn without_a_digest_any_checkpoint_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let job = Job { checkpoint_digest: None, ..job(&folder) };
        verify_checkpoint(&job).unwrap();
    }

    #[test]
    fn a_checkpoint_that_changed_is_named_by_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&folder);
        fs::write(folder.path().join("config.json"), "{ }").unwrap();
        let error = verify_checkpoint(&job).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Checkpoint);
        assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
}
