//! The `[executor]` section: where trials run, and what a cluster is asked for.

use std::time::Duration;

use super::{
    document::{Content, KeyValue, Node},
    reader::{Reader, choice, found, whole_number},
    sweep::ExecutorSpec,
};
use crate::{
    byte_size::ByteSize,
    policy::{parse_time, spell_time},
    slurm::{
        self, CPUS_MAX, JOBS_MAX, KEYS, LOST_AFTER_MIN, Mode, POLL_MIN, SlurmOptions, TIME_MIN, gpus_of_words,
    },
};

/// The kinds of executor.
const KINDS: [(&str, Kind); 2] = [("local", Kind::Local), ("slurm", Kind::Slurm)];
/// The texts that Slurm gets as they are, each with an example.
const NAMES: [(&str, &str); 4] =
    [("partition", "gpu"), ("account", "nlp"), ("qos", "high"), ("constraint", "avx512&ib")];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Slurm,
}

/// Reads the section; a wrong value is reported, and replaced by its default.
pub(super) fn read(reader: &mut Reader<'_>) -> ExecutorSpec {
    let root = reader.root;
    let Some(table) = reader.table(root, "executor") else { return ExecutorSpec::Local };
    reader.refuse_unknown(table, Some("executor"), &KEYS);
    let help = "\"local\" runs trials on this machine, \"slurm\" on a cluster";
    let written = table.get("kind");
    let kind = match written.map(|entry| choice(reader, entry, &KINDS, help)) {
        Some(Some(kind)) => kind,
        None => Kind::Local,
        // It was reported, and nothing follows from it.
        Some(None) => Kind::Slurm,
    };
    let options = options(reader, table);
    if kind == Kind::Slurm {
        return ExecutorSpec::Slurm(Box::new(options));
    }
    refuse_keys_of_slurm(reader, table, written);
    ExecutorSpec::Local
}

/// Reports the keys that mean nothing to a run on this machine. Where an override has chosen this machine, those of the
/// file stay for the next run on the cluster.
fn refuse_keys_of_slurm(reader: &mut Reader<'_>, table: &Node, kind: Option<&KeyValue>) {
    let Content::Table(entries) = &table.content else { return };
    let is_overridden = kind.is_some_and(|kind| kind.node.at.source != 0);
    let of_slurm = entries.iter().filter(|entry| entry.key != "kind" && KEYS.contains(&entry.key.as_str()));
    for entry in of_slurm.filter(|entry| !is_overridden || entry.node.at.source != 0) {
        let message =
            format!("`{}` says how a cluster is used, and this sweep runs on this machine", entry.key);
        let help = "write kind = \"slurm\" in [executor], or remove the key; --devices says what runs here";
        reader.findings.error(entry.key_at, message, help);
    }
}

/// Reads all keys but `kind`.
fn options(reader: &mut Reader<'_>, table: &Node) -> SlurmOptions {
    let mut options = SlurmOptions::default();
    if let Some(entry) = table.get("mode") {
        let help = "\"pilot\" jobs pull one trial after another; with \"job-per-trial\" each trial is a job";
        options.mode = choice(reader, entry, &Mode::NAMES, help).unwrap_or_default();
    }
    counts(reader, table, &mut options);
    for (name, example) in NAMES {
        let value = table.get(name).and_then(|entry| word(reader, entry, example));
        match name {
            "partition" => options.partition = value,
            "account" => options.account = value,
            "qos" => options.qos = value,
            _ => options.constraint = value,
        }
    }
    options.gpus = table.get("gpus").and_then(|entry| gpus(reader, entry));
    options.memory = table.get("memory").and_then(|entry| memory(reader, entry));
    options.time = table.get("time").and_then(|entry| time(reader, entry, TIME_MIN, "2h"));
    for (name, min, example, time_of) in [
        ("poll", POLL_MIN, "15s", &mut options.poll),
        ("lost_after", LOST_AFTER_MIN, "2min", &mut options.lost_after),
    ] {
        if let Some(read) = table.get(name).and_then(|entry| time(reader, entry, min, example)) {
            *time_of = read;
        }
    }
    if let Some(entry) = table.get("extra") {
        options.extra = extra(reader, entry, table);
    }
    if let Some(entry) = table.get("setup") {
        let example = "setup = [\"module load cuda\"]";
        options.setup =
            texts(reader, entry, example).into_iter().filter_map(|node| setup(reader, node)).collect();
    }
    options
}

