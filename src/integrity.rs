//! Whether the files of complete trials are still those that were written.
//!
//! The log has the length and the digest of each file that is a trial's result. Trials that an earlier version
//! completed have none; of their files only the form is checked. Nothing is written here.

use std::{fmt, io};

use crate::{
    event::ResultFiles,
    fingerprint::{self, FileDigest},
    leaderboard::{Classified, Prediction, parse_classified, parse_predictions},
    metrics::Confusion,
    results::TrialFolder,
    study::TrialRecord,
    system::files::{self, Place},
    train::{Catalog, metrics_csv},
    trial::TrialId,
};

/// A file of a complete trial that is part of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFile {
    /// The best parameters.
    Best,
    /// The parameters of the last evaluation. Only `reuse` reads them, and they may be absent.
    Last,
    /// The table of the evaluations.
    Metrics,
    /// The table of the predictions on the test set.
    Predictions,
    /// Of a trial of a fold, the table of the predictions on that fold.
    Validation,
}

impl ResultFile {
    const PARAMETERS: [Self; 2] = [Self::Best, Self::Last];
    const TABLES: [Self; 3] = [Self::Metrics, Self::Predictions, Self::Validation];

    /// Its name in the trial's folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best/model.safetensors",
            Self::Last => "last/model.safetensors",
            Self::Metrics => "metrics.csv",
            Self::Predictions => "predictions.csv",
            Self::Validation => "validation.csv",
        }
    }

    /// What was written; `None` if the trial has no such file.
    fn written(self, files: &ResultFiles) -> Option<&FileDigest> {
        match self {
            Self::Best => Some(&files.best),
            Self::Last => Some(&files.last),
            Self::Metrics => Some(&files.metrics),
            Self::Predictions => Some(&files.predictions),
            Self::Validation => files.validation.as_ref(),
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is none.
    Gone,
    /// There is a folder or something else in its place.
    NoFile,
    /// It has another length than it was written with.
    Length {
        /// The bytes that it has.
        found: u64,
        /// The bytes that were written.
        written: u64,
    },
    /// Its bytes are not those that were written.
    Contents,
    /// It is not what a file of its name should be.
    Form,
    /// It cannot be read, so that nothing is known; the text is the system's.
    Unreadable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("is gone"),
            Self::NoFile => f.write_str("is no file"),
            Self::Length { found, written } => {
                write!(f, "is damaged: it has {found} bytes, and {written} were written")
            }
            Self::Contents => f.write_str("is damaged: its contents are not those that were written"),
            Self::Form => f.write_str("is damaged: it is not what the log tells of"),
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

/// A file of a complete trial with a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The trial.
    pub trial: TrialId,
    /// Which file.
    pub file: ResultFile,
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub fault: Fault,
}

/// How parameters are checked. Tables are small, and always read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// By their length, or their form where the log has no digests.
    Length,
    /// By their digest: this reads every byte.
    Contents,
}

/// The result of checking a trial's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The files that were looked at.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those with a fault.
    pub damage: Vec<Damage>,
}

/// Checks the files of the complete trial `record` in `folder`. `labels` are the sweep's classes.
#[must_use]
pub fn check(folder: &TrialFolder, record: &TrialRecord, labels: &[String], depth: Depth) -> Checked {
    let parameters: &[ResultFile] = if record.parameters_removed { &[] } else { &ResultFile::PARAMETERS };
    let mut checked = Checked::default();
    for &file in parameters.iter().chain(&ResultFile::TABLES) {
        if file == ResultFile::Validation && record.trial.fold.is_none() {
            continue;
        }
        let place = folder.place().join(file.name());
        let files = record.outcome.as_ref().and_then(|outcome| outcome.files.as_ref());
        let fault = match files.and_then(|files| file.written(files)) {
            Some(written) => {
                let depth = if ResultFile::TABLES.contains(&file) { Depth::Contents } else { depth };
                fault(&place, written, depth)
            }
            None => fault_of_form(&place, file, record, labels),
        };
        if file == ResultFile::Last && fault == Some(Fault::Gone) {
            continue;
        }
        checked.files += 1;
        checked.bytes += length(&place).unwrap_or(0);
        checked.damage.extend(fault.map(|fault| Damage { trial: record.trial.id, file, place, fault }));
    }
    checked
}

/// What is wrong with the best parameters of a complete trial. Without a digest in the log they need only be there:
/// what reads them checks their form.
#[must_use]
pub fn parameters_fault(folder: &TrialFolder, record: &TrialRecord) -> Option<Fault> {
    let place = folder.best_parameters();
    match record.outcome.as_ref().and_then(|outcome| outcome.files.as_ref()) {
        Some(files) => fault(&place, &files.best, Depth::Contents),
        None => length(&place).err(),
    }
}

/// What is wrong with the file at `place`, which was `written`.
#[must_use]
pub fn fault(place: &Place, written: &FileDigest, depth: Depth) -> Option<Fault> {
    let found = match length(place) {
        Ok(found) => found,
        Err(fault) => return Some(fault),
    };
    if found != written.bytes {
        return Some(Fault::Length { found, written: written.bytes });
    }
    match depth {
        Depth::Length => None,
        Depth::Contents => match fingerprint::digest_of(place) {
            Ok(found) if found == *written => None,
            Ok(_) => Some(Fault::Contents),
            Err(error) => Some(Fault::Unreadable(error.to_string())),
        },
    }
}

