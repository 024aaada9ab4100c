//! Notes of a dry run about the training texts: how many are long, and how well the tokenizer fits them.

use std::collections::BTreeSet;

use super::exit::Stop;
use crate::{
    checkpoint::Checkpoint,
    data::{Dataset, SplitName},
    display::plain,
    error_chain::chain,
    plan::Plan,
    progress::UNKNOWN_SHARE_MAX,
    settings::Lowercase,
    train::{Chunking, TextEncoder, TextError},
};

/// A note about the training texts for each tokenizer and chunk length of the plan.
///
/// # Errors
/// When a text cannot be tokenised: every trial would fail at it.
pub(super) fn notes(plan: &Plan, dataset: &Dataset) -> Result<Vec<String>, Stop> {
    let texts: Vec<&str> = dataset.train.iter().map(|document| document.text.as_str()).collect();
    let settings = plan.trials.iter().map(|trial| &trial.settings);
    let kinds: BTreeSet<(&Checkpoint, &str, usize)> = settings
        .map(|settings| (&settings.checkpoint, settings.lowercase.as_str(), settings.chunk_length))
        .collect();
    let note = |(checkpoint, lowercase, length)| {
        let lowercase = Lowercase::parse(lowercase).unwrap_or(Lowercase::Tokenizer);
        let failed = |error: TextError| {
            let error = error.in_rows(SplitName::Train, |index| Some(dataset.train.get(index)?.id));
            Stop::usage(plain(&format!("the texts cannot be tokenised: {}{}", chain(&error), error.advice())))
        };
        note(checkpoint, lowercase, length, &texts).map_err(failed)
    };
    kinds.into_iter().map(note).collect()
}

/// The note for one tokenizer and chunk length.
fn note(
    checkpoint: &Checkpoint,
    lowercase: Lowercase,
    length: usize,
    texts: &[&str],
) -> Result<String, TextError> {
    let chunked = TextEncoder::open(checkpoint, lowercase)?.chunk(texts, Chunking::whole(length))?;
    let long = chunked.iter().filter(|text| text.is_long).count();
    let tokens: usize = chunked.iter().map(|text| text.tokens).sum();
    let unknown: usize = chunked.iter().map(|text| text.unknown).sum();
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^53")]
    let share = unknown as f64 / tokens.max(1) as f64;
    let warning = if share > UNKNOWN_SHARE_MAX {
        "; that is much: does this tokenizer fit the language and the case of the texts?"
    } else {
        ""
    };
    Ok(format!(
        "{long} of {} training texts are longer than a chunk of {length} tokens; {:.1} % of their tokens are \
         unknown to the tokenizer{warning}",
        texts.len(),
        share * 100.0,
    ))
}
