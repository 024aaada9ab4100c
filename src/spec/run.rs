//! The `[run]` section.

use std::{num::NonZeroUsize, time::Duration};

use super::{
    document::{Content, KeyValue, Node},
    reader::{Reader, found},
};
use crate::{
    byte_size::{self, ByteSize},
    nearest::nearest,
    policy::{self, CheckpointEvery, Fuse, Keep, Policy, RETRIES_MAX, Retries, TrialsPerGpu, parse_time},
};

/// Reads the section; a wrong value is reported, and replaced by its default.
pub(super) fn read(reader: &mut Reader<'_>) -> Policy {
    let mut policy = Policy::default();
    let root = reader.root;
    let Some(table) = reader.table(root, "run") else { return policy };
    reader.refuse_unknown(table, Some("run"), &policy::KEYS);
    if let Some(every) = table.get("checkpoint_every").and_then(|entry| checkpoint_every(reader, entry)) {
        policy.checkpoint_every = every;
    }
    if let Some(keep) = table.get("keep").and_then(|entry| keep(reader, entry)) {
        policy.keep = keep;
    }
    if let Some(reuse) = table.get("reuse").and_then(|entry| truth(reader, entry)) {
        policy.reuse = reuse;
    }
    if let Some(entry) = table.get("cache") {
        let is_none = matches!(&entry.node.content, Content::Text(text) if text == byte_size::NONE);
        policy.cache = if is_none { None } else { size(reader, entry).or(policy.cache) };
    }
    if let Some(fuse) = table.get("fuse").and_then(|entry| fuse(reader, entry)) {
        policy.fuse = fuse;
    }
    if let Some(number) = table.get("trials_per_gpu").and_then(|entry| trials_per_gpu(reader, entry)) {
        policy.trials_per_gpu = number;
    }
    for (name, limit) in
        [("start_up_limit", &mut policy.start_up_limit), ("stall_limit", &mut policy.stall_limit)]
    {
        if let Some(time) = table.get(name).and_then(|entry| time(reader, entry, "a time such as \"5min\"")) {
            *limit = time;
        }
    }
    if let Some(entry) = table.get("time_limit") {
        let is_none = matches!(&entry.node.content, Content::Text(text) if text == policy::NONE);
        if !is_none {
            policy.time_limit = time(reader, entry, "\"none\", or a time such as \"2h\"");
        }
    }
    retries(reader, table, &mut policy.retries);
    policy
}

/// A time, or a number of steps.
fn checkpoint_every(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<CheckpointEvery> {
    if let Content::Int(steps) = entry.node.content
        && let Ok(steps @ 1..) = u64::try_from(steps)
    {
        return Some(CheckpointEvery::Steps(steps));
    }
    time(reader, entry, "a time such as \"5min\", or a number of steps").map(CheckpointEvery::Time)
}

/// The trials whose parameters are kept.
fn keep(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<Keep> {
    let words = [Keep::ALL, Keep::BEST_OF_SWEEP];
    let keep = match &entry.node.content {
        Content::Text(text) if text == Keep::ALL => Some(Keep::All),
        Content::Text(text) if text == Keep::BEST_OF_SWEEP => Some(Keep::BestOfSweep),
        Content::Int(count) => usize::try_from(*count).ok().and_then(NonZeroUsize::new).map(Keep::Best),
        _ => None,
    };
    if keep.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`keep` must be \"all\", \"best-of-sweep\" or a number of trials, not {found}");
        let near = match &entry.node.content {
            Content::Text(text) => nearest(text, words),
            _ => None,
        };
        let help = near.map_or_else(
            || "it says whose parameters stay; keep = 3 keeps those of the best three trials".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        reader.findings.error(entry.node.at, message, help);
    }
    keep
}

/// How many trials are trained together.
fn fuse(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<Fuse> {
    let fuse = match &entry.node.content {
        Content::Text(text) => Fuse::of_word(text),
        Content::Int(count) => usize::try_from(*count).ok().and_then(NonZeroUsize::new).map(Fuse::Groups),
        _ => None,
    };
    if fuse.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`fuse` must be \"auto\", \"off\" or a number of trials, not {found}");
        let near = match &entry.node.content {
            Content::Text(text) => nearest(text, [Fuse::AUTO, Fuse::OFF]),
            _ => None,
        };
        let help = near.map_or_else(
            || {
                "it says how many trials are trained together; fuse = 8 trains up to eight as one model"
                    .to_owned()
            },
            |near| format!("did you mean \"{near}\"?"),
        );
        reader.findings.error(entry.node.at, message, help);
    }
    fuse
}

