//! Notes of a dry run about the training texts: how many are long, and how well the tokenizer fits them.

use std::collections::BTreeSet;

use super::exit::Stop;
use crate::{
    checkpoint::Checkpoint,
    data::{self, DataSpec, Dataset, SplitName, TextWindows},
    display::plain,
    error_chain::chain,
    numbers::count,
    plan::Plan,
    progress::UNKNOWN_SHARE_MAX,
    settings::Lowercase,
    train::{Chunking, TextEncoder},
};

/// A note about the training texts for each tokenizer and chunk length of the plan.
///
/// # Errors
/// When a text cannot be tokenised: every trial would fail at it.
pub(super) fn notes(plan: &Plan, dataset: &Dataset) -> Result<Vec<String>, Stop> {
    let settings = plan.trials.iter().map(|trial| &trial.settings);
    let kinds: BTreeSet<(&Checkpoint, &str, usize)> = settings
        .map(|settings| (&settings.checkpoint, settings.lowercase.as_str(), settings.chunk_length))
        .collect();
    let failed = |error: String| Stop::usage(plain(&format!("the texts cannot be tokenised: {error}")));
    let note = |(checkpoint, lowercase, length)| {
        let lowercase = Lowercase::parse(lowercase).unwrap_or(Lowercase::Tokenizer);
        let encoder = TextEncoder::open(checkpoint, lowercase).map_err(|error| failed(chain(&error)))?;
        let counts = Counts::of(&encoder, length, &plan.data, dataset).map_err(failed)?;
        Ok(counts.note(length))
    };
    kinds.into_iter().map(note).collect()
}

/// What a tokenizer makes of texts.
#[derive(Default)]
struct Counts {
    texts: usize,
    /// Texts that are longer than a chunk.
    long: usize,
    tokens: usize,
    unknown: usize,
}

impl Counts {
    /// The counts of the training texts, in chunks of `length` tokens.
    fn of(encoder: &TextEncoder, length: usize, spec: &DataSpec, dataset: &Dataset) -> Result<Self, String> {
        let documents = dataset.train.iter().copied();
        let texts = data::texts(spec, &dataset.dialects, SplitName::Train, documents);
        let mut counts = Self::default();
        for window in TextWindows::new(texts.map_err(|error| chain(&error))?) {
            let window = window.map_err(|error| chain(&error))?;
            let texts: Vec<&str> = window.iter().map(|(_, text)| text.as_str()).collect();
            let id = |index: usize| Some(window.get(index)?.0.id as usize);
            let chunked = encoder.chunk(&texts, Chunking::whole(length));
            let chunked = chunked.map_err(|error| {
                let error = error.in_rows(SplitName::Train, id);
                format!("{}{}", chain(&error), error.advice())
            })?;
            counts.texts += texts.len();
            counts.long += chunked.iter().filter(|text| text.is_long).count();
            counts.tokens += chunked.iter().map(|text| text.tokens).sum::<usize>();
            counts.unknown += chunked.iter().map(|text| text.unknown).sum::<usize>();
        }
        Ok(counts)
    }

    fn note(&self, length: usize) -> String {
        let Self { texts, long, tokens, unknown } = self;
        let share = count(*unknown) / count((*tokens).max(1));
        let warning = if share > UNKNOWN_SHARE_MAX {
            "; that is much: does this tokenizer fit the language and the case of the texts?"
        } else {
            ""
        };
        format!(
            "{long} of {texts} training texts are longer than a chunk of {length} tokens; {:.1} % of their tokens are \
             unknown to the tokenizer{warning}",
            share * 100.0,
        )
    }
}
