//! Tokenised documents.

use std::{
    cell::OnceCell,
    io,
    ops::Range,
    sync::{Arc, OnceLock},
};

use sha2::{Digest, Sha256};

use super::{
    chunking::Chunking,
    ends::{are_ends, range},
    error::TextError,
    text_encoder::TextEncoder,
};
use crate::{
    cache::{ChangedEntry, Entry, EntryDraft, EntryHead, Kind, Number, Numbers},
    data::SplitName,
    fingerprint,
    numbers::count,
};

/// The numbers in the last array of a split's cache entry: long documents, tokens, unknown tokens.
const COUNTS: usize = 3;

/// The chunks of one split, document by document. A clone shares them.
/// With folds, the splits of all trials are choices among the documents of one split, whose tokens they share.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenizedSplit {
    /// Token ids of all chunks, one chunk after another.
    ids: Numbers<u32>,
    /// By chunk: where it ends in `ids`; it begins where the one before it ends.
    chunk_ends: Numbers<u64>,
    /// By document: where its chunks end among the chunks.
    document_ends: Numbers<u64>,
    /// By document: its class. Empty when the split is for predictions only.
    labels: Numbers<u32>,
    /// Documents longer than the chunk length.
    pub(crate) long: usize,
    /// Tokens of all documents, special tokens aside.
    tokens: usize,
    /// Unknown tokens among them.
    unknown: usize,
    tokens_digest: Arc<OnceLock<[u8; 32]>>,
    /// The documents that are its own among those that have tokens here; `None`: all of them.
    chosen: Option<Chosen>,
}

/// Some documents of a split.
#[derive(Clone, Debug)]
struct Chosen {
    documents: Arc<[u32]>,
    /// Their chunks.
    chunks: usize,
}

/// A split whose texts are being tokenised.
#[derive(Default)]
pub(crate) struct SplitDraft {
    ids: Vec<u32>,
    chunk_ends: Vec<u64>,
    document_ends: Vec<u64>,
    long: usize,
    tokens: usize,
    unknown: usize,
}

impl SplitDraft {
    /// Adds `texts`, one document each.
    pub(crate) fn add(
        &mut self,
        texts: &[&str],
        encoder: &TextEncoder,
        chunking: Chunking,
    ) -> Result<(), TextError> {
        for chunked in encoder.chunk(texts, chunking)? {
            self.long += usize::from(chunked.is_long);
            self.tokens += chunked.tokens;
            self.unknown += chunked.unknown;
            for chunk in chunked.chunks {
                self.ids.extend(chunk);
                self.chunk_ends.push(self.ids.len() as u64);
            }
            self.document_ends.push(self.chunk_ends.len() as u64);
        }
        Ok(())
    }

    /// The split, with the class of each document; without classes, it is for predictions only.
    pub(crate) fn finish(self, labels: Numbers<u32>) -> TokenizedSplit {
        let Self { ids, chunk_ends, document_ends, long, tokens, unknown } = self;
        TokenizedSplit {
            ids: ids.into(),
            chunk_ends: chunk_ends.into(),
            document_ends: document_ends.into(),
            labels,
            long,
            tokens,
            unknown,
            tokens_digest: Arc::default(),
            chosen: None,
        }
    }
}

/// The three splits under one tokenizer and chunking.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// What is trained on: documents, or chunks as documents.
    pub(crate) train: TokenizedSplit,
    /// The training documents, where chunks are trained on. Its chunks are those of `train`.
    training_texts: Option<TokenizedSplit>,
    pub(crate) validation: TokenizedSplit,
    pub(crate) test: TokenizedSplit,
    digest: OnceCell<String>,
}

impl Corpus {
    pub(crate) const fn new(train: TokenizedSplit, validation: TokenizedSplit, test: TokenizedSplit) -> Self {
        Self { train, training_texts: None, validation, test, digest: OnceCell::new() }
    }

    /// The same, with each chunk of the training set as a document of its own.
    pub(crate) fn training_on_chunks(self) -> Self {
        let chunks = self.train.chunks_as_documents();
        Self { train: chunks, training_texts: Some(self.train), ..self }
    }

    /// The training documents, whatever is trained on.
    pub(crate) const fn training_texts(&self) -> &TokenizedSplit {
        match &self.training_texts {
            Some(texts) => texts,
            None => &self.train,
        }
    }

    /// The split of this name.
    pub(crate) const fn split(&self, name: SplitName) -> &TokenizedSplit {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
    }

    /// Compares the cache entries that the splits stand in with their digests again.
    ///
    /// # Errors
    /// When one of them has changed.
    pub(crate) fn verify(&self) -> Result<(), ChangedEntry> {
        [&self.train, &self.validation, &self.test].into_iter().try_for_each(TokenizedSplit::verify)
    }

