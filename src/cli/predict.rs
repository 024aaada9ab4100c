//! `sweep predict`: the input, the output and the device of a prediction.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Stop},
    gpus,
    terminal::{eprint_lossy, terminal_width},
    tokenizer,
};
use crate::{
    checkpoint::Checkpoint,
    data::TableFormat,
    display::{plain, shell_word},
    error_chain::chain,
    predict::{self, CsvCells, PredictError, PredictionFormat, Texts},
    system::{device::Device, files::named, threads},
    train::{Exported, ExportedError, Session, TrainError},
};

/// How often a model is read at most where others take its place meanwhile.
const READINGS_MAX: u32 = 20;

/// The default column of the texts.
const COLUMN_DEFAULT: &str = "text";

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// Folder of an exported model
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// File to read texts from
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// What the input is, where its file's ending does not say it
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "texts")]
    input_format: Option<InputFormat>,
    /// Column of the texts in the input [default: text]
    #[arg(long, value_name = "NAME", conflicts_with = "texts")]
    column: Option<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = OutputFormat::Table)]
    format: OutputFormat,
    /// With --format csv: an apostrophe before texts that a spreadsheet would take for formulas
    #[arg(long)]
    safe_csv: bool,
    /// Where the model runs: cpu, cuda:0 or wgpu:0
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Texts to classify; without any, they are read from --input or standard input
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
}

/// What the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// A text on each line
    Lines,
    /// Comma-separated, with a header
    Csv,
    /// Tab-separated, with a header
    Tsv,
    /// A JSON object on each line
    Jsonl,
}

impl InputFormat {
    const fn table(self) -> TableFormat {
        match self {
            Self::Lines => TableFormat::Lines,
            Self::Csv => TableFormat::Csv,
            Self::Tsv => TableFormat::Tsv,
            Self::Jsonl => TableFormat::Json,
        }
    }
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// For people: class, probability, text
    Table,
    /// For programs: one array, with every class's probability
    Json,
    /// The same objects, one on each line
    Jsonl,
    /// For spreadsheets: every class's probability
    Csv,
}

pub(super) fn predict(args: &PredictArgs) -> Result<Exit, Stop> {
    let usage = |error: &dyn std::error::Error| Stop::usage(plain(&chain(error)));
    // A folder without a model is the first thing to say.
    steadily(&args.model, || Exported::read(&args.model).map_err(|error| no_model(&args.model, &error)))?;
    tokenizer::guard(&Checkpoint::Folder(args.model.clone())).map_err(|error| usage(&error))?;
    let output = output_format(args)?;
    let texts = texts(args)?;
    let machine = gpus::machine_for(&args.device);
    let device = machine.slots(&args.device)?;
    let device = device.first().copied().ok_or_else(|| Stop::usage("no device to predict on"))?;
    gpus::check(&machine, &[device], gpus::Need { parameters: 0, workers: 1 })?;
    threads::ensure_pool().map_err(|error| Stop::internal(&error))?;
    let (model, mut session) = whole_model(&args.model, device)?;
    match predict::predict(&mut session, &model, texts, output, &mut io::stdout().lock()) {
        Err(PredictError::Write(error)) => Err(error.into()),
        Err(error) => Err(usage(&error)),
        Ok(()) => Ok(Exit::Complete),
    }
}

/// Reads the model with its parameters, so that another model that takes its place later changes nothing. If one does so
/// meanwhile, that one is read.
fn whole_model(folder: &Path, device: Device) -> Result<(Exported, Session), Stop> {
    let usage = |error: TrainError| Stop::usage(plain(&chain(&error)));
    steadily(folder, || {
        let model = Exported::read(folder).map_err(|error| no_model(folder, &error))?;
        let mut session = Session::open(device).map_err(usage)?.watched();
        session.predict(&model, &[]).map_err(usage)?;
        Ok((model, session))
    })
}

