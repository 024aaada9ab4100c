//! The test documents for which two trials predict different classes, with their texts.

use serde::Serialize;

use super::side::Side;
use crate::{
    data::{self, Document, SplitName},
    error_chain::chain,
    fingerprint::DataDigests,
    leaderboard::{Differing, Pairing},
    plan::Plan,
};

/// A test document for which the trials predict different classes.
#[derive(Serialize)]
pub(super) struct DifferingDocument<'a> {
    /// Its row in its file, from 1 without the header.
    pub(super) id: u64,
    pub(super) label: &'a str,
    pub(super) predicted: [&'a str; 2],
    /// `None` where its file cannot be read any more.
    pub(super) text: Option<String>,
}

/// The first `most` documents of `pairing` that differ, and a sentence if their texts are not known.
pub(super) fn differing_documents<'a>(
    side: &Side<'a>,
    pairing: Option<&Pairing>,
    most: usize,
) -> (Vec<DifferingDocument<'a>>, Option<String>) {
    let differing = pairing.map_or(&[][..], |pairing| &pairing.differing);
    let shown = &differing[..differing.len().min(most)];
    if shown.is_empty() {
        return (Vec::new(), None);
    }
    let (mut texts, note) = match texts(&side.opened.plan, shown) {
        Ok(texts) => (texts.into_iter().map(Some).collect(), None),
        Err(why) => (Vec::new(), Some(format!("The texts of the documents cannot be shown: {why}."))),
    };
    texts.resize(shown.len(), None);
    let label = |class: usize| side.opened.study.labels.get(class).map_or("", String::as_str);
    let documents = shown.iter().zip(texts).map(|(document, text)| DifferingDocument {
        id: document.id,
        label: label(document.label),
        predicted: document.predicted.map(label),
        text,
    });
    (documents.collect(), note)
}

/// The texts of these documents, which come by their rows; or why they are not known.
fn texts(plan: &Plan, differing: &[Differing]) -> Result<Vec<String>, String> {
    let planned = plan.fingerprints.data.as_ref();
    let planned = planned.ok_or("the plan is of an earlier version, and has no digests of the data")?;
    let dataset = data::load(&plan.data).map_err(|error| chain(&error))?;
    if DataDigests::of(&dataset).test != planned.test {
        return Err("the data has changed since the trials were planned".to_owned());
    }
    let document = |differing: &Differing| {
        Some(Document { id: u32::try_from(differing.id).ok()?, label: u32::try_from(differing.label).ok()? })
    };
    // A row that no data file has would not be among the documents that have this digest.
    let documents = differing.iter().filter_map(document);
    let texts = data::texts(&plan.data, &dataset.dialects, SplitName::Test, documents);
    let texts = texts.map_err(|error| chain(&error))?;
    texts.map(|text| text.map(|(_, text)| text).map_err(|error| chain(&error))).collect()
}
