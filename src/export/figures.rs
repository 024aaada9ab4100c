//! The figures of a sweep for other programs: which formats there are, where they go, and what they may replace.

use std::path::Path;

use super::{error::ExportError, evaluations, exported_folder, mlflow, runs::Runs, staging, tensorboard};
use crate::system::files::{self, Place, many};

/// A format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A folder of event files for each trial.
    TensorBoard,
    /// A store in files.
    MlFlow,
    /// One table of all evaluations.
    Csv,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// A folder, with this many trials.
    Trials(usize),
    /// A table, with this many rows.
    Rows(usize),
}

impl Format {
    const ALL: [Self; 3] = [Self::TensorBoard, Self::MlFlow, Self::Csv];

    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TensorBoard => "tensorboard",
            Self::MlFlow => "mlflow",
            Self::Csv => "csv",
        }
    }
}

/// Where an export goes by default, in the folder of its sweep.
#[must_use]
pub fn default_place(sweep: &Place, format: Format) -> Place {
    match format {
        Format::TensorBoard | Format::MlFlow => sweep.join(format.as_str()),
        Format::Csv => sweep.join("evaluations.csv"),
    }
}

/// Writes the figures of `runs` to `out`, whose absolute path is `path`. An export of the same format that stands there is
/// replaced in one step.
///
/// # Errors
/// When `out` is something else, or cannot be written. It is then unchanged.
pub fn export_figures(
    runs: &Runs<'_>,
    format: Format,
    out: &Place,
    path: &Path,
) -> Result<Exported, ExportError> {
    let mut files = match format {
        Format::TensorBoard => tensorboard::files(runs),
        Format::MlFlow => mlflow::files(runs, path),
        Format::Csv => return export_table(runs, out),
    };
    let unwritten = |source| ExportError::Write { path: out.path().to_owned(), source };
    let name = format.as_str();
    exported_folder::list(&runs.sweep, name, &mut files).map_err(|error| unwritten(error.into()))?;
    staging::replace(
        out,
        &|folder| exported_folder::refuse_others(folder, name),
        || Ok(files),
        |files, new| many::write_new(new, files).map_err(unwritten),
    )?;
    Ok(Exported::Trials(runs.begun_count()))
}

fn export_table(runs: &Runs<'_>, out: &Place) -> Result<Exported, ExportError> {
    if out.exists() && !is_table(out) {
        return Err(ExportError::Occupied { path: out.path().to_owned() });
    }
    let (table, rows) = evaluations::table(runs);
    let unwritten = |source| ExportError::Write { path: out.path().to_owned(), source };
    files::write_atomically(out, table.as_bytes()).map_err(unwritten)?;
    Ok(Exported::Rows(rows))
}

/// Whether there is a table that an export wrote, or an empty file.
fn is_table(place: &Place) -> bool {
    place.is_file() && place.read().is_ok_and(|bytes| bytes.is_empty() || evaluations::is_table(&bytes))
}

/// Removes the exports in their default places in the folder of a sweep. What others have changed or added to stays.
///
/// # Errors
/// The place that cannot be removed, and why.
pub fn forget_figures(sweep: &Place) -> Result<(), (Place, std::io::Error)> {
    for format in Format::ALL {
        let place = default_place(sweep, format);
        let removed = match format {
            Format::TensorBoard | Format::MlFlow if exported_folder::is_export(&place, format.as_str()) => {
                staging::remove(&place)
            }
            Format::Csv if is_table(&place) => place.remove_file(),
            Format::TensorBoard | Format::MlFlow | Format::Csv => Ok(()),
        };
        removed.map_err(|error| (place, error))?;
    }
    Ok(())
}
