//! `sweep completions` and `sweep man`: what shells and `man` read, made from the arguments themselves.

use std::{io, path::PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{
    exit::{Exit, Stop},
    terminal::print,
};
use crate::{
    display,
    system::files::{self, Place},
};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder to write a page for each command to; without it, the page of `sweep` is printed
    dir: Option<PathBuf>,
}

/// Prints a shell's completions of `command`.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "sweep", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Complete)
}

/// Prints the manual page of `command`, or writes the pages of all commands into a folder.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<Exit, Stop> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        print(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Complete);
    };
    let failed = |error: io::Error| {
        Stop::usage(format!("cannot write manual pages into {}: {error}", display::path(dir)))
    };
    files::create_folder(&Place::named(dir)).map_err(failed)?;
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    print(&format!("{}\n", display::path(&dir.join("sweep.1"))))?;
    Ok(Exit::Complete)
}
