//! `sweep compare`: two trials side by side, of one sweep or of two.

mod comparison;
mod documents;
mod lines;
mod side;
mod tested;

use clap::Args;

use self::side::Words;
use super::{
    args::{ListingFormat, Rank},
    exit::{Exit, Stop},
    terminal::{print, print_json, terminal_width},
};
use crate::results::Results;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// A trial's number, SWEEP/NUMBER for a trial of another sweep, or a sweep's name or folder for its best trial
    #[arg(value_name = "A")]
    first: String,
    /// The other trial or sweep
    #[arg(value_name = "B")]
    second: String,
    /// Name of the sweep whose trials are given by their numbers alone; the newest by default
    sweep: Option<String>,
    /// What decides which trial of a sweep is its best
    #[arg(long, value_enum, default_value_t = Rank::TestF1)]
    rank: Rank,
    /// Test documents that are shown at most, of those for which the predictions differ
    #[arg(long, value_name = "N", default_value_t = 10)]
    documents: usize,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

pub(super) fn compare(args: &CompareArgs, results: &Results) -> Result<Exit, Stop> {
    let by = args.rank.by();
    let words = Words { both: [&args.first, &args.second], sweep: args.sweep.as_deref(), by };
    side::both(&words, results, |sides| {
        let comparison = comparison::comparison(sides, by, args.documents);
        match args.format {
            ListingFormat::Json => print_json(&comparison),
            ListingFormat::Table => print(&lines::describe(&comparison, terminal_width())),
        }
    })?;
    Ok(Exit::Complete)
}
