//! The predictions of one trial on the test set, read from its `predictions.csv`.

use std::path::Path;

use crate::{system::files::Place, trial::TrialId};

/// The class that one model predicted for one test document. Classes are indices into the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The document's number.
    pub id: u64,
    /// The document's true class.
    pub label: usize,
    /// The class that the model predicted.
    pub predicted: usize,
}

/// Gives a trial's predictions, if there are any.
pub type PredictionsOf<'a> = dyn Fn(TrialId) -> Option<Vec<Prediction>> + 'a;

/// Why a `predictions.csv` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PredictionsError {
    /// The file cannot be read, or a row lacks a column or holds no number as its id.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: csv::Error,
    },
    /// The file names a class that the task does not have.
    #[error("{}: unknown class {class:?}", path.display())]
    UnknownClass {
        /// The file.
        path: std::path::PathBuf,
        /// The name of the class.
        class: String,
    },
    /// A row has no probability of the class that it names as predicted.
    #[error("{}: no probability of class {class:?}", path.display())]
    NoProbability {
        /// The file.
        path: std::path::PathBuf,
        /// The name of the class.
        class: String,
    },
}

/// A [`Prediction`] with the probability of the class that the model predicted, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classified {
    /// The prediction.
    pub prediction: Prediction,
    /// The probability of the predicted class.
    pub probability: f64,
}

/// The columns of `predictions.csv` that a test needs.
#[derive(serde::Deserialize)]
struct PredictionLine {
    id: u64,
    label: String,
    predicted: String,
}

/// Reads the columns `id`, `label` and `predicted` of a `predictions.csv`.
///
/// # Errors
/// When the file cannot be read, or names a class that is not in `labels`.
pub fn read_predictions(place: &Place, labels: &[String]) -> Result<Vec<Prediction>, PredictionsError> {
    let read = |error: std::io::Error| PredictionsError::Read {
        path: place.path().to_owned(),
        source: error.into(),
    };
    parse_predictions(place.path(), &place.read().map_err(read)?, labels)
}

/// As [`read_predictions`], of a file with these contents; errors name `path`.
///
/// # Errors
/// As [`read_predictions`].
pub fn parse_predictions(
    path: &Path,
    bytes: &[u8],
    labels: &[String],
) -> Result<Vec<Prediction>, PredictionsError> {
    let read = |source| PredictionsError::Read { path: path.to_owned(), source };
    let class = |name: String| {
        labels
            .iter()
            .position(|label| *label == name)
            .ok_or_else(|| PredictionsError::UnknownClass { path: path.to_owned(), class: name })
    };
    csv::Reader::from_reader(bytes)
        .into_deserialize::<PredictionLine>()
        .map(|line| {
            let line = line.map_err(read)?;
            Ok(Prediction { id: line.id, label: class(line.label)?, predicted: class(line.predicted)? })
        })
        .collect()
}

/// As [`parse_predictions`], with the probability of each predicted class.
///
/// # Errors
/// As [`parse_predictions`], or when a row has no probability of the class that it names as predicted.
pub fn parse_classified(
    path: &Path,
    bytes: &[u8],
    labels: &[String],
) -> Result<Vec<Classified>, PredictionsError> {
    let read = |source| PredictionsError::Read { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_reader(bytes);
    let headings = reader.headers().map_err(read)?.clone();
    let column =
        |label: &String| headings.iter().position(|heading| heading.strip_prefix("p_") == Some(label));
    let columns: Vec<Option<usize>> = labels.iter().map(column).collect();
    let predictions = parse_predictions(path, bytes, labels)?;
    let mut classified = Vec::with_capacity(predictions.len());
    for (prediction, record) in predictions.into_iter().zip(reader.records()) {
        let record = record.map_err(read)?;
        let cell = columns[prediction.predicted].and_then(|column| record.get(column));
        let probability =
            cell.and_then(|cell| cell.parse().ok()).ok_or_else(|| PredictionsError::NoProbability {
                path: path.to_owned(),
                class: labels[prediction.predicted].clone(),
            })?;
        classified.push(Classified { prediction, probability });
    }
    Ok(classified)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `predictions.csv` with one line, of the class 坏 predicted as 好.
    fn predictions_file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(&path, "id,label,predicted,p_好,p_坏\n7,坏,好,0.6,0.4\n").unwrap();
        (folder, path)
    }

    #[test]
    fn predictions_are_read_by_the_names_of_their_classes() {
        let (_folder, path) = predictions_file();
        let labels = ["好".to_owned(), "坏".to_owned()];
        assert_eq!(
            read_predictions(&Place::of(&path), &labels).unwrap(),
            [Prediction { id: 7, label: 1, predicted: 0 }]
        );
    }

    #[test]
    fn a_class_that_the_task_does_not_have_is_an_error() {
        let (_folder, path) = predictions_file();
        let error = read_predictions(&Place::of(&path), &["好".to_owned()]).unwrap_err();
        assert!(matches!(error, PredictionsError::UnknownClass { class, .. } if class == "坏"));
    }

    #[test]
    fn the_probability_is_that_of_the_predicted_class() {
        let (_folder, path) = predictions_file();
        let bytes = std::fs::read(&path).unwrap();
        let labels = ["好".to_owned(), "坏".to_owned()];
        assert_eq!(parse_classified(&path, &bytes, &labels).unwrap()[0].probability, 0.6);
    }

    #[test]
    fn a_table_without_probabilities_is_an_error() {
        let labels = ["a".to_owned()];
        let error = parse_classified(Path::new("x"), b"id,label,predicted\n1,a,a\n", &labels).unwrap_err();
        assert!(matches!(error, PredictionsError::NoProbability { .. }), "{error}");
    }
}