    /// SHA-256 of every split's tokens, chunks, documents and classes.
    pub(crate) fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let mut hash = Sha256::new();
            for split in [&self.train, &self.validation, &self.test] {
                split.add_to(&mut hash);
            }
            fingerprint::hex(&hash.finalize())
        })
    }
}

impl TokenizedSplit {
    /// Tokenises `texts`, one document each, for predictions.
    pub(crate) fn new(texts: &[&str], encoder: &TextEncoder, chunking: Chunking) -> Result<Self, TextError> {
        let mut draft = SplitDraft::default();
        draft.add(texts, encoder, chunking)?;
        Ok(draft.finish(Numbers::default()))
    }

    /// The head of the split's cache entry. Its arrays are: ids, ends of chunks, ends of documents, counts.
    pub(crate) fn entry_head(&self, about: String) -> EntryHead {
        let ends = [self.chunk_ends.len(), self.document_ends.len(), COUNTS].map(|count| (u64::TYPE, count));
        EntryHead::new(Kind::Text, about, &[&[(u32::TYPE, self.ids.len())], ends.as_slice()].concat())
    }

    /// Writes everything but the classes, for [`Self::restore`] to read.
    pub(crate) fn store(&self, draft: &mut EntryDraft) -> io::Result<()> {
        draft.put(0, 0, &self.ids)?;
        draft.put(1, 0, &self.chunk_ends)?;
        draft.put(2, 0, &self.document_ends)?;
        draft.put(3, 0, &[self.long, self.tokens, self.unknown].map(|count| count as u64))
    }

    /// Returns the split that `entry` holds, with these classes. `None` when the entry's arrays do not describe
    /// a split with one document for each class.
    pub(crate) fn restore(entry: &Entry, labels: Numbers<u32>) -> Option<Self> {
        let ids: Numbers<u32> = entry.array(0)?;
        let (chunk_ends, document_ends): (Numbers<u64>, Numbers<u64>) = (entry.array(1)?, entry.array(2)?);
        let counts: Numbers<u64> = entry.array(3)?;
        let [long, tokens, unknown] = *counts else { return None };
        let [long, tokens, unknown] = [long, tokens, unknown].map(|count| usize::try_from(count).ok());
        let (long, tokens, unknown) = (long?, tokens?, unknown?);
        let are_ends = are_ends(&chunk_ends, ids.len()) && are_ends(&document_ends, chunk_ends.len());
        let tokens_digest = Arc::default();
        (are_ends && document_ends.len() == labels.len()).then_some(Self {
            ids,
            chunk_ends,
            document_ends,
            labels,
            long,
            tokens,
            unknown,
            tokens_digest,
            chosen: None,
        })
    }

    /// The documents at these places. `long` and the share of unknown tokens stay those of all documents.
    pub(crate) fn choosing(&self, documents: impl Iterator<Item = u32>) -> Self {
        let documents: Arc<[u32]> = documents.collect();
        let chunks = documents.iter().map(|document| self.chunks_of(*document as usize).len()).sum();
        Self { chosen: Some(Chosen { documents, chunks }), ..self.clone() }
    }

    /// All documents that share its tokens.
    pub(crate) fn whole(&self) -> Self {
        Self { chosen: None, ..self.clone() }
    }

    /// The place of a document among those that share its tokens.
    fn place(&self, document: usize) -> usize {
        match &self.chosen {
            Some(chosen) => chosen.documents[document] as usize,
            None => document,
        }
    }

    /// Compares the cache entry that the token ids stand in, if there is one, with its digest again.
    ///
    /// # Errors
    /// When it has changed.
    pub(crate) fn verify(&self) -> Result<(), ChangedEntry> {
        self.ids.verify()
    }

    /// The split with each chunk as a document of its own, with the class of the document that it came from.
    fn chunks_as_documents(&self) -> Self {
        let label = |place| vec![self.labels[place]; self.chunks_of(place).len()];
        let labels: Vec<u32> = (0..self.document_ends.len()).flat_map(label).collect();
        let document_ends: Vec<u64> = (1..=self.chunk_ends.len() as u64).collect();
        let chosen = self.chosen.as_ref().map(|Chosen { documents, chunks }| {
            let places = documents.iter().flat_map(|place| self.chunks_of(*place as usize));
            let places = places.map(|chunk| u32::try_from(chunk).unwrap_or(u32::MAX));
            Chosen { documents: places.collect(), chunks: *chunks }
        });
        Self { document_ends: document_ends.into(), labels: labels.into(), chosen, ..self.clone() }
    }