/// Trials that a GPU has at once.
fn trials_per_gpu(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<TrialsPerGpu> {
    let number = match &entry.node.content {
        Content::Text(text) if text == TrialsPerGpu::AUTO => Some(TrialsPerGpu::Auto),
        Content::Int(number) => u64::try_from(*number).ok().and_then(TrialsPerGpu::count),
        _ => None,
    };
    if number.is_none() {
        let (max, found) = (TrialsPerGpu::MAX, found(&entry.node.content));
        let message = format!("`trials_per_gpu` must be \"auto\", or a number from 1 to {max}, not {found}");
        let help = "it is how many trials a GPU has at once; with \"auto\" as many as fit into its memory";
        reader.findings.error(entry.node.at, message, help);
    }
    number
}

/// `true` or `false`.
fn truth(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<bool> {
    if let Content::Truth(truth) = entry.node.content {
        return Some(truth);
    }
    let message = format!("`{}` must be true or false, not {}", entry.key, found(&entry.node.content));
    let help = "with true, complete trials of other sweeps are taken over where they are the same";
    reader.findings.error(entry.node.at, message, help);
    None
}

/// A size such as `"4GB"`.
fn size(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<ByteSize> {
    let help = match &entry.node.content {
        Content::Text(text) => match ByteSize::parse(text) {
            Some(size) => return Some(size),
            None => "sizes are written as \"500MB\", \"4GB\" or \"1.5GB\"".to_owned(),
        },
        Content::Int(number @ 1..) => format!("write it with its unit, in quotes: cache = \"{number}GB\""),
        _ => "write it as a text: cache = \"4GB\"".to_owned(),
    };
    let found = found(&entry.node.content);
    let message = format!("`cache` must be \"none\", or a size such as \"4GB\", not {found}");
    reader.findings.error(entry.node.at, message, help);
    None
}

/// A time such as `"5min"`; `expected` describes the values of the key, for the message.
fn time(reader: &mut Reader<'_>, entry: &KeyValue, expected: &str) -> Option<Duration> {
    let key = &entry.key;
    let help = match &entry.node.content {
        Content::Text(text) => match (parse_time(text), humantime::parse_duration(text)) {
            (Some(time), _) => return Some(time),
            (None, Ok(_)) => "it must lie between \"1s\" and \"10years\"".to_owned(),
            (None, Err(_)) => "times are written as \"90s\", \"5min\", \"1h\" or \"1h 30min\"".to_owned(),
        },
        Content::Int(number @ 1..) => format!("write it with its unit, in quotes: {key} = \"{number}s\""),
        _ => format!("write it as a text: {key} = \"5min\""),
    };
    let message = format!("`{key}` must be {expected}, not {}", found(&entry.node.content));
    reader.findings.error(entry.node.at, message, help);
    None
}

/// Reads `[run.retries]` into `retries`.
fn retries(reader: &mut Reader<'_>, run: &Node, retries: &mut Retries) {
    let Some(KeyValue { node: table, .. }) = run.get("retries") else { return };
    if !matches!(table.content, Content::Table(_)) {
        let message = format!("`retries` must be a table, not {}", found(&table.content));
        let help = "write retries.signal = 3, or [run.retries] on a line of its own and the kinds below it";
        return reader.findings.error(table.at, message, help);
    }
    reader.refuse_unknown(table, Some("run.retries"), &Retries::KEYS);
    for name in Retries::KEYS {
        let (Some(entry), Some(number)) = (table.get(name), retries.entry(name)) else { continue };
        let count = match entry.node.content {
            Content::Int(count) => u32::try_from(count).ok().filter(|count| *count <= RETRIES_MAX),
            _ => None,
        };
        if let Some(count) = count {
            *number = count;
        } else {
            let found = found(&entry.node.content);
            let message = format!("`{name}` must be a whole number from 0 to {RETRIES_MAX}, not {found}");
            let help = "it is the number of further attempts after a failure of this kind";
            reader.findings.error(entry.node.at, message, help);
        }
    }
}
