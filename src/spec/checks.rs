//! Combinations of settings that contradict each other.

use super::{
    document::Content,
    draft::SpecDraft,
    reader::Reader,
    sweep::{Domain, RangeSampler},
};
use crate::settings::{LongText, Value};

/// Trials of a sweep; nobody means to plan more.
const TRIALS_MAX: u64 = 10_000;

/// Special tokens of a chunk: the first (CLS) and the last (SEP).
const SPECIAL_TOKENS: i64 = 2;

/// Checks the settings and the search space of `draft` together.
pub(super) fn check(reader: &mut Reader<'_>, draft: &SpecDraft) {
    samples(reader, draft);
    trials(reader, draft);
    stride(reader, draft);
}

/// A range needs `samples`, and `samples` needs a range.
fn samples(reader: &mut Reader<'_>, draft: &SpecDraft) {
    let range = draft.space.iter().find(|parameter| parameter.domain.is_range());
    let samples = reader.root.find("search.samples");
    let is_counted =
        ["search.trials", "search.budget"].into_iter().any(|key| reader.root.find(key).is_some());
    // Said already, by what that search needs.
    if is_counted || draft.sampler == RangeSampler::Tpe {
        return;
    }
    match (range, samples) {
        (Some(range), None) => {
            let at = reader.root.place(&format!("search.space.{}", range.name));
            let message =
                format!("`{}` is drawn from a range, but `samples` does not say how often", range.name);
            // A table that holds nothing but [search.space] has most likely no line [search].
            let has_line = matches!(reader.root.find("search").map(|search| &search.content),
                Some(Content::Table(entries)) if entries.len() > 1);
            let help = if has_line {
                "add samples = 12, or the like, to [search]"
            } else {
                "add a line [search], and below it samples = 12, or the like"
            };
            reader.findings.error(at, message, help);
        }
        (None, Some(node)) if draft.samples > 1 && reader.findings.is_clean() => {
            let message = "`samples` counts draws from ranges, and no parameter has a range";
            let help = "every grid cell is run once; for several seeds of each, set `repeats`";
            reader.findings.warn(node.at, message, help);
        }
        _ => {}
    }
}

/// A search must not have more than 10,000 trials, those that confirm the best included.
fn trials(reader: &mut Reader<'_>, draft: &SpecDraft) {
    let folds = folds(draft);
    if draft.search.trials.is_some() || draft.search.budget.is_some() {
        let trials = trials_of(draft, u64::from(draft.search.trials.unwrap_or(1)));
        if trials > TRIALS_MAX {
            let message = format!("this search makes {trials} trials, more than {TRIALS_MAX}");
            let help = if folds > 1 {
                "lower `trials` or `repeats` in [search], or `folds` in [data]"
            } else {
                "lower `trials` or `repeats` in [search]"
            };
            reader.findings.error(reader.root.place("search.trials"), message, help);
        }
        return;
    }
    let (mut configurations, mut ranged) = (1_u64, false);
    for parameter in &draft.space {
        match &parameter.domain {
            Domain::Grid(values) => configurations = configurations.saturating_mul(values.len() as u64),
            Domain::Uniform(..) | Domain::LogUniform(..) | Domain::Int(..) => ranged = true,
        }
    }
    if ranged {
        configurations = configurations.saturating_mul(u64::from(draft.samples));
    }
    let trials = trials_of(draft, configurations);
    if trials > TRIALS_MAX {
        let message = format!("this search makes {trials} trials, more than {TRIALS_MAX}");
        let help = if folds > 1 {
            "list fewer grid values, or lower `folds`; draws from ranges find good settings with fewer trials"
        } else {
            "list fewer grid values; draws from ranges find good settings with fewer trials"
        };
        reader.findings.error(reader.root.place("search.space"), message, help);
    }
}

/// The folds of each seed of a configuration; 1 without folds.
fn folds(draft: &SpecDraft) -> u32 {
    draft.data.as_ref().and_then(|data| data.folds).unwrap_or(1)
}

/// The trials of so many configurations, those that confirm the best included.
fn trials_of(draft: &SpecDraft, configurations: u64) -> u64 {
    let whole = usize::try_from(configurations).unwrap_or(usize::MAX);
    let confirming = draft.search.confirm.map_or(0, |confirm| confirm.trials_max(whole));
    let each = u64::from(draft.repeats) * u64::from(folds(draft));
    configurations.saturating_mul(each).saturating_add(confirming as u64)
}

/// Each chunk must have at least one token that its predecessor lacks.
fn stride(reader: &mut Reader<'_>, draft: &SpecDraft) {
    let chunked = Value::Text(LongText::Chunk.as_str().to_owned());
    if !draft.values("long", reader.root).iter().any(|(value, _)| *value == chunked) {
        return;
    }
    let whole = |name| {
        draft.values(name, reader.root).into_iter().filter_map(|(value, at)| match value {
            Value::Int(int) => Some((int, at)),
            Value::Float(_) | Value::Text(_) => None,
        })
    };
    let longest = whole("chunk_stride").max_by_key(|(stride, _)| *stride);
    let shortest = whole("chunk_length").min_by_key(|(length, _)| *length);
    let (Some((stride, stride_at)), Some((length, length_at))) = (longest, shortest) else { return };
    let room = length - SPECIAL_TOKENS;
    if stride < room {
        return;
    }
    let is_chosen = draft.chosen.iter().any(|chosen| chosen.key.name == "chunk_stride");
    let default = if is_chosen { "" } else { " (the default)" };
    let message = format!(
        "a `chunk_stride` of {stride}{default} leaves nothing new in chunks of {length} tokens, \
         {SPECIAL_TOKENS} of them special",
    );
    let help = format!("set `chunk_stride` in [text] below {room}, or lengthen the chunks");
    reader.findings.error(if is_chosen { stride_at } else { length_at }, message, help);
}