/// The length of a file.
fn length(place: &Place) -> Result<u64, Fault> {
    match place.about() {
        Ok(found) if found.kind == files::Kind::File => Ok(found.length),
        Ok(_) => Err(Fault::NoFile),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(Fault::Gone)
        }
        Err(error) => Err(Fault::Unreadable(error.to_string())),
    }
}

/// What is wrong with the form of a file of which the log has no digest.
fn fault_of_form(place: &Place, file: ResultFile, record: &TrialRecord, labels: &[String]) -> Option<Fault> {
    if let Err(fault) = length(place) {
        return Some(fault);
    }
    let is_whole = match file {
        ResultFile::Best | ResultFile::Last => Catalog::of_result(place).is_ok(),
        ResultFile::Metrics => {
            let rows = place.read_to_string().map(|text| text.lines().count());
            rows.is_ok_and(|rows| rows == record.evaluations.len() + 1)
        }
        ResultFile::Predictions | ResultFile::Validation => place.read().is_ok_and(|bytes| {
            parse_predictions(place.path(), &bytes, labels)
                .is_ok_and(|found| is_measured(&found, record, labels, file))
        }),
    };
    (!is_whole).then_some(Fault::Form)
}

/// Whether the figures of `record` follow from these predictions, those of `file`.
fn is_measured(
    predictions: &[Prediction],
    record: &TrialRecord,
    labels: &[String],
    file: ResultFile,
) -> bool {
    let mut confusion = Confusion::new(labels.len());
    for prediction in predictions {
        confusion.add(prediction.label, prediction.predicted);
    }
    record.outcome.as_ref().is_none_or(|outcome| {
        let scores = if file == ResultFile::Validation { &outcome.validation } else { &outcome.test };
        scores.confusion == confusion
    })
}

/// The predictions of a trial on the test set; `None` unless its file is there and is the one that was written.
#[must_use]
pub fn predictions(folder: &TrialFolder, record: &TrialRecord, labels: &[String]) -> Option<Vec<Prediction>> {
    predictions_of(folder, record, labels, ResultFile::Predictions)
}

/// The predictions of a trial on the fold that it validates on; `None` unless its file is there and is the one that was
/// written.
#[must_use]
pub fn out_of_fold(folder: &TrialFolder, record: &TrialRecord, labels: &[String]) -> Option<Vec<Prediction>> {
    record.trial.fold?;
    predictions_of(folder, record, labels, ResultFile::Validation)
}

fn predictions_of(
    folder: &TrialFolder,
    record: &TrialRecord,
    labels: &[String],
    file: ResultFile,
) -> Option<Vec<Prediction>> {
    let (bytes, is_digested) = written_predictions(folder, record, file)?;
    let found = parse_predictions(folder.place().join(file.name()).path(), &bytes, labels).ok()?;
    (is_digested || is_measured(&found, record, labels, file)).then_some(found)
}

/// As [`predictions`], with the probability of each predicted class.
#[must_use]
pub fn classified(folder: &TrialFolder, record: &TrialRecord, labels: &[String]) -> Option<Vec<Classified>> {
    let file = ResultFile::Predictions;
    let (bytes, is_digested) = written_predictions(folder, record, file)?;
    let found = parse_classified(folder.predictions().path(), &bytes, labels).ok()?;
    let predictions: Vec<Prediction> = found.iter().map(|each| each.prediction).collect();
    (is_digested || is_measured(&predictions, record, labels, file)).then_some(found)
}

/// The contents of a trial's table of predictions, and whether they have the digest in the log; `None` if they have another.
fn written_predictions(
    folder: &TrialFolder,
    record: &TrialRecord,
    file: ResultFile,
) -> Option<(Vec<u8>, bool)> {
    // One read for both the digest and the predictions: the file may change between two.
    let bytes = folder.place().join(file.name()).read().ok()?;
    let files = record.outcome.as_ref().and_then(|outcome| outcome.files.as_ref());
    let written = files.and_then(|files| file.written(files));
    let is_other = written.is_some_and(|written| *written != fingerprint::bytes_digest(&bytes));
    (!is_other).then_some((bytes, written.is_some()))
}

/// The contents of the trial's `metrics.csv`, made from the log; `None` where the log cannot tell them exactly.
#[must_use]
pub fn rebuilt_metrics(record: &TrialRecord) -> Option<Vec<u8>> {
    let bytes = metrics_csv(&record.evaluations);
    let files = record.outcome.as_ref()?.files.as_ref();
    let is_exact = files.is_none_or(|files| files.metrics == fingerprint::bytes_digest(&bytes));
    (is_exact && !record.evaluations.is_empty()).then_some(bytes)
}

/// The lengths and digests of the files in `folder` as they are now, which are those of a trial of a fold if it has
/// predictions on one.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) fn digests(folder: &TrialFolder) -> io::Result<ResultFiles> {
    let digest = |file: ResultFile| fingerprint::digest_of(&folder.place().join(file.name()));
    Ok(ResultFiles {
        best: digest(ResultFile::Best)?,
        last: digest(ResultFile::Last)?,
        metrics: digest(ResultFile::Metrics)?,
        predictions: digest(ResultFile::Predictions)?,
        validation: folder.out_of_fold().exists().then(|| digest(ResultFile::Validation)).transpose()?,
    })
}

#[cfg(test)]
mod tests;
