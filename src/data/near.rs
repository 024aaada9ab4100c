//! Near duplicates: the candidates whose texts, read again, are similar enough.
//!
//! The sets of n-grams of the later texts are held as far as a bound of memory goes, and the earlier texts pass by.

use std::collections::HashMap;

use super::{
    candidates::{Candidates, Text},
    dataset::Document,
    dialect::Dialects,
    error::DataError,
    ngrams::{jaccard, ngram_set},
    normal_form::normal_form,
    spec::{DataSpec, SplitName},
    texts::{TextWindows, texts_of_split},
    traces::in_parallel,
};

/// Bytes of the sets of n-grams that are held at once.
const SETS_BYTES: usize = 192 << 20;
/// Bytes of a set besides its n-grams.
const SET_BYTES: usize = 64;

/// Texts in normal form that are near duplicates, by their digests.
#[derive(Debug, Default)]
pub(super) struct NearTexts {
    /// The near texts of a text, each with the Jaccard similarity in thousandths; most similar first.
    by_text: HashMap<u64, Vec<(u64, u32)>>,
}

impl NearTexts {
    /// The texts that are near the text with this digest, most similar first.
    pub(super) fn of(&self, normal: u64) -> &[(u64, u32)] {
        self.by_text.get(&normal).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, one: u64, other: u64, similarity: u32) {
        self.by_text.entry(one).or_default().push((other, similarity));
        self.by_text.entry(other).or_default().push((one, similarity));
    }

    /// Puts the texts of each text in order, each once.
    fn settle(&mut self) {
        for texts in self.by_text.values_mut() {
            texts.sort_unstable_by_key(|(normal, similarity)| (std::cmp::Reverse(*similarity), *normal));
            texts.dedup();
        }
    }
}

/// The candidates whose Jaccard similarity is at least `threshold` thousandths.
///
/// # Errors
/// When the texts cannot be read again.
pub(super) fn near_texts(
    spec: &DataSpec,
    dialects: &Dialects,
    candidates: &Candidates,
    threshold: u32,
) -> Result<NearTexts, DataError> {
    let mut found = NearTexts::default();
    let reading = Reading { spec, dialects, texts: &candidates.texts };
    let mut pairs = candidates.pairs.as_slice();
    while !pairs.is_empty() {
        let (sets, compared) = reading.sets_of_later(pairs)?;
        let (now, rest) = pairs.split_at(compared.max(1));
        for (earlier, later, similarity) in reading.similarities(now, &sets)? {
            if similarity >= threshold {
                found.add(earlier, later, similarity);
            }
        }
        pairs = rest;
    }
    found.settle();
    Ok(found)
}

/// Reads texts again.
struct Reading<'a> {
    spec: &'a DataSpec,
    dialects: &'a Dialects,
    texts: &'a [Text],
}

impl Reading<'_> {
    /// The sets of the later texts of the first of `pairs`, as many as may be held, and the number of those pairs.
    fn sets_of_later(&self, pairs: &[(u32, u32)]) -> Result<(HashMap<u32, Vec<u32>>, usize), DataError> {
        let mut later: Vec<u32> = pairs.iter().map(|pair| pair.1).collect();
        later.dedup();
        let (mut sets, mut bytes) = (HashMap::new(), 0);
        self.for_each(&later, &mut |read: Vec<(u32, Vec<u32>)>| {
            for (at, set) in read {
                bytes += SET_BYTES + set.len() * size_of::<u32>();
                sets.insert(at, set);
            }
            bytes < SETS_BYTES
        })?;
        let compared = pairs.iter().position(|pair| !sets.contains_key(&pair.1)).unwrap_or(pairs.len());
        Ok((sets, compared))
    }

    /// The similarity of each of `pairs`, between digests; `sets` are those of the later texts.
    fn similarities(
        &self,
        pairs: &[(u32, u32)],
        sets: &HashMap<u32, Vec<u32>>,
    ) -> Result<Vec<(u64, u64, u32)>, DataError> {
        let mut by_earlier = pairs.to_vec();
        by_earlier.sort_unstable();
        let mut earlier: Vec<u32> = by_earlier.iter().map(|pair| pair.0).collect();
        earlier.dedup();
        let normal = |at: u32| self.texts.get(at as usize).map_or(0, |text| text.normal);
        let mut found = Vec::new();
        self.for_each(&earlier, &mut |read: Vec<(u32, Vec<u32>)>| {
            let of_one = |(at, set): &(u32, Vec<u32>)| {
                let first = by_earlier.partition_point(|pair| pair.0 < *at);
                let partners = by_earlier.iter().skip(first).take_while(|pair| pair.0 == *at);
                let similarity = |pair: &(u32, u32)| sets.get(&pair.1).map_or(0, |other| jaccard(set, other));
                partners.map(|pair| (normal(*at), normal(pair.1), similarity(pair))).collect::<Vec<_>>()
            };
            found.extend(in_parallel(&read, &of_one).into_iter().flatten());
            true
        })?;
        Ok(found)
    }

    /// Gives `take` the sets of the texts at these places, which are in order, some at a time, until it returns false.
    fn for_each(
        &self,
        places: &[u32],
        take: &mut dyn FnMut(Vec<(u32, Vec<u32>)>) -> bool,
    ) -> Result<(), DataError> {
        let text = |at: &u32| self.texts.get(*at as usize);
        for split in SplitName::ALL {
            let own: Vec<u32> = places
                .iter()
                .copied()
                .filter(|at| text(at).is_some_and(|text| text.split == split))
                .collect();
            if own.is_empty() {
                continue;
            }
            let document = |at: &u32| Document { id: text(at).map_or(0, |text| text.id), label: 0 };
            let documents: Vec<Document> = own.iter().map(document).collect();
            let mut places = own.iter().copied();
            for window in
                TextWindows::new(texts_of_split(self.spec, self.dialects, split, documents.into_iter())?)
            {
                let window: Vec<(u32, String)> =
                    window?.into_iter().zip(places.by_ref()).map(|((_, text), at)| (at, text)).collect();
                let sets = in_parallel(&window, &|(at, text)| (*at, ngram_set(&normal_form(text))));
                if !take(sets) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
