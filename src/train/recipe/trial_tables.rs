//! The tables that a trial writes: `metrics.csv`, `predictions.csv`, and with folds `validation.csv`.

use crate::{
    data::SplitName,
    event::Evaluation,
    fingerprint::{self, FileDigest},
    system::files::{self, Place},
    train::{
        error::TrainError,
        learning::loss::most_probable,
        text::{corpus::TokenizedSplit, documents::Documents},
    },
};

/// Writes `metrics.csv`, with a row for each evaluation.
pub(super) fn write_metrics(folder: &Place, evaluations: &[Evaluation]) -> Result<FileDigest, TrainError> {
    write_table(&metrics_place(folder), &metrics_csv(evaluations))
}

/// As [`write_metrics`], unless the file is there already.
pub(super) fn keep_metrics(folder: &Place, evaluations: &[Evaluation]) -> Result<FileDigest, TrainError> {
    let (place, bytes) = (metrics_place(folder), metrics_csv(evaluations));
    match place.read() {
        Ok(found) if found == bytes => Ok(fingerprint::bytes_digest(&bytes)),
        _ => write_table(&place, &bytes),
    }
}

fn metrics_place(folder: &Place) -> Place {
    folder.join("metrics.csv")
}

/// The contents of `metrics.csv` after these evaluations.
///
/// It holds no times, so that the same trial always writes the same file; the log has them.
#[must_use]
pub fn metrics_csv(evaluations: &[Evaluation]) -> Vec<u8> {
    let header = [
        "epoch",
        "step",
        "train_loss",
        "val_loss",
        "val_f1",
        "val_accuracy",
        "val_precision",
        "val_recall",
        "learning_rate",
        "best",
    ];
    let rows = evaluations.iter().map(|evaluation| {
        let validation = &evaluation.validation;
        vec![
            evaluation.epoch.to_string(),
            evaluation.step.to_string(),
            evaluation.train_loss.to_string(),
            validation.loss.to_string(),
            validation.f1.to_string(),
            validation.accuracy.to_string(),
            validation.precision.to_string(),
            validation.recall.to_string(),
            evaluation.learning_rate.to_string(),
            u8::from(evaluation.best).to_string(),
        ]
    });
    csv_of(header.map(str::to_owned).to_vec(), rows)
}

/// What a table of predictions holds.
pub(super) struct PredictionTable<'a> {
    pub(super) data: &'a Documents,
    pub(super) split: (SplitName, &'a TokenizedSplit),
    /// By document: the probabilities of its classes.
    pub(super) probabilities: &'a [Vec<f64>],
}

/// Writes `predictions.csv`, with a row for each document of the test set, or `validation.csv`, likewise.
///
/// Probabilities are not rounded, so that every figure can be computed again from the file.
pub(super) fn write_predictions(
    folder: &Place,
    table: &PredictionTable<'_>,
) -> Result<FileDigest, TrainError> {
    let PredictionTable { data, split: (name, split), probabilities } = *table;
    let labels = data.labels();
    let mut header = vec!["id".to_owned(), "label".to_owned(), "predicted".to_owned()];
    header.extend(labels.iter().map(|label| format!("p_{label}")));
    let rows = data.split(name).zip(probabilities).enumerate().map(|(index, (document, row))| {
        let mut cells = vec![
            document.id.to_string(),
            labels[split.label(index)].clone(),
            labels[most_probable(row)].clone(),
        ];
        cells.extend(row.iter().map(f64::to_string));
        cells
    });
    let file = match name {
        SplitName::Test => "predictions.csv",
        SplitName::Train | SplitName::Validation => "validation.csv",
    };
    write_table(&folder.join(file), &csv_of(header, rows))
}

fn csv_of(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // A vector takes everything, and every row has the cells of the header.
    for row in std::iter::once(header).chain(rows) {
        let _ = writer.write_record(row);
    }
    writer.into_inner().unwrap_or_default()
}

fn write_table(place: &Place, bytes: &[u8]) -> Result<FileDigest, TrainError> {
    let written = files::write_atomically(place, bytes);
    written.map_err(|source| TrainError::Write { path: place.path().to_owned(), source })?;
    Ok(fingerprint::bytes_digest(bytes))
}
