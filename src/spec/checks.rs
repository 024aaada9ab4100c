//! What the settings of a spec must not say together.

use super::{
    Domain,
    section::{Draft, Reader},
};
use crate::settings::{LongText, Value};

/// More trials than anybody means to plan.
const MOST_TRIALS: u64 = 10_000;

/// Tokens of a chunk that are not text: the first and the last.
const SPECIAL_TOKENS: i64 = 2;

/// Checks the combinations that every trial's settings come from.
pub(super) fn check(reader: &mut Reader<'_>, draft: &Draft) {
    samples(reader, draft);
    trials(reader, draft);
    stride(reader, draft);
}

/// Draws need a range, and a range needs to know how many.
fn samples(reader: &mut Reader<'_>, draft: &Draft) {
    let range = draft.space.iter().find(|parameter| parameter.domain.is_range());
    let samples = reader.root.find("search.samples");
    match (range, samples) {
        (Some(range), None) => {
            let at = reader.root.place(&format!("search.space.{}", range.name));
            let message =
                format!("`{}` is drawn from a range, but `samples` does not say how often", range.name);
            reader.findings.error(at, message, "add samples = 12, or the like, to [search]");
        }
        (None, Some(node)) if draft.samples > 1 && reader.findings.is_clean() => {
            let message = "`samples` counts draws from ranges, and no parameter has a range";
            let help = "every grid cell is run once; for several seeds of each, set `repeats`";
            reader.findings.warn(node.at, message, help);
        }
        _ => {}
    }
}

fn trials(reader: &mut Reader<'_>, draft: &Draft) {
    let mut trials = u64::from(draft.repeats);
    let mut ranged = false;
    for parameter in &draft.space {
        match &parameter.domain {
            Domain::Grid(values) => trials = trials.saturating_mul(values.len() as u64),
            Domain::Uniform(..) | Domain::LogUniform(..) | Domain::Int(..) => ranged = true,
        }
    }
    if ranged {
        trials = trials.saturating_mul(u64::from(draft.samples));
    }
    if trials > MOST_TRIALS {
        let message = format!("this search makes {trials} trials, more than {MOST_TRIALS}");
        let help = "list fewer grid values; draws from ranges find good settings with fewer trials";
        reader.findings.error(reader.root.place("search.space"), message, help);
    }
}

/// A chunk must bring at least one token that its neighbour lacks.
fn stride(reader: &mut Reader<'_>, draft: &Draft) {
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
    let said = draft.chosen.iter().any(|chosen| chosen.key.name == "chunk_stride");
    let default = if said { "" } else { " (the default)" };
    let message = format!(
        "a `chunk_stride` of {stride}{default} leaves nothing new in chunks of {length} tokens, \
         {SPECIAL_TOKENS} of them special",
    );
    let help = format!("set `chunk_stride` in [text] below {room}, or lengthen the chunks");
    reader.findings.error(if said { stride_at } else { length_at }, message, help);
}