    fn add_to(&self, hash: &mut Sha256) {
        let mut list = |numbers: &mut dyn ExactSizeIterator<Item = u64>| {
            hash.update((numbers.len() as u64).to_le_bytes());
            numbers.for_each(|number| hash.update(number.to_le_bytes()));
        };
        list(&mut self.ids.iter().map(|&id| u64::from(id)));
        list(&mut self.chunk_ends.iter().copied());
        list(&mut self.document_ends.iter().copied());
        list(&mut self.labels.iter().map(|&label| u64::from(label)));
        if let Some(chosen) = &self.chosen {
            list(&mut chosen.documents.iter().map(|&document| u64::from(document)));
        }
    }

    /// SHA-256 of the chunks alone: how they are grouped into documents does not change it.
    pub(crate) fn tokens_digest(&self) -> &[u8] {
        self.tokens_digest.get_or_init(|| {
            let mut hash = Sha256::new();
            for chunk in 0..self.chunk_ends.len() {
                let chunk = self.chunk(chunk);
                hash.update((chunk.len() as u64).to_le_bytes());
                hash.update(bytemuck::cast_slice(&self.ids[chunk]));
            }
            hash.finalize().into()
        })
    }

    /// Number of documents.
    pub(crate) fn document_count(&self) -> usize {
        self.chosen.as_ref().map_or(self.document_ends.len(), |chosen| chosen.documents.len())
    }

