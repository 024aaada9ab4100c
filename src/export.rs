//! `export-best`: writes a trial's model as a folder that other programs can open.
//!
//! The new folder is made beside its place and exchanged with what stands there as a whole, so that nobody ever sees a
//! half-written model or none.
//!
//! A format is a module of its own below this one, beside `huggingface`. It writes a [`Model`]
//! into a new folder, and says which files it writes and how its exports are recognised. Another
//! format needs such a module, an enum of the formats that [`export`] takes, and an option of
//! `sweep export-best`.

mod error;
mod huggingface;
mod model;
mod staging;

use std::io;

use self::staging::Staging;
pub use self::{
    error::ExportError,
    model::{Choice, Model},
    staging::remove_leftovers,
};
use crate::{
    fingerprint::FileDigest,
    system::files::{self, Place, exchange},
};

/// Writes `model` to the folder `out`. An exported model that stands there is replaced in one step: at any moment,
/// and after a crash at any moment, the folder holds one whole model.
///
/// # Errors
/// When `out` is something else than an exported model, the parameters are damaged, or a file cannot be
/// read or written. `out` is then unchanged.
pub fn export(model: &Model<'_>, out: &Place) -> Result<(), ExportError> {
    refuse_foreign_files(out)?;
    let write = |place: &Place, source| ExportError::Write { path: place.path().to_owned(), source };
    let parent = parent_of(out).map_err(|source| write(out, source))?;
    let weights = model.parameters()?;
    files::create_folder(&parent).map_err(|source| write(&parent, source))?;
    remove_leftovers(&parent);
    let staging = Staging::within(&parent).map_err(|source| write(&parent, source))?;
    let new = staging.join(out.name());
    huggingface::write(model, &weights, &new)?;
    // The folder may have changed while the model was written.
    refuse_foreign_files(out)?;
    // The old model is removed together with the temporary folder.
    exchange::put_in_place(&new, out, &staging.aside()).map_err(|source| write(out, source))
}

/// Removes the exported model in `folder`: in one step for whoever looks at its place.
///
/// # Errors
/// When it cannot be moved away. What is left then is removed with the next export.
pub fn remove(folder: &Place) -> io::Result<()> {
    let staging = Staging::within(&parent_of(folder)?)?;
    match folder.rename(&staging.join("removed")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The folder that holds `folder`.
fn parent_of(folder: &Place) -> io::Result<Place> {
    folder.parent().ok_or_else(|| io::Error::other("it has no name; name another folder"))
}

/// The file with the parameters of the exported model in `folder`, with its length and digest as it was written.
///
/// `None` if the folder holds no exported model. The digest is missing if an earlier version exported it.
#[must_use]
pub fn exported_parameters(folder: &Place) -> Option<(Place, Option<FileDigest>)> {
    huggingface::parameters(folder)
}

/// How often a folder is looked at while other exports take its place.
const LOOKS_MAX: u32 = 20;

/// Refuses a folder that is not empty and holds anything else than the files of an exported model. One that another
/// export replaces meanwhile is looked at again.
fn refuse_foreign_files(folder: &Place) -> Result<(), ExportError> {
    let mut looks = 1;
    loop {
        let before = folder.identity().ok();
        let found = look_for_foreign_files(folder);
        if found.is_ok() || looks >= LOOKS_MAX || folder.identity().ok() == before {
            return found;
        }
        looks += 1;
    }
}

fn look_for_foreign_files(folder: &Place) -> Result<(), ExportError> {
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
