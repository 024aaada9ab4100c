//! The tables that a trial writes: `metrics.csv` and `predictions.csv`.

use crate::{
    data::SplitName,
    event::Evaluation,
    system::files::{self, Place},
    train::{
        error::TrainError,
        learning::loss::most_probable,
        text::{corpus::TokenizedSplit, documents::Documents},
    },
};

/// Writes `metrics.csv`, with a row for each evaluation.
///
/// It holds no times, so that the same trial always writes the same file; the log has them.
pub(super) fn write_metrics(folder: &Place, evaluations: &[Evaluation]) -> Result<(), TrainError> {
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
    write_csv(folder.join("metrics.csv"), header.map(str::to_owned).to_vec(), rows)
}

/// Writes `predictions.csv`, with a row for each document of the test set.
///
/// Probabilities are not rounded, so that every test figure can be computed again from the file.
pub(super) fn write_predictions(
    folder: &Place,
    data: &Documents,
    split: &TokenizedSplit,
    probabilities: &[Vec<f64>],
) -> Result<(), TrainError> {
    let labels = data.labels();
    let mut header = vec!["id".to_owned(), "label".to_owned(), "predicted".to_owned()];
    header.extend(labels.iter().map(|label| format!("p_{label}")));
    let rows = data.split(SplitName::Test).zip(probabilities).enumerate().map(|(index, (document, row))| {
        let mut cells = vec![
            document.id.to_string(),
            labels[split.label(index)].clone(),
            labels[most_probable(row)].clone(),
        ];
        cells.extend(row.iter().map(f64::to_string));
        cells
    });
    write_csv(folder.join("predictions.csv"), header, rows)
}

fn write_csv(
    place: Place,
    header: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), TrainError> {
    let bytes = || -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(row)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    };
    let result =
        bytes().map_err(std::io::Error::from).and_then(|bytes| files::write_atomically(&place, &bytes));
    result.map_err(|source| TrainError::Write { path: place.path().to_owned(), source })
}
