//! `export-best`: writes a trial's model as a folder that other programs can open.
//!
//! The new folder is made beside its place and moved there as a whole, so that nobody ever sees a
//! half-written model.
//!
//! A format is a module of its own below this one, beside `huggingface`. It writes a [`Model`]
//! into a new folder, and says which files it writes and how its exports are recognised. Another
//! format needs such a module, an enum of the formats that [`export`] takes, and an option of
//! `sweep export-best`.

mod error;
mod huggingface;
mod model;

use std::path::Path;

pub use self::{
    error::ExportError,
    model::{Choice, Model},
};
use crate::{fingerprint::FileDigest, system::files::Place};

/// Writes `model` to the folder `out`. An exported model that stands there is replaced.
///
/// # Errors
/// When `out` is something else than an exported model, the parameters are damaged, or a file cannot be
/// read or written. `out` is then unchanged.
pub fn export(model: &Model<'_>, out: &Path) -> Result<(), ExportError> {
    // If `out` is a link, the folder behind the link is replaced.
    let real = std::fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    if real.exists() {
        refuse_foreign_files(&real, out)?;
    }
    let write = |path: &Path, source| ExportError::Write { path: path.to_owned(), source };
    let parent = match real.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let weights = model.parameters()?;
    std::fs::create_dir_all(parent).map_err(|source| write(parent, source))?;
    let beside = tempfile::Builder::new()
        .prefix(".tmp-export-")
        .tempdir_in(parent)
        .map_err(|source| write(parent, source))?;
    let new = beside.path().join("model");
    huggingface::write(model, &weights, &new)?;
    if real.exists() {
        // The old model is removed together with the temporary folder.
        std::fs::rename(&real, beside.path().join("old")).map_err(|source| write(out, source))?;
    }
    std::fs::rename(&new, &real).map_err(|source| write(out, source))
}

/// The file with the parameters of the exported model in `folder`, with its length and digest as it was written.
///
/// `None` if the folder holds no exported model. The digest is missing if an earlier version exported it.
#[must_use]
pub fn exported_parameters(folder: &Place) -> Option<(Place, Option<FileDigest>)> {
    huggingface::parameters(folder)
}

/// Refuses a folder that is not empty and holds anything else than the files of an exported model.
fn refuse_foreign_files(folder: &Path, out: &Path) -> Result<(), ExportError> {
    let taken = || ExportError::Taken { path: out.to_owned() };
    let entries = std::fs::read_dir(folder).map_err(|_| taken())?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    if names.is_empty() {
        return Ok(());
    }
    if !huggingface::is_export(folder) {
        return Err(taken());
    }
    names.sort();
    match names.into_iter().find(|name| !huggingface::is_own_file(name)) {
        Some(found) => Err(ExportError::Foreign { path: out.to_owned(), found }),
        None => Ok(()),
    }
}