/// Reads how many there are of each.
fn counts(reader: &mut Reader<'_>, table: &Node, options: &mut SlurmOptions) {
    let mut count = |name: &str, max: u32, help: &str| {
        let read = |entry| whole_number(reader, entry, 1, max, help).map(|number| number as usize);
        table.get(name).and_then(read)
    };
    options.workers = count("workers", JOBS_MAX, "it is how many workers there are at once, each a job");
    options.cpus = count("cpus", CPUS_MAX, "it is how many processors a job has").unwrap_or(options.cpus);
    let waiting = count("pending", JOBS_MAX, "it is how many jobs wait in the queue at once, at most");
    options.pending_max = waiting.unwrap_or(options.pending_max);
}

/// A text that Slurm gets as it is: one word.
fn word(reader: &mut Reader<'_>, entry: &KeyValue, example: &str) -> Option<String> {
    let text = match &entry.node.content {
        Content::Text(text)
            if !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            return Some(text.clone());
        }
        other => found(other),
    };
    let key = &entry.key;
    let message = format!("`{key}` must be one word, not {text}");
    let help = match &entry.node.content {
        Content::List(nodes) if key == "partition" => {
            let names: Vec<&str> = nodes
                .iter()
                .filter_map(|node| match &node.content {
                    Content::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            format!("write several in one text, as sbatch takes them: {key} = \"{}\"", names.join(","))
        }
        _ => format!("it is what sbatch gets as --{key}, for example {key} = \"{example}\""),
    };
    reader.findings.error(entry.node.at, message, help);
    None
}

/// GPUs of a job: `1`, `"1"` or `"a100:2"`.
fn gpus(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<String> {
    let written = match &entry.node.content {
        Content::Text(text) => text.clone(),
        Content::Int(number) => number.to_string(),
        _ => String::new(),
    };
    if let Some(gpus) = gpus_of_words(&written) {
        return Some(gpus);
    }
    let message = format!(
        "`gpus` must be a number from 1 to 64, or a kind with one, not {}",
        found(&entry.node.content)
    );
    let bare = written.trim_start_matches("gres:").trim_start_matches("gpu:");
    let help = match gpus_of_words(bare).or_else(|| gpus_of_words(&format!("{bare}:1"))) {
        Some(meant) => format!("write gpus = \"{meant}\""),
        None if written == "0" => "for jobs without a GPU, remove the key".to_owned(),
        None => "write gpus = \"1\", or gpus = \"a100:2\" for two of a kind".to_owned(),
    };
    reader.findings.error(entry.node.at, message, help);
    None
}

/// The memory of a job.
fn memory(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<ByteSize> {
    let help = match &entry.node.content {
        Content::Text(text) => match (ByteSize::parse(text), ByteSize::parse(&format!("{}B", text.trim()))) {
            (Some(size), _) => return Some(size),
            (None, Some(_)) => format!("write it with the whole unit: memory = \"{}B\"", text.trim()),
            (None, None) => "sizes are written as \"500MB\", \"16GB\" or \"1.5GB\"".to_owned(),
        },
        Content::Int(number @ 1..) => format!("write it with its unit, in quotes: memory = \"{number}GB\""),
        _ => "write it as a text: memory = \"16GB\"".to_owned(),
    };
    let message = format!("`memory` must be a size such as \"16GB\", not {}", found(&entry.node.content));
    reader.findings.error(entry.node.at, message, help);
    None
}

/// A time of at least `min`.
fn time(reader: &mut Reader<'_>, entry: &KeyValue, min: Duration, example: &str) -> Option<Duration> {
    let key = &entry.key;
    let help = match &entry.node.content {
        Content::Text(text) => match (parse_time(text), humantime::parse_duration(text), clock(text)) {
            (Some(time), ..) if time >= min => return Some(time),
            (Some(_), ..) | (None, Ok(_), _) => {
                format!("it must lie between \"{}\" and \"10years\"", spell_time(min))
            }
            (None, Err(_), Some(time)) => format!("write {key} = \"{}\"", spell_time(time)),
            (None, Err(_), None) => {
                "times are written as \"90s\", \"5min\", \"1h\" or \"1h 30min\"".to_owned()
            }
        },
        Content::Int(number @ 1..) => format!("write it with its unit, in quotes: {key} = \"{number}min\""),
        _ => format!("write it as a text: {key} = \"{example}\""),
    };
    let message = format!("`{key}` must be a time such as \"{example}\", not {}", found(&entry.node.content));
    reader.findings.error(entry.node.at, message, help);
    None
}

/// A time as Slurm writes it: `1-12:00:00`, `2:00:00` or `90:00`.
fn clock(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u32>().ok()?, rest),
        None => (0, text),
    };
    let parts: Vec<u64> =
        rest.split(':').map(|part| part.parse::<u32>().ok().map(u64::from)).collect::<Option<_>>()?;
    let seconds = match *parts.as_slice() {
        [hours, minutes, seconds] => (hours * 60 + minutes) * 60 + seconds,
        // Slurm takes the first of two for hours behind days, and for minutes without.
        [hours, minutes] if days > 0 => (hours * 60 + minutes) * 60,
        [minutes, seconds] => minutes * 60 + seconds,
        [hours] if days > 0 => hours * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(u64::from(days) * 86_400 + seconds)).filter(|time| *time >= TIME_MIN)
}

/// The texts of a list; `example` is one.
fn texts<'n>(reader: &mut Reader<'_>, entry: &'n KeyValue, example: &str) -> Vec<&'n Node> {
    let Content::List(nodes) = &entry.node.content else {
        let message = format!("`{}` must be a list of texts, not {}", entry.key, found(&entry.node.content));
        let help = match &entry.node.content {
            Content::Text(text) => format!("write {} = [{}]", entry.key, toml::Value::String(text.clone())),
            _ => format!("for example {example}"),
        };
        reader.findings.error(entry.node.at, message, help);
        return Vec::new();
    };
    let (good, wrong): (Vec<_>, Vec<_>) = nodes
        .iter()
        .partition(|node| matches!(&node.content, Content::Text(text) if !text.trim().is_empty()));
    for node in wrong {
        let message =
            format!("`{}` must have texts that are not empty, not {}", entry.key, found(&node.content));
        reader.findings.error(node.at, message, format!("for example {example}"));
    }
    good
}

/// Further options of sbatch.
fn extra(reader: &mut Reader<'_>, entry: &KeyValue, table: &Node) -> Vec<String> {
    let mut options = Vec::new();
    for node in texts(reader, entry, "extra = [\"--exclude=n7\"]") {
        let Content::Text(text) = &node.content else { continue };
        let conflict = [("--gres=", "gpus"), ("--gpus=", "gpus"), ("--mem-per-", "memory")]
            .into_iter()
            .find(|(start, key)| text.starts_with(start) && table.get(key).is_some());
        let help = match conflict {
            _ if text.contains(|c: char| c.is_control()) => "an option stands on one line".to_owned(),
            Some((_, key)) => format!("it and `{key}` exclude each other: keep one of them"),
            None => {
                let Some(why) = slurm::refusal(text) else {
                    options.push(text.clone());
                    continue;
                };
                why.to_owned()
            }
        };
        let message = format!("`extra` cannot have {}", found(&node.content));
        reader.findings.error(node.at, message, help);
    }
    options
}

/// A line of shell.
fn setup(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let Content::Text(text) = &node.content else { return None };
    if text.trim_start().starts_with("#SBATCH") {
        let help = "Slurm does not read it there; put the option into `extra`";
        reader.findings.error(node.at, "`setup` cannot have a line for sbatch", help);
        return None;
    }
    if text.contains('\0') {
        reader.findings.error(node.at, "`setup` cannot have a null character", "remove it");
        return None;
    }
    Some(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_slurm_is_understood_for_advice() {
        for (text, seconds) in [
            ("02:00:00", 7200),
            ("90:00", 5400),
            ("1-12:00:00", 129_600),
            ("1-12", 129_600),
            ("2-00:30", 174_600),
        ] {
            assert_eq!(clock(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "90", "1:2:3:4", "a:b", "0:10", "-1:00", "99999999999:00"] {
            assert_eq!(clock(text), None, "{text}");
        }
    }
}
