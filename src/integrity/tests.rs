//! Files that are whole, gone, changed, cut, or of an earlier version.

use std::{fs, path::PathBuf};

use super::*;
use crate::samples;

/// A complete trial with its files, of which the log has digests.
struct Complete {
    _root: tempfile::TempDir,
    folder: TrialFolder,
    record: TrialRecord,
    labels: Vec<String>,
}

/// A safetensors file without tensors.
const PARAMETERS: &[u8] = b"\x02\0\0\0\0\0\0\0{}";

fn complete() -> Complete {
    let root = tempfile::tempdir().unwrap();
    let folder = TrialFolder::new(Place::named(root.path()).join("0001"));
    let mut record = samples::record(1, &[0.6, 0.5]);
    let labels = samples::study(Vec::new()).labels;
    for name in ["best", "last"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("model.safetensors"), PARAMETERS).unwrap();
    }
    fs::write(folder.metrics(), metrics_csv(&record.evaluations)).unwrap();
    let mut predictions = "id,label,predicted\n".to_owned();
    let outcome = record.outcome.as_mut().unwrap();
    let rows = outcome.test.confusion.rows().to_vec();
    for (label, row) in rows.iter().enumerate() {
        for (predicted, count) in row.iter().enumerate() {
            predictions += &format!("1,{},{}\n", labels[label], labels[predicted])
                .repeat(usize::try_from(*count).unwrap());
        }
    }
    fs::write(folder.predictions(), predictions).unwrap();
    outcome.files = Some(digests(&folder).unwrap());
    Complete { _root: root, folder, record, labels }
}

impl Complete {
    /// As an earlier version would have left it.
    fn without_digests(mut self) -> Self {
        self.record.outcome.as_mut().unwrap().files = None;
        self
    }

    fn faults(&self, depth: Depth) -> Vec<(ResultFile, Fault)> {
        let checked = check(&self.folder, &self.record, &self.labels, depth);
        checked.damage.into_iter().map(|damage| (damage.file, damage.fault)).collect()
    }

    fn path(&self, file: ResultFile) -> PathBuf {
        self.folder.path().join(file.name())
    }
}

const ALL: [ResultFile; 4] =
    [ResultFile::Best, ResultFile::Last, ResultFile::Metrics, ResultFile::Predictions];

#[test]
fn whole_files_have_no_fault_and_are_counted() {
    for trial in [complete(), complete().without_digests()] {
        let checked = check(&trial.folder, &trial.record, &trial.labels, Depth::Contents);
        let bytes = ALL.map(|file| fs::metadata(trial.path(file)).unwrap().len()).iter().sum();
        assert_eq!(checked, Checked { files: 4, bytes, damage: Vec::new() });
    }
}

#[test]
fn a_flipped_bit_anywhere_is_a_fault() {
    let trial = complete();
    for file in ALL {
        let whole = fs::read(trial.path(file)).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(trial.path(file), changed).unwrap();
            assert_eq!(trial.faults(Depth::Contents), [(file, Fault::Contents)]);
        }
        fs::write(trial.path(file), whole).unwrap();
    }
}

#[test]
fn a_file_of_another_length_is_found_without_reading_it() {
    for file in ALL {
        let trial = complete();
        let written = fs::metadata(trial.path(file)).unwrap().len();
        fs::write(trial.path(file), "").unwrap();
        assert_eq!(trial.faults(Depth::Length), [(file, Fault::Length { found: 0, written })]);
    }
}

#[test]
fn a_changed_table_is_found_although_only_lengths_are_asked_for() {
    let trial = complete();
    let changed = fs::read_to_string(trial.folder.metrics()).unwrap().replace('0', "1");
    fs::write(trial.folder.metrics(), changed).unwrap();
    assert_eq!(trial.faults(Depth::Length), [(ResultFile::Metrics, Fault::Contents)]);
}

#[test]
fn a_file_that_is_gone_is_a_fault_unless_only_reuse_reads_it() {
    for file in ALL {
        for trial in [complete(), complete().without_digests()] {
            fs::remove_file(trial.path(file)).unwrap();
            let expected = if file == ResultFile::Last { vec![] } else { vec![(file, Fault::Gone)] };
            assert_eq!(trial.faults(Depth::Contents), expected);
        }
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_no_file() {
    let trial = complete();
    fs::remove_file(trial.folder.predictions()).unwrap();
    fs::create_dir(trial.folder.predictions()).unwrap();
    assert_eq!(trial.faults(Depth::Contents), [(ResultFile::Predictions, Fault::NoFile)]);
}

#[test]
fn files_of_an_earlier_version_are_checked_by_their_form() {
    let damages: [(ResultFile, &[u8]); 4] = [
        (ResultFile::Best, b""),
        (ResultFile::Last, b"\x09\0\0\0\0\0\0\0{}"),
        (ResultFile::Metrics, b"epoch\n"),
        (ResultFile::Predictions, b"id,label,predicted\n"),
    ];
    for (file, bytes) in damages {
        let trial = complete().without_digests();
        fs::write(trial.path(file), bytes).unwrap();
        assert_eq!(trial.faults(Depth::Contents), [(file, Fault::Form)]);
    }
}

#[test]
fn parameters_that_keep_has_removed_are_not_missed() {
    let mut trial = complete();
    trial.record.parameters_removed = true;
    fs::remove_dir_all(trial.folder.best()).unwrap();
    assert_eq!(trial.faults(Depth::Contents), []);
}

#[test]
fn predictions_that_changed_are_not_read() {
    let trial = complete();
    let read = || predictions(&trial.folder, &trial.record, &trial.labels);
    let whole = read().unwrap().len();
    assert!(whole > 0);
    // The class and the count of every row stay: no other check would find it.
    let changed = fs::read_to_string(trial.folder.predictions()).unwrap().replacen("\n1,", "\n2,", 1);
    fs::write(trial.folder.predictions(), changed).unwrap();
    assert_eq!(read(), None);
}

#[test]
fn evaluations_that_the_log_tells_otherwise_than_they_were_written_are_not_rebuilt() {
    let mut trial = complete();
    assert_eq!(rebuilt_metrics(&trial.record), Some(fs::read(trial.folder.metrics()).unwrap()));
    trial.record.evaluations[0].train_loss += 1.0;
    assert_eq!(rebuilt_metrics(&trial.record), None);
}
