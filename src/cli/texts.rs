//! Notes of a dry run about the training texts: how many are long, and how well the tokenizer fits them.

use std::collections::BTreeSet;

use crate::{
    checkpoint::Checkpoint,
    data::Dataset,
    error_chain::chain,
    plan::Plan,
    progress::UNKNOWN_SHARE_MAX,
    settings::Lowercase,
    train::{Chunking, TextEncoder},
};

/// A note about the training texts for each tokenizer and chunk length of the plan.
pub(super) fn notes(plan: &Plan, dataset: &Dataset) -> Vec<String> {
    let texts: Vec<&str> = dataset.train.iter().map(|document| document.text.as_str()).collect();
    let settings = plan.trials.iter().map(|trial| &trial.settings);
    let kinds: BTreeSet<(&Checkpoint, &str, usize)> = settings
        .map(|settings| (&settings.checkpoint, settings.lowercase.as_str(), settings.chunk_length))
        .collect();
    let note = |(checkpoint, lowercase, length)| {
        let lowercase = Lowercase::parse(lowercase).unwrap_or(Lowercase::Tokenizer);
        note(checkpoint, lowercase, length, &texts)
    };
    kinds.into_iter().map(note).collect()
}

/// The note for one tokenizer and chunk length.
fn note(checkpoint: &Checkpoint, lowercase: Lowercase, length: usize, texts: &[&str]) -> String {
    let encoder = TextEncoder::open(checkpoint, lowercase);
    let chunked = match encoder.and_then(|encoder| encoder.chunk(texts, Chunking::whole(length))) {
        Ok(chunked) => chunked,
        Err(error) => return format!("texts cannot be tokenised: {}", chain(&error)),
    };
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
    format!(
        "{long} of {} training texts are longer than a chunk of {length} tokens; {:.1} % of their tokens are \
         unknown to the tokenizer{warning}",
        texts.len(),
        share * 100.0,
    )
}
