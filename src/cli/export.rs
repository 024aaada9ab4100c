//! `sweep export`: the figures of a sweep for TensorBoard, MLflow and notebooks.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{
    args::SweepArgs,
    exit::{Exit, Stop},
    open::{OpenedSweep, with_sweep},
    terminal::print,
};
use crate::{
    display::{self, shell_word},
    error_chain::chain,
    export::{Exported, Format, Runs, Times, default_place, export_figures},
    journal,
    results::Results,
    system::files::{Place, named},
};

#[derive(Debug, Args)]
pub(super) struct ExportFiguresArgs {
    /// Which program is to open it
    #[arg(value_enum)]
    format: FormatName,
    #[command(flatten)]
    sweep: SweepArgs,
    /// Folder to write to, or the file of a csv; by default in the sweep's folder
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
}

/// The name of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// A folder of event files, with the HParams tab
    Tensorboard,
    /// A store in files
    Mlflow,
    /// One table of all evaluations, for notebooks
    Csv,
}

impl FormatName {
    const fn format(self) -> Format {
        match self {
            Self::Tensorboard => Format::TensorBoard,
            Self::Mlflow => Format::MlFlow,
            Self::Csv => Format::Csv,
        }
    }
}

pub(super) fn export(args: &ExportFiguresArgs, results: &Results) -> Result<Exit, Stop> {
    let done = with_sweep(results, args.sweep.sweep.as_deref(), |opened| export_of(opened, args))?;
    print(&done)?;
    Ok(Exit::Complete)
}

/// Exports the figures of a sweep, and says how to open them.
fn export_of(opened: &OpenedSweep, args: &ExportFiguresArgs) -> Result<String, Stop> {
    let OpenedSweep { folder, study, .. } = opened;
    let mut times = Times::default();
    journal::scan(&folder.log(), &mut |record| times.add(&record))?;
    // The times of a sweep that was begun anew meanwhile are not those of the figures.
    opened.check_not_begun_anew()?;
    let format = args.format.format();
    let out = match &args.to {
        // If it is a link, what is behind the link is replaced: the user named it.
        Some(path) => Place::of(named::canonical(path).unwrap_or_else(|_| path.clone())),
        None => default_place(folder.place(), format),
    };
    let absolute = std::path::absolute(out.path())
        .map_err(|error| Stop::results(&format!("cannot find {}: {error}", display::path(out.path()))))?;
    let runs = Runs::new(study, &times);
    let exported =
        export_figures(&runs, format, &out, &absolute).map_err(|error| Stop::results(&chain(&error)))?;
    Ok(described(exported, format, args.to.as_deref().unwrap_or(out.path())))
}

/// What was written, and the command that opens it.
fn described(exported: Exported, format: Format, shown: &Path) -> String {
    let shown = display::path(shown);
    let word = shell_word(&shown);
    let what = match exported {
        Exported::Trials(1) => "1 trial".to_owned(),
        Exported::Trials(count) => format!("{count} trials"),
        Exported::Rows(1) => "1 row".to_owned(),
        Exported::Rows(count) => format!("{count} rows"),
    };
    let open = match format {
        Format::TensorBoard => format!("to open it: tensorboard --logdir {word}\n"),
        Format::MlFlow => {
            format!("to open it: MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {word}\n")
        }
        Format::Csv => String::new(),
    };
    format!("{shown}: {what}\n{open}")
}
