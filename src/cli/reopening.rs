//! Complete trials whose files are gone or damaged: they run again, and what the log can tell is written again.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{
    exit::{Exit, Stop},
    terminal::eprint_lossy,
};
use crate::{
    display,
    integrity::{self, Damage, Depth, Fault, ResultFile},
    leaderboard::{self, RankBy},
    results::{SweepFolder, write_atomic},
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// The parameters of a sweep are read whole when it is run if they have at most this many bytes together. Of a
/// larger sweep those of the leader are; `sweep verify` reads all.
const PARAMETERS_MAX: u64 = 1_000_000_000;

/// Marks complete trials whose parameters or predictions are gone or damaged as waiting, and says so. Returns those
/// trials. A table of evaluations is written again from the log, if the log can tell it exactly.
pub(super) fn reopen(folder: &SweepFolder, study: &mut Study) -> Vec<TrialId> {
    let mut again = BTreeSet::new();
    for damage in found(folder, study) {
        let Damage { trial: id, place, fault, file } = damage;
        if again.contains(&id) || file == ResultFile::Last {
            continue;
        }
        let told = format!("trial {id} is complete, but {} {fault}", display::path(place.path()));
        if matches!(fault, Fault::Unreadable(_)) {
            eprint_lossy(&format!("warning: {told}; it is left as it is\n"));
            continue;
        }
        let rebuilt = study.trial(id).filter(|_| file == ResultFile::Metrics);
        let rebuilt = rebuilt.and_then(integrity::rebuilt_metrics);
        if rebuilt.is_some_and(|bytes| write_atomic(&place, &bytes).is_ok()) {
            eprint_lossy(&format!("{told}: it is written again from the log\n"));
        } else {
            eprint_lossy(&format!("{told}: it runs again\n"));
            again.insert(id);
        }
    }
    let again: Vec<TrialId> = again.into_iter().collect();
    study.reopen(&again);
    again
}

/// The damaged files of complete trials, parameters first.
fn found(folder: &SweepFolder, study: &Study) -> Vec<Damage> {
    let complete: Vec<&TrialRecord> =
        study.trials.iter().filter(|record| record.state == State::Complete).collect();
    let leader = leaderboard::build(study, RankBy::TestF1, &|_| None).leader().map(|row| row.trial);
    let bytes: u64 = complete.iter().map(|record| parameter_bytes(record)).sum();
    let check = |record: &&TrialRecord| {
        let id = record.trial.id;
        let is_read = bytes <= PARAMETERS_MAX || leader == Some(id);
        let depth = if is_read { Depth::Contents } else { Depth::Length };
        integrity::check(&folder.trial(id), record, &study.labels, depth).damage
    };
    let damage: Vec<Vec<Damage>> = complete.par_iter().map(check).collect();
    damage.into_iter().flatten().collect()
}

/// The bytes of the parameters that a complete trial keeps.
fn parameter_bytes(record: &TrialRecord) -> u64 {
    let files = record.outcome.as_ref().and_then(|outcome| outcome.files.as_ref());
    let files = files.filter(|_| !record.parameters_removed);
    files.map_or(0, |files| files.best.bytes + files.last.bytes)
}

/// The error for a best trial whose parameters are gone or damaged; `None` if they can be used.
pub(super) fn unusable_parameters(folder: &SweepFolder, record: &TrialRecord) -> Option<Stop> {
    let id = record.trial.id;
    let trial = folder.trial(id);
    let fault = integrity::parameters_fault(&trial, record)?;
    let place = trial.best_parameters();
    let message = match fault {
        Fault::Gone if record.parameters_removed => format!(
            "the parameters of trial {id} were removed, since `keep` in [run] keeps those of the best by test F1 \
             only and others were better when they were complete; to have them, run the spec under a new name with \
             keep = \"all\""
        ),
        fault => format!(
            "{} {fault}; these are the best parameters of trial {id}: run the sweep again, and it trains this trial \
             anew, or export another trial with --trial N",
            place.path().display()
        ),
    };
    Some(Stop::new(Exit::Results, &message))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        event::ResultFiles,
        results::{Results, TrialFolder},
        samples, train,
    };

    /// Writes what `record` says into the folder of its trial, and lets the record tell of it.
    fn write(folder: &TrialFolder, record: &mut TrialRecord, parameters: &[u8]) {
        for parts in [folder.best(), folder.last()] {
            fs::create_dir_all(&parts).unwrap();
            fs::write(parts.join("model.safetensors"), parameters).unwrap();
        }
        fs::write(folder.metrics(), train::metrics_csv(&record.evaluations)).unwrap();
        fs::write(folder.predictions(), "id,label,predicted\n").unwrap();
        let files: ResultFiles = integrity::digests(folder).unwrap();
        record.outcome.as_mut().unwrap().files = Some(files);
    }

    /// Three complete trials with all their files.
    fn three() -> (tempfile::TempDir, SweepFolder, Study) {
        let root = tempfile::tempdir().unwrap();
        let folder = Results::new(root.path()).sweep("test");
        let mut study = samples::study((1..=3).map(|id| samples::record(id, &[0.5])).collect());
        for record in &mut study.trials {
            write(&folder.trial(record.trial.id), record, b"parameters");
        }
        (root, folder, study)
    }

    #[test]
    fn trials_whose_files_are_whole_stay_complete() {
        let (_root, folder, mut study) = three();
        assert_eq!(reopen(&folder, &mut study), []);
    }

    #[test]
    fn a_complete_trial_without_its_parameters_or_predictions_waits_again() {
        let (_root, folder, mut study) = three();
        fs::remove_file(folder.trial(TrialId(2)).predictions()).unwrap();
        fs::remove_dir_all(folder.trial(TrialId(3)).path()).unwrap();
        assert_eq!(reopen(&folder, &mut study), [TrialId(2), TrialId(3)]);
        assert_eq!(study.to_run(), [(TrialId(2), 1), (TrialId(3), 1)]);
    }

    #[test]
    fn a_complete_trial_with_a_changed_empty_or_cut_file_waits_again() {
        let damages: [fn(&TrialFolder); 4] = [
            |trial| fs::write(trial.best_parameters(), "").unwrap(),
            |trial| fs::write(trial.best_parameters(), "qarameters").unwrap(),
            |trial| fs::write(trial.predictions(), "").unwrap(),
            |trial| fs::write(trial.predictions(), "id,label,predictee\n").unwrap(),
        ];
        for damage in damages {
            let (_root, folder, mut study) = three();
            damage(&folder.trial(TrialId(2)));
            assert_eq!(reopen(&folder, &mut study), [TrialId(2)]);
        }
    }

    #[test]
    fn a_missing_or_changed_table_of_evaluations_is_written_again_from_the_log() {
        let (_root, folder, mut study) = three();
        let whole = fs::read(folder.trial(TrialId(1)).metrics()).unwrap();
        fs::remove_file(folder.trial(TrialId(1)).metrics()).unwrap();
        fs::write(folder.trial(TrialId(2)).metrics(), "epoch\n").unwrap();
        assert_eq!(reopen(&folder, &mut study), []);
        for id in [1, 2].map(TrialId) {
            assert_eq!(fs::read(folder.trial(id).metrics()).unwrap(), whole);
        }
    }

    #[test]
    fn damage_of_the_last_parameters_runs_no_trial_again() {
        let (_root, folder, mut study) = three();
        fs::write(folder.trial(TrialId(2)).last().join("model.safetensors"), "").unwrap();
        assert_eq!(reopen(&folder, &mut study), []);
    }

    #[test]
    fn parameters_that_are_whole_can_be_used() {
        let (_root, folder, study) = three();
        assert!(unusable_parameters(&folder, &study.trials[0]).is_none());
    }

    #[test]
    fn missing_or_damaged_parameters_are_answered_with_running_the_sweep_again() {
        let (_root, folder, study) = three();
        fs::remove_file(folder.trial(TrialId(2)).best_parameters()).unwrap();
        fs::write(folder.trial(TrialId(3)).best_parameters(), "qarameters").unwrap();
        for record in &study.trials[1..] {
            let stop = unusable_parameters(&folder, record).unwrap();
            assert!(stop.exit == Exit::Results && stop.message.contains("run the sweep again"), "{stop:?}");
        }
    }

    /// A complete trial whose parameters `keep` has removed.
    fn with_removed_parameters() -> (tempfile::TempDir, SweepFolder, Study) {
        let (root, folder, mut study) = three();
        study.trials.truncate(1);
        study.trials[0].parameters_removed = true;
        fs::remove_dir_all(folder.trial(TrialId(1)).best()).unwrap();
        (root, folder, study)
    }

    #[test]
    fn a_trial_whose_parameters_were_removed_on_purpose_does_not_run_again() {
        let (_root, folder, mut study) = with_removed_parameters();
        assert_eq!(reopen(&folder, &mut study), []);
    }

    #[test]
    fn parameters_that_were_removed_on_purpose_are_explained_by_keep() {
        let (_root, folder, study) = with_removed_parameters();
        let stop = unusable_parameters(&folder, &study.trials[0]).unwrap();
        assert!(stop.message.contains("`keep`") && stop.exit == Exit::Results, "{}", stop.message);
    }

    #[test]
    fn a_trial_without_parameters_runs_again_if_its_predictions_are_gone() {
        let (_root, folder, mut study) = with_removed_parameters();
        fs::remove_file(folder.trial(TrialId(1)).predictions()).unwrap();
        assert_eq!(reopen(&folder, &mut study), [TrialId(1)]);
    }
}
