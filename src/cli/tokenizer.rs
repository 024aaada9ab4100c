//! The wall before foreign tokenizers (`train::wall`), as commands see it, and `sweep tokenizer`, which is its child:
//! only this program starts it.

use std::path::PathBuf;

use clap::Args;

use super::{
    exit::{Exit, Stop},
    terminal::print,
};
use crate::{
    checkpoint::Checkpoint,
    system::machine::running_program,
    train::wall::{self, WallError},
};

#[derive(Debug, Args)]
pub(super) struct TokenizerArgs {
    /// Folder of a checkpoint
    folder: PathBuf,
}

/// Reads a tokenizer within bounds, and prints what [`guard`] asks for.
pub(super) fn examine(args: &TokenizerArgs) -> Result<Exit, Stop> {
    print(&(wall::examine(&args.folder) + "\n"))?;
    Ok(Exit::Complete)
}

/// Has a process of its own read the tokenizer of `checkpoint` before this one does.
///
/// # Errors
/// When the tokenizer cannot be used, or the process cannot be started.
pub(super) fn guard(checkpoint: &Checkpoint) -> Result<(), WallError> {
    wall::guard(checkpoint, &running_program())
}
