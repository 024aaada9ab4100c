//! What a sweep and its trials leave, without what differs from run to run.

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sweep::{
    event::{Event, Outcome, Record},
    journal,
    results::{Results, SweepFolder, TrialFolder},
    trial::TrialId,
};

/// Contents of files by their names.
pub(crate) type Files<K = String> = BTreeMap<K, Vec<u8>>;

/// Fields of a leaderboard's row that differ from run to run.
pub(crate) const TIME_AND_DEVICE: [&str; 2] = ["seconds", "device"];

/// The folder of a sweep.
pub(crate) struct SweepResults(SweepFolder);

impl Deref for SweepResults {
    type Target = SweepFolder;

    fn deref(&self) -> &SweepFolder {
        &self.0
    }
}

impl From<SweepFolder> for SweepResults {
    fn from(folder: SweepFolder) -> Self {
        Self(folder)
    }
}

impl SweepResults {
    pub(crate) fn new(results: &Path, sweep: &str) -> Self {
        Self(Results::new(results).sweep(sweep))
    }

    pub(crate) fn trial(&self, id: u32) -> TrialFolder {
        self.0.trial(TrialId(id))
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        journal::replay(&self.log()).unwrap().records
    }

    /// How often each trial was given to a worker.
    pub(crate) fn starts(&self) -> BTreeMap<u32, usize> {
        let mut starts = BTreeMap::new();
        for record in self.records() {
            if let (Some(id), Event::Started { .. }) = (record.trial, record.event) {
                *starts.entry(id.0).or_default() += 1;
            }
        }
        starts
    }

    /// The rows of the leaderboard.
    pub(crate) fn rows(&self) -> Vec<Value> {
        serde_json::from_slice(&fs::read(self.leaderboard("json")).unwrap()).unwrap()
    }

    /// The rows of the leaderboard without `fields`, all of which each must have.
    pub(crate) fn rows_without(&self, fields: &[&str]) -> Vec<Value> {
        let without = |row: Value| fields.iter().fold(row, |row, field| without(row, field));
        self.rows().into_iter().map(without).collect()
    }

    /// The trial that leads.
    pub(crate) fn leader(&self) -> u32 {
        id(&self.rows()[0])
    }
}

/// The rows and files of a sweep, without what differs from run to run.
pub(crate) struct Findings {
    pub(crate) rows: Vec<Value>,
    pub(crate) files: Files<PathBuf>,
}

impl Findings {
    /// Asserts that two sweeps have the same findings; `context` names them.
    #[track_caller]
    pub(crate) fn assert_equal(&self, expected: &Self, context: &str) {
        assert_eq!(self.rows, expected.rows, "{context}");
        let differences = differences(&self.files, &expected.files);
        assert!(differences.is_empty(), "{context}: {differences:?}");
    }
}

/// The trial of a leaderboard's row.
pub(crate) fn id(row: &Value) -> u32 {
    u32::try_from(row["trial"].as_u64().unwrap()).unwrap()
}

/// `row` without a field, which it must have.
pub(crate) fn without(mut row: Value, field: &str) -> Value {
    assert!(row.as_object_mut().unwrap().remove(field).is_some(), "no {field:?}");
    row
}

pub(crate) fn without_times(outcome: Outcome) -> Outcome {
    Outcome { seconds: 0.0, ..outcome }
}

/// The files of a trial that depend on its recipe alone.
pub(crate) fn trial_files(folder: &Path) -> Files {
    let out_of_fold = folder.join("validation.csv").exists().then_some("validation.csv");
    ["metrics.csv", "predictions.csv", "best/model.safetensors", "last/model.safetensors"]
        .into_iter()
        .chain(out_of_fold)
        .map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// The files of a folder, and of the folders in it.
pub(crate) fn files_under(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

/// The names of files that only one side has, or whose contents differ.
pub(crate) fn differences<'a, K: Ord>(one: &'a Files<K>, other: &'a Files<K>) -> Vec<&'a K> {
    let changed = one.iter().filter(|(name, bytes)| other.get(name) != Some(bytes));
    let new = other.iter().filter(|(name, _)| !one.contains_key(name));
    changed.chain(new).map(|(name, _)| name).collect()
}