    /// Number of chunks of its documents.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chosen.as_ref().map_or(self.chunk_ends.len(), |chosen| chosen.chunks)
    }

    /// Number of chunks of all documents that share its tokens.
    pub(crate) fn shared_chunk_count(&self) -> usize {
        self.chunk_ends.len()
    }

    /// Number of token ids of all documents that share them, special tokens included.
    pub(crate) fn shared_token_count(&self) -> usize {
        self.ids.len()
    }

    /// The class of a document.
    pub(crate) fn label(&self, document: usize) -> usize {
        self.labels[self.place(document)] as usize
    }

    /// A chunk's token ids, as a range of the split's token ids.
    fn chunk(&self, chunk: usize) -> Range<usize> {
        range(&self.chunk_ends, chunk, self.ids.len())
    }

    /// A document's chunks, as a range of the chunks of all that share its tokens.
    pub(crate) fn chunk_range(&self, document: usize) -> Range<usize> {
        self.chunks_of(self.place(document))
    }

    /// The chunks of the document at this place among those that share its tokens.
    fn chunks_of(&self, place: usize) -> Range<usize> {
        range(&self.document_ends, place, self.chunk_ends.len())
    }

    /// A document's token ids, as a range of the token ids of all that share them.
    pub(crate) fn token_range(&self, document: usize) -> Range<usize> {
        // A document has at least one chunk.
        let chunks = self.chunk_range(document);
        let last = chunks.end.saturating_sub(1);
        self.chunk(chunks.start).start..self.chunk(last).end
    }

    /// The token ids of each chunk of a document.
    fn document_chunks(&self, document: usize) -> impl Iterator<Item = &[u32]> {
        self.chunk_range(document).map(|chunk| &self.ids[self.chunk(chunk)])
    }

    /// The token ids of each chunk of `documents`, document by document.
    pub(crate) fn chunks(&self, documents: &[usize]) -> Vec<&[u32]> {
        documents.iter().flat_map(|&document| self.document_chunks(document)).collect()
    }

    /// By document: the range of its chunks in what [`Self::chunks`] returns for the same `documents`.
    pub(crate) fn chunk_ranges(&self, documents: &[usize]) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |&document: &usize| {
            let start = end;
            end += self.chunk_range(document).len();
            start..end
        };
        documents.iter().map(range).collect()
    }

    /// Unknown tokens as a share of all tokens; 0 for a split without tokens.
    pub(crate) fn unknown_share(&self) -> f64 {
        count(self.unknown) / count(self.tokens.max(1))
    }

    /// The length of a document's longest chunk.
    pub(super) fn longest_chunk(&self, document: usize) -> usize {
        self.document_chunks(document).map(<[u32]>::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checkpoint::Checkpoint, settings::Lowercase};

    /// A split of one document for each of `lengths`, in characters.
    fn split(lengths: &[usize]) -> TokenizedSplit {
        let texts: Vec<String> = lengths.iter().map(|&length| "好".repeat(length)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let encoder = TextEncoder::open(&Checkpoint::Mini, Lowercase::Tokenizer).unwrap();
        let chunking = Chunking { stride: 4, ..Chunking::whole(16) };
        let mut draft = SplitDraft::default();
        // In two parts, as long texts are.
        let (first, second) = texts.split_at(texts.len() / 2);
        draft.add(first, &encoder, chunking).unwrap();
        draft.add(second, &encoder, chunking).unwrap();
        draft.finish(vec![0; lengths.len()].into())
    }

    fn hundred_documents() -> TokenizedSplit {
        split(&(0..100).map(|index| index % 40).collect::<Vec<_>>())
    }

    #[test]
    fn an_epoch_takes_every_document_once() {
        let mut taken: Vec<usize> = hundred_documents().epoch_batches(8, 1, 0).concat();
        taken.sort_unstable();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_batches_of_an_epoch_are_a_function_of_seed_and_epoch() {
        let split = hundred_documents();
        let batches = split.epoch_batches(8, 1, 0);
        assert_eq!(batches, split.epoch_batches(8, 1, 0));
        assert_ne!(batches, split.epoch_batches(8, 1, 1));
        assert_ne!(batches, split.epoch_batches(8, 2, 0));
    }

    #[test]
    fn chunks_as_documents_have_their_documents_classes() {
        let mut split = split(&[5, 40, 5]);
        split.labels = vec![0, 1, 2].into();
        let chunks = split.chunks_as_documents();
        assert_eq!(*chunks.labels, [0, 1, 1, 1, 1, 2]);
        assert_eq!((chunks.document_count(), chunks.chunk_count(), chunks.long), (6, 6, 1));
    }

    #[test]
    fn a_sample_is_spread_over_the_split() {
        let split = hundred_documents();
        let quarters: Vec<usize> = split.spread(4).into_iter().map(|document| document / 25).collect();
        assert_eq!(quarters, [0, 1, 2, 3]);
        // Half of them, where labels take turns.
        let odd = split.spread(50).into_iter().filter(|document| document % 2 == 1).count();
        assert!((15..=35).contains(&odd), "{odd}");
        assert_eq!(split.spread(30), split.spread(30));
        assert_eq!(split.spread(1_000), (0..100).collect::<Vec<_>>());
        assert!(split.spread(0).is_empty());
    }

    #[test]
    fn the_texts_of_a_corpus_stay_whole_where_chunks_are_trained_on() {
        let corpus = Corpus::new(split(&[5, 40, 5]), split(&[5]), split(&[5]));
        assert_eq!(corpus.training_texts().document_count(), 3);
        let corpus = corpus.training_on_chunks();
        assert_eq!((corpus.train.document_count(), corpus.training_texts().document_count()), (6, 3));
        let chunks: Vec<usize> = (0..6).collect();
        assert_eq!(corpus.train.chunks(&chunks), corpus.training_texts().chunks(&[0, 1, 2]));
    }

    #[test]
    fn chosen_documents_are_those_of_a_split_of_them_alone() {
        let (all, alone) = (split(&[5, 40, 7, 9, 200]), split(&[40, 9, 200]));
        let chosen = all.choosing([1, 3, 4].into_iter());
        assert_eq!(
            (chosen.document_count(), chosen.chunk_count()),
            (alone.document_count(), alone.chunk_count())
        );
        for document in 0..3 {
            assert_eq!(chosen.chunks(&[document]), alone.chunks(&[document]));
            assert_eq!(chosen.token_range(document).len(), alone.token_range(document).len());
        }
        assert_eq!(chosen.epoch_batches(2, 1, 0), alone.epoch_batches(2, 1, 0));
        assert_eq!(chosen.forward_groups(&[0, 1, 2], 48), alone.forward_groups(&[0, 1, 2], 48));
        assert_eq!(chosen.tokens_digest(), all.tokens_digest(), "what is computed from tokens is shared");
    }

    #[test]
    fn chunks_of_chosen_documents_are_documents_of_their_classes() {
        let mut split = split(&[5, 40, 5]);
        split.labels = vec![0, 1, 2].into();
        let chunks = split.choosing([1, 2].into_iter()).chunks_as_documents();
        let labels: Vec<usize> =
            (0..chunks.document_count()).map(|document| chunks.label(document)).collect();
        assert_eq!((labels, chunks.chunk_count()), (vec![1, 1, 1, 1, 2], 5));
        assert_eq!(chunks.chunks(&[0]), split.chunks(&[1])[..1]);
    }

    #[test]
    fn a_choice_of_documents_is_part_of_a_corpus() {
        let all = split(&[5, 6, 7, 8]);
        let digest = |train: [u32; 2]| {
            let train = all.choosing(train.into_iter());
            Corpus::new(train, all.choosing([3].into_iter()), all.clone()).digest().to_owned()
        };
        assert_ne!(digest([0, 1]), digest([0, 2]));
        assert_eq!(digest([0, 1]), digest([0, 1]));
    }

    #[test]
    fn a_document_of_many_chunks_stays_in_one_group() {
        let split = split(&[5, 200, 5, 5]);
        let groups = split.groups(&[0, 1, 2, 3], 48);
        assert_eq!(groups, [vec![0], vec![1], vec![2, 3]]);
        assert_eq!(split.long, 1);
    }
}
