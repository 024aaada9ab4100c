//! The predictions of one trial on the test set, read from its `predictions.csv`.

use std::path::Path;

use crate::system::files::Place;

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

/// How probable a model found the class that it predicted for a document, and whether that class is right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// The probability, 0 to 1.
    pub confidence: f64,
    /// Whether the class is the document's own.
    pub is_right: bool,
}

/// The probabilities of the predicted classes in a `predictions.csv` with these contents; `None` if a row lacks one, or
/// has no number there.
#[must_use]
pub fn confidences(bytes: &[u8]) -> Option<Vec<Confidence>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let headings = reader.headers().ok()?.clone();
    let column = |name: &str| headings.iter().position(|heading| heading == name);
    let (label, predicted) = (column("label")?, column("predicted")?);
    let confidence = |row: csv::StringRecord| {
        let class = row.get(predicted)?;
        let confidence =
            row.get(column(&format!("p_{class}"))?)?.parse().ok().filter(|p: &f64| p.is_finite())?;
        Some(Confidence { confidence, is_right: row.get(label)? == class })
    };
    reader.records().map(|row| confidence(row.ok()?)).collect()
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
    fn the_confidence_of_a_prediction_is_the_probability_of_the_predicted_class() {
        let found =
            confidences("id,label,predicted,p_好,p_坏\n7,坏,好,0.6,0.4\n8,坏,坏,0.1,0.9\n".as_bytes())
                .unwrap();
        let confidence = |confidence, is_right| Confidence { confidence, is_right };
        assert_eq!(found, [confidence(0.6, false), confidence(0.9, true)]);
        assert_eq!(confidences(b"id,label,predicted\n7,a,a\n"), None);
    }

    #[test]
    fn a_class_that_the_task_does_not_have_is_an_error() {
        let (_folder, path) = predictions_file();
        let error = read_predictions(&Place::of(&path), &["好".to_owned()]).unwrap_err();
        assert!(matches!(error, PredictionsError::UnknownClass { class, .. } if class == "坏"));
    }
}
