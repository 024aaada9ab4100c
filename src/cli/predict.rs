//! `sweep predict`: the input, the output and the device of a prediction.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Stop},
    terminal::{eprint_lossy, terminal_width},
};
use crate::{
    data::TableFormat,
    display::plain,
    error_chain::chain,
    predict::{self, PredictError, PredictionFormat, Texts},
    system::machine::Machine,
    train::{Exported, Session},
};

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
    /// Where the model runs: cpu or cuda:0
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
            Self::Jsonl => TableFormat::JsonLines,
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
    let model = Exported::read(&args.model)
        .map_err(|error| Stop::usage(plain(&no_model(&args.model, &chain(&error)))))?;
    let texts = texts(args)?;
    let device = Machine::detect(args.device.starts_with("cuda")).slots(&args.device)?;
    let device = device.first().copied().ok_or_else(|| Stop::usage("no device to predict on"))?;
    let mut session = Session::open(device).map_err(|error| usage(&error))?;
    let format = match args.format {
        OutputFormat::Table => PredictionFormat::Table { width: terminal_width() },
        OutputFormat::Json => PredictionFormat::Json,
        OutputFormat::Jsonl => PredictionFormat::JsonLines,
        OutputFormat::Csv => PredictionFormat::Csv,
    };
    match predict::predict(&mut session, &model, texts, format, &mut io::stdout().lock()) {
        Err(PredictError::Write(error)) => Err(error.into()),
        Err(error) => Err(usage(&error)),
        Ok(()) => Ok(Exit::Complete),
    }
}

/// The message for a folder that holds no model, with the command that writes one.
fn no_model(folder: &Path, error: &str) -> String {
    let name = folder.display();
    let exported = folder.join("best-model");
    if exported.is_dir() {
        return format!("{name} is a sweep's folder; its exported model is --model {}", exported.display());
    }
    if folder.join("plan.json").exists() {
        return format!(
            "{name} is a sweep's folder, and no model of it is exported; `sweep export-best` writes {}",
            exported.display()
        );
    }
    let fault = if folder.is_dir() { error.to_owned() } else { format!("there is no folder {name}") };
    format!("{fault}; `sweep export-best` writes the folder of a model, by default results/NAME/best-model")
}

/// The texts to classify: arguments, a file, or standard input.
fn texts(args: &PredictArgs) -> Result<Texts<'static>, Stop> {
    if !args.texts.is_empty() {
        return Ok(Texts::Given(args.texts.clone()));
    }
    let column = args.column.clone().unwrap_or_else(|| COLUMN_DEFAULT.to_owned());
    let format = format(args)?;
    let (name, input): (String, Box<dyn BufRead>) = if let Some(path) = &args.input {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            Stop::usage(plain(&format!("cannot read {name}: {error}; --input names a file with texts")))
        })?;
        (name, Box::new(BufReader::new(file)))
    } else {
        if io::stdin().is_terminal() {
            eprint_lossy("reading texts from the terminal, one a line; Ctrl-D ends them\n");
        }
        ("standard input".to_owned(), Box::new(io::stdin().lock()))
    };
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
        assert_eq!(format_of(&["--column", "a", "--input-format", "jsonl"]), Ok(TableFormat::JsonLines));
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
