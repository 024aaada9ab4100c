//! `sweep cache`: lists or removes the entries of the cache that trials share.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    args::ListingFormat,
    exit::{Exit, Stop},
    terminal::{print, print_json, table},
};
use crate::{
    cache::{self, Kind, Listed},
    results::Results,
    system::{clock, files::Place},
};

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    action: Option<CacheAction>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

#[derive(Debug, Subcommand)]
enum CacheAction {
    /// Remove every entry
    Clear,
}

/// The output with `--format json`.
#[derive(Serialize)]
struct CacheListing {
    folder: String,
    bytes: u64,
    entries: Vec<EntryRow>,
}

/// An entry in the output with `--format json`.
#[derive(Serialize)]
struct EntryRow {
    name: String,
    /// The kind of entry; `null` if the entry cannot be read.
    kind: Option<Kind>,
    /// The input from which the entry was made; `null` if the entry cannot be read.
    of: Option<String>,
    bytes: u64,
    /// Time of the last use, as RFC 3339 in UTC.
    last_used: String,
}

pub(super) fn cache(args: &CacheArgs, results: &Results) -> Result<Exit, Stop> {
    let folder = results.cache();
    match args.action {
        None => list(args.format, &folder)?,
        Some(CacheAction::Clear) => {
            let cleared = cache::clear(&folder);
            let (entries, bytes) = cleared.map_err(|error| failed("clear", &folder, &error))?;
            let word = if entries == 1 { "entry" } else { "entries" };
            print(&format!("{}: {entries} {word} removed, {}\n", folder.display(), size(bytes)))?;
        }
    }
    Ok(Exit::Complete)
}

/// The error of an operation on the folder.
fn failed(operation: &str, folder: &Place, error: &std::io::Error) -> Stop {
    Stop::results(&format!("cannot {operation} {}: {error}", folder.display()))
}

fn list(format: ListingFormat, folder: &Place) -> Result<(), Stop> {
    let entries = cache::list(folder).map_err(|error| failed("read", folder, &error))?;
    let bytes = entries.iter().map(|entry| entry.bytes).sum();
    match format {
        ListingFormat::Json => {
            let folder = folder.display().to_string();
            print_json(&CacheListing { folder, bytes, entries: entries.into_iter().map(row).collect() })
        }
        ListingFormat::Table => print(&describe(folder, &entries, bytes)),
    }
}

fn row(entry: Listed) -> EntryRow {
    let (kind, of) = entry.what.unzip();
    EntryRow { name: entry.name, kind, of, bytes: entry.bytes, last_used: clock::seconds(entry.used) }
}

/// The entries as a table.
fn describe(folder: &Place, entries: &[Listed], bytes: u64) -> String {
    if entries.is_empty() {
        return format!("{} holds no entry\n", folder.display());
    }
    let mut rows = vec![["kind", "size", "last used", "of"].map(ToOwned::to_owned).to_vec()];
    rows.extend(entries.iter().map(|entry| {
        let (kind, of) = match &entry.what {
            Some((kind, of)) => (kind.as_str(), of.as_str()),
            None => ("?", "cannot be read"),
        };
        vec![kind.to_owned(), size(entry.bytes), clock::seconds(entry.used), of.to_owned()]
    }));
    let head = format!("{}: {} of entries\n\n", folder.display(), size(bytes));
    head + &table(&rows)
}

/// A number of bytes for people, with one decimal.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let amount = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", amount / 1e6),
        _ => format!("{:.1} GB", amount / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn entries_are_shown_with_their_kind_size_and_use() {
        let entry = |what, bytes| Listed {
            name: "0".repeat(64),
            what,
            bytes,
            used: SystemTime::UNIX_EPOCH + Duration::from_hours(24),
        };
        let entries =
            [entry(Some((Kind::Text, "train, bert, chunks of 64".to_owned())), 1_234_567), entry(None, 12)];
        assert_eq!(
            describe(&Place::named("r/.cache"), &entries, 1_234_579),
            "r/.cache: 1.2 MB of entries\n\n\
             kind  size    last used             of\n\
             text  1.2 MB  1970-01-02T00:00:00Z  train, bert, chunks of 64\n\
             ?     12 B    1970-01-02T00:00:00Z  cannot be read\n"
        );
        assert_eq!(describe(&Place::named("c"), &[], 0), "c holds no entry\n");
    }
}
