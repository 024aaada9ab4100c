//! The `[data]` section.

use super::{
    document::{Content, KeyValue, Node},
    duplicates::duplicates,
    folds, keys,
    paths::absolute,
    reader::{Reader, choice, found},
};
use crate::{
    data::{DataSpec, Limit, Shares, Source, SplitName, encoding},
    metrics::Average,
    numbers::whole,
};

/// The name of the generated reviews.
const REVIEWS: &str = "builtin:reviews";

/// How far the sum of the shares may be from 1: decimal fractions are not exact as f64.
const TOLERANCE: f64 = 1e-6;

/// Reads the section; `None` when a part is missing or wrong, which is reported.
pub(super) fn read(reader: &mut Reader<'_>, seed: u64) -> Option<DataSpec> {
    let root = reader.root;
    if root.get("data").is_none() {
        reader.findings.error(root.at, "the spec has no [data]", format!("add [data] with {SOURCES}"));
        return None;
    }
    let table = reader.table(root, "data")?;
    reader.refuse_unknown(table, Some("data"), &keys::DATA);
    let source = source(reader, table);
    let columns = text_and_label(reader, table);
    let positive = optional(reader, table, "positive", positive);
    let average = optional(reader, table, "average", average);
    let encoding = optional(reader, table, "encoding", encoding);
    let duplicates = duplicates(reader, table);
    let group = group(reader, table, source.as_ref());
    let limit = limit(reader, table);
    let folds = folds::folds(reader, table);
    if let (Some(source), Some(limit)) = (&source, limit) {
        folds::check_limit(reader, source, limit);
    }
    let ((text, label), (duplicates, alike)) = (columns?, duplicates?);
    Some(DataSpec {
        source: source?,
        text,
        label,
        positive: positive?,
        average: average?,
        encoding: encoding?,
        duplicates,
        alike,
        group: group?,
        limit: limit?,
        folds: folds?,
        seed,
    })
}

/// The columns of the texts and the labels, which are two.
fn text_and_label(reader: &mut Reader<'_>, table: &Node) -> Option<(String, String)> {
    let text = column(reader, table, "text");
    let label = column(reader, table, "label");
    let (text, label) = (text?, label?);
    if text == label {
        let key = if table.get("label").is_some() { "data.label" } else { "data.text" };
        let message = format!("`text` and `label` name the same column, `{text}`");
        reader.findings.error(reader.root.place(key), message, "a row needs a text and a label of its own");
        return None;
    }
    Some((text, label))
}

/// The column of the groups, which generated reviews lack.
#[expect(clippy::option_option, reason = "absent and wrong are different")]
fn group(reader: &mut Reader<'_>, table: &Node, source: Option<&Source>) -> Option<Option<String>> {
    let Some(entry) = table.get("group") else { return Some(None) };
    if let Some(Source::Reviews { .. }) = source {
        let message = format!("\"{REVIEWS}\" has no columns to group its documents by");
        reader.findings.error(entry.key_at, message, "remove `group`, or give files");
        return None;
    }
    reader.text(entry).map(Some)
}