/// Reads a folder, again if another folder takes its place meanwhile.
fn steadily<T>(folder: &Path, read: impl Fn() -> Result<T, Stop>) -> Result<T, Stop> {
    let mut attempts = 1;
    loop {
        let before = named::identity(folder);
        let found = read();
        if attempts >= READINGS_MAX || named::identity(folder) == before {
            return found;
        }
        attempts += 1;
    }
}

/// How the predictions are written.
fn output_format(args: &PredictArgs) -> Result<PredictionFormat, Stop> {
    if args.safe_csv && args.format != OutputFormat::Csv {
        return Err(Stop::usage("--safe-csv says how CSV is written: add --format csv, or leave it out"));
    }
    Ok(match args.format {
        OutputFormat::Table => PredictionFormat::Table { width: terminal_width() },
        OutputFormat::Json => PredictionFormat::Json,
        OutputFormat::Jsonl => PredictionFormat::JsonLines,
        OutputFormat::Csv if args.safe_csv => PredictionFormat::Csv(CsvCells::Spreadsheet),
        OutputFormat::Csv if io::stdout().is_terminal() => PredictionFormat::Csv(CsvCells::Visible),
        OutputFormat::Csv => PredictionFormat::Csv(CsvCells::Exact),
    })
}

/// The error for a folder without a usable model. If it is a part of a sweep's results, or holds no model at
/// all, the message names the command that writes a model.
fn no_model(folder: &Path, error: &ExportedError) -> Stop {
    let has =
        |parent: Option<&Path>, file: &str| parent.is_some_and(|parent| named::is_file(&parent.join(file)));
    let of_trial = [Some(folder), folder.parent()]
        .into_iter()
        .flatten()
        .find(|it| named::is_file(&it.join("trial.json")));
    if !named::is_folder(folder) {
        let advice = "`sweep export-best` writes the folder of a model, by default results/NAME/best-model";
        return Stop::usage(plain(&format!("there is no folder {}; {advice}", folder.display())));
    }
    let exported = folder.join("best-model");
    let advice = if has(Some(folder), "config.json") {
        String::new()
    } else if named::is_folder(&exported) {
        format!("; this sweep's exported model is --model {}", exported.display())
    } else if let Some((sweep, trial)) = of_trial.and_then(place_in_sweep) {
        format!("; to have this trial's model: sweep export-best {sweep} --trial {trial} --out DIR")
    } else if has(Some(folder), "plan.json") {
        let name = folder.file_name().map(|name| shell_word(&name.to_string_lossy())).unwrap_or_default();
        format!("; to have this sweep's best model: sweep export-best {name} --out DIR")
    } else {
        "; sweep export-best writes the folder of a sweep's best model".to_owned()
    };
    Stop::usage(plain(&format!("{}{advice}", chain(error))))
}

/// The names of sweep and trial of a trial's folder, as words of a shell.
fn place_in_sweep(trial: &Path) -> Option<(String, u32)> {
    let number = trial.file_name()?.to_str()?.parse().ok()?;
    let sweep = trial.parent()?.parent()?.file_name()?.to_str()?;
    Some((shell_word(sweep), number))
}

/// The texts to classify: arguments, a file, or standard input.
fn texts(args: &PredictArgs) -> Result<Texts<'static>, Stop> {
    if !args.texts.is_empty() {
        return Ok(Texts::Given(args.texts.clone()));
    }
    let column = args.column.clone().unwrap_or_else(|| COLUMN_DEFAULT.to_owned());
    let format = format(args)?;
    if let Some(path) = &args.input {
        named::open_stream(path).map_err(|error| {
            let path = path.display();
            Stop::usage(plain(&format!("cannot read {path}: {error}; --input names a file with texts")))
        })?;
        return Ok(Texts::File { path: path.clone(), format, column });
    }
    if io::stdin().is_terminal() {
        eprint_lossy("reading texts from the terminal, one a line; Ctrl-D ends them\n");
    }
    let (name, input) = ("standard input".to_owned(), Box::new(io::stdin().lock()));
    Ok(Texts::Read { name, input, format, column })
}

