//! What other programs open: a trial's model (`export-best`), and the figures of a sweep (`export`).
//!
//! A new folder is made beside its place and exchanged with what stands there as a whole, so that nobody ever sees a
//! half-written export or none.
//!
//! A format is a module of its own below this one. `huggingface` writes a [`Model`] into a new folder, and says which files
//! it writes and how its exports are recognised. `tensorboard` and `mlflow` make the files of [`Runs`], which
//! `exported_folder` lists and recognises; `evaluations` makes one table of them. Another format of figures needs such a
//! module and a variant of [`Format`].

mod error;
mod evaluations;
mod exported_folder;
mod figures;
mod huggingface;
mod mlflow;
mod model;
mod runs;
mod staging;
mod tensorboard;
mod times;

use std::io;

pub use self::{
    error::ExportError,
    figures::{Exported, Format, default_place, export_figures, forget_figures},
    model::{Choice, Model},
    runs::Runs,
    staging::{remove, remove_leftovers},
    times::Times,
};
use crate::{fingerprint::FileDigest, system::files::Place};

/// Writes `model` to the folder `out`. An exported model that stands there is replaced in one step: at any moment,
/// and after a crash at any moment, the folder holds one whole model.
///
/// # Errors
/// When `out` is something else than an exported model, the parameters are damaged, or a file cannot be
/// read or written. `out` is then unchanged.
pub fn export(model: &Model<'_>, out: &Place) -> Result<(), ExportError> {
    let weights = || model.parameters();
    staging::replace(out, &refuse_foreign_files, weights, |weights, new| {
        huggingface::write(model, weights, new)
    })
}

/// The file with the parameters of the exported model in `folder`, with its length and digest as it was written.
///
/// `None` if the folder holds no exported model. The digest is missing if an earlier version exported it.
#[must_use]
pub fn exported_parameters(folder: &Place) -> Option<(Place, Option<FileDigest>)> {
    huggingface::parameters(folder)
}

/// Refuses a folder that is not empty and holds anything else than the files of an exported model.
fn refuse_foreign_files(folder: &Place) -> Result<(), ExportError> {
    let taken = || ExportError::Taken { path: folder.path().to_owned() };
    let names = match folder.names() {
        // A link to nowhere is not ours.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(()),
        names => names.map_err(|_| taken())?,
    };
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.is_empty() {
        return Ok(());
    }
    if !huggingface::is_export(folder) {
        return Err(taken());
    }
    names.sort();
    match names.into_iter().find(|name| !huggingface::is_own_file(name)) {
        Some(found) => Err(ExportError::Foreign { path: folder.path().to_owned(), found }),
        None => Ok(()),
    }
}
