//! The wall before foreign tokenizers (`train::wall`), as commands see it, and `sweep tokenizer`, which is its child:
//! only this program starts it.

use std::{env, path::PathBuf};

use clap::Args;

use super::{
    exit::{Exit, Stop},
    terminal::print,
};
use crate::{
    checkpoint::Checkpoint,
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
    // On Linux the running program itself, even where its file was replaced.
    let own = cfg!(target_os = "linux").then(|| PathBuf::from("/proc/self/exe"));
    let program = own.unwrap_or_else(|| env::current_exe().unwrap_or_default());
    wall::guard(checkpoint, &program)
}