/// The format of the input: the given one, else the one of the file's ending. Standard input is CSV if a
/// column is named, else lines.
fn format(args: &PredictArgs) -> Result<TableFormat, Stop> {
    let format = match (args.input_format, &args.input) {
        (Some(format), _) => format.table(),
        (None, Some(path)) => TableFormat::of_ending(path).unwrap_or(TableFormat::Lines),
        (None, None) if args.column.is_some() => TableFormat::Csv,
        (None, None) => TableFormat::Lines,
    };
    if format == TableFormat::Lines && args.column.is_some() {
        let message = "lines have no columns; leave --column out, or say with --input-format what the input is: \
                       csv, tsv or jsonl";
        return Err(Stop::usage(message));
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct PredictCommand {
        #[command(flatten)]
        args: PredictArgs,
    }

    fn format_of(arguments: &[&str]) -> Result<TableFormat, Exit> {
        let words = ["predict", "--model", "m"].iter().chain(arguments);
        format(&PredictCommand::try_parse_from(words).unwrap().args).map_err(|stop| stop.exit)
    }

    /// The message for the folder `below` the folder of a sweep called `mine`, in which these files are.
    fn advice(below: &str, files: &[&str]) -> String {
        let root = tempfile::tempdir().unwrap();
        let sweep = root.path().join("mine");
        std::fs::create_dir_all(sweep.join("trials/0003/best")).unwrap();
        for file in files {
            std::fs::write(sweep.join(file), "{}").unwrap();
        }
        let folder = sweep.join(below);
        no_model(&folder, &Exported::read(&folder).unwrap_err()).message
    }

    #[test]
    fn a_sweeps_folder_is_answered_with_the_command_that_exports_its_model() {
        let message = advice("", &["plan.json"]);
        assert!(message.ends_with("this sweep's best model: sweep export-best mine --out DIR"), "{message}");
    }

    #[test]
    fn a_trials_folder_is_answered_with_the_command_that_exports_its_model() {
        for below in ["trials/0003", "trials/0003/best"] {
            let message = advice(below, &["plan.json", "trials/0003/trial.json"]);
            assert!(message.ends_with("sweep export-best mine --trial 3 --out DIR"), "{message}");
        }
    }

    #[test]
    fn a_folder_without_a_model_is_answered_with_the_command_that_writes_one() {
        let message = advice("trials", &[]);
        assert!(
            message.ends_with("sweep export-best writes the folder of a sweep's best model"),
            "{message}"
        );
    }

    #[test]
    fn a_model_with_a_fault_is_answered_with_the_fault_alone() {
        let message = advice("", &["plan.json", "config.json"]);
        assert!(!message.contains("this sweep's best model"), "{message}");
    }

    #[test]
    fn without_an_option_the_input_is_lines() {
        assert_eq!(format_of(&[]), Ok(TableFormat::Lines));
    }

    #[test]
    fn a_column_makes_standard_input_csv() {
        assert_eq!(format_of(&["--column", "a"]), Ok(TableFormat::Csv));
    }

    #[test]
    fn the_given_format_of_standard_input_is_used() {
        assert_eq!(format_of(&["--column", "a", "--input-format", "jsonl"]), Ok(TableFormat::Json));
    }

    #[test]
    fn the_ending_of_a_file_says_its_format() {
        assert_eq!(format_of(&["--input", "a.TSV", "--column", "a"]), Ok(TableFormat::Tsv));
        assert_eq!(format_of(&["--input", "a.txt"]), Ok(TableFormat::Lines));
    }

    #[test]
    fn the_given_format_overrides_the_ending() {
        assert_eq!(format_of(&["--input", "a.csv", "--input-format", "lines"]), Ok(TableFormat::Lines));
    }

    #[test]
    fn a_column_of_lines_is_refused() {
        assert_eq!(format_of(&["--input", "a.txt", "--column", "a"]), Err(Exit::Usage));
    }
}