/// The value of `key` as `read` reads it, if the table has the key; `None` if it is wrong.
#[expect(clippy::option_option, reason = "absent and wrong are different")]
fn optional<T>(
    reader: &mut Reader<'_>,
    table: &Node,
    key: &str,
    read: fn(&mut Reader<'_>, &KeyValue) -> Option<T>,
) -> Option<Option<T>> {
    match table.get(key) {
        Some(entry) => read(reader, entry).map(Some),
        None => Some(None),
    }
}

/// The ways to name data.
const SOURCES: &str = "path = \"builtin:reviews\", path = \"reviews.csv\", or train, validation and test";

/// Where the documents come from: one file, three files or the generated reviews.
fn source(reader: &mut Reader<'_>, table: &Node) -> Option<Source> {
    let files = SplitName::ALL.map(|name| table.get(name.as_str()));
    match (table.get("path"), files.iter().flatten().next()) {
        (Some(path), Some(file)) => {
            let message = format!("both `path` and `{}` name the data", file.key);
            let help = "keep `path` (one file, divided by `split`), or `train`, `validation` and `test`";
            reader.findings.error(path.key_at, message, help);
            None
        }
        (Some(path), None) => single(reader, table, path),
        (None, Some(_)) => three(reader, table, files),
        (None, None) => {
            reader.findings.error(table.at, "[data] names no file", format!("add {SOURCES}"));
            None
        }
    }
}

/// The source of a `path`.
fn single(reader: &mut Reader<'_>, table: &Node, path: &KeyValue) -> Option<Source> {
    let split = match table.get("split") {
        Some(_) => split(reader, table),
        None => Some(Shares::default()),
    };
    let text = reader.text(path)?;
    if text == REVIEWS {
        return Some(Source::Reviews { split: split? });
    }
    if text.starts_with("builtin:") {
        let message = format!("there is no built-in data `{text}`");
        reader.findings.error(path.node.at, message, format!("the built-in data is \"{REVIEWS}\""));
        return None;
    }
    Some(Source::Single { path: absolute(&text, reader.base(path.node.at)), split: split? })
}

/// The source of `train`, `validation` and `test`.
fn three(reader: &mut Reader<'_>, table: &Node, files: [Option<&KeyValue>; 3]) -> Option<Source> {
    if let Some(split) = table.get("split") {
        let help = "remove it, or give one file as `path`";
        reader.findings.error(split.key_at, "`split` divides one file, but three are given", help);
    }
    let is_folded = folds::are_asked(table);
    let mut names = SplitName::ALL.iter();
    let [train, validation, test] = files.map(|file| {
        let name = names.next().map_or("", |name| name.as_str());
        let Some(entry) = file else {
            if is_folded && name == SplitName::Validation.as_str() {
                return Some(None);
            }
            let message = format!("[data] has no `{name}` file");
            let help = format!("add {name} = \"…\", or give one file as `path` and let it be divided");
            reader.findings.error(table.at, message, help);
            return None;
        };
        reader.text(entry).map(|text| Some(absolute(&text, reader.base(entry.node.at))))
    });
    Some(Source::Files { train: train??, validation: validation?, test: test?? })
}

/// The shares of `split`.
fn split(reader: &mut Reader<'_>, table: &Node) -> Option<Shares> {
    let shares = reader.table(table, "split")?;
    reader.refuse_unknown(shares, Some("data.split"), &SplitName::ALL.map(SplitName::as_str));
    let is_folded = folds::are_asked(table);
    let [train, validation, test] = SplitName::ALL.map(|name| {
        let is_left_out = is_folded && name == SplitName::Validation && shares.get(name.as_str()).is_none();
        if is_left_out { Some(0.0) } else { share(reader, shares, name) }
    });
    let (train, validation, test) = (train?, validation?, test?);
    let sum = train + validation + test;
    if (sum - 1.0).abs() > TOLERANCE {
        let sum = (sum * 1e6).round() / 1e6;
        let message = format!("the shares of `split` sum to {sum}, not to 1");
        let help = "for example split = { train = 0.70, validation = 0.15, test = 0.15 }";
        reader.findings.error(shares.at, message, help);
        return None;
    }
    let (validation, test) = (parts(validation), parts(test));
    let train = Shares::WHOLE.saturating_sub(validation + test);
    Some(Shares { train, validation, test })
}

/// The share of one split, in (0, 1), and large enough to be stored.
fn share(reader: &mut Reader<'_>, split: &Node, name: SplitName) -> Option<f64> {
    let name = name.as_str();
    let Some(entry) = split.get(name) else {
        let help = format!("add {name} = 0.15, or the like; all three must sum to 1");
        reader.findings.error(split.at, format!("`split` has no share for {name}"), help);
        return None;
    };
    let share = match entry.node.content {
        Content::Float(share) => share,
        Content::Int(share) => whole(share),
        _ => f64::NAN,
    };
    if share > 0.0 && share < 1.0 && parts(share) > 0 {
        return Some(share);
    }
    let message = if share == 0.0 {
        format!("a share of 0 leaves the {name} set empty")
    } else {
        format!("the share of {name} must be a number between 0 and 1, not {}", found(&entry.node.content))
    };
    let help = if (2.0..100.0).contains(&share) {
        format!("a share is a part of 1: write {name} = {}", (share * 100.0).round() / 10_000.0)
    } else {
        "validation stops the training and test measures it: all three are needed".to_owned()
    };
    reader.findings.error(entry.node.at, message, help);
    None
}

/// A share in units of 1 / [`Shares::WHOLE`].
fn parts(share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is in (0, 1), so this is in 0..=100,000"
    )]
    let parts = (share * f64::from(Shares::WHOLE)).round() as u32;
    parts
}

/// The name of the column of the texts or the labels; by default the key itself.
fn column(reader: &mut Reader<'_>, table: &Node, name: &str) -> Option<String> {
    match table.get(name) {
        Some(entry) => reader.text(entry),
        None => Some(name.to_owned()),
    }
}

/// The positive label; a number or a truth value is taken as its text, since labels may look like either.
fn positive(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<String> {
    match &entry.node.content {
        Content::Int(int) => Some(int.to_string()),
        Content::Truth(truth) => Some(truth.to_string()),
        Content::Float(float) => Some(float.to_string()),
        _ => reader.text(entry).map(|text| text.trim().to_owned()),
    }
}

/// The name of an encoding.
fn encoding(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<String> {
    let name = reader.text(entry)?.trim().to_lowercase();
    if encoding::named(&name).is_none() {
        let help =
            "for example \"gb18030\", \"big5\", \"shift_jis\", \"euc-kr\", \"windows-1252\" or \"utf-16le\"";
        reader.findings.error(entry.node.at, format!("there is no encoding `{name}`"), help);
        return None;
    }
    Some(name)
}

/// The average that counts.
fn average(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<Average> {
    let averages = Average::ALL.map(|average| (average.as_str(), average));
    choice(reader, entry, &averages, "\"macro\" counts every class alike, \"weighted\" by its documents")
}

/// The limits of the splits.
fn limit(reader: &mut Reader<'_>, table: &Node) -> Option<Limit> {
    if table.get("limit").is_none() {
        return Some(Limit::default());
    }
    let limits = reader.table(table, "limit")?;
    reader.refuse_unknown(limits, Some("data.limit"), &SplitName::ALL.map(SplitName::as_str));
    let [train, validation, test] = SplitName::ALL.map(|name| {
        let Some(entry) = limits.get(name.as_str()) else { return Some(None) };
        let limit = match entry.node.content {
            Content::Int(limit) => usize::try_from(limit).ok().filter(|limit| *limit > 0),
            _ => None,
        };
        if limit.is_none() {
            let found = found(&entry.node.content);
            let message = format!("the limit of {name} must be a whole number of at least 1, not {found}");
            reader.findings.error(entry.node.at, message, "it is the largest number of documents kept");
        }
        limit.map(Some)
    });
    Some(Limit { train: train?, validation: validation?, test: test? })
}
