//! Tokenised documents, and the order in which batches take them.

use std::{cell::OnceCell, io, ops::Range};

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{
    masks,
    text::{Chunking, TextEncoder, TextError},
};
use crate::{
    cache::{Draft, Entry, Head, Kind, Number, Numbers},
    data::SplitName,
    fingerprint,
};

/// Batches whose documents are sorted by length together: enough to pad little, few enough to mix
/// (`transformers`' `group_by_length` takes 50 as well).
const SORTED_TOGETHER: usize = 50;

/// Numbers in the last array of a split's cache entry: long documents, tokens, unknown ones.
const COUNTS: usize = 3;

/// The chunks of one split, document by document.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// Of all chunks, one after another.
    ids: Numbers<u32>,
    chunks: Vec<Range<usize>>,
    documents: Vec<Range<usize>>,
    labels: Vec<usize>,
    /// Documents longer than the chunk length.
    pub(crate) long: usize,
    tokens: usize,
    unknown: usize,
    tokens_digest: OnceCell<[u8; 32]>,
}

/// The three splits under one tokenizer and chunking.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) train: Split,
    pub(crate) validation: Split,
    pub(crate) test: Split,
    digest: OnceCell<String>,
}

impl Corpus {
    pub(crate) const fn new(train: Split, validation: Split, test: Split) -> Self {
        Self { train, validation, test, digest: OnceCell::new() }
    }

    /// The split of this name.
    pub(crate) const fn split(&self, name: SplitName) -> &Split {
        match name {
            SplitName::Train => &self.train,
            SplitName::Validation => &self.validation,
            SplitName::Test => &self.test,
        }
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

impl Split {
    /// `labels` may be empty when nothing but predictions is wanted.
    pub(crate) fn new(
        texts: &[&str],
        labels: Vec<usize>,
        encoder: &TextEncoder,
        chunking: Chunking,
    ) -> Result<Self, TextError> {
        let mut split = Self { labels, ..Self::default() };
        let mut ids: Vec<u32> = Vec::new();
        for chunked in encoder.chunk(texts, chunking)? {
            let first = split.chunks.len();
            split.long += usize::from(chunked.is_long);
            split.tokens += chunked.tokens;
            split.unknown += chunked.unknown;
            for chunk in chunked.chunks {
                let start = ids.len();
                ids.extend(chunk);
                split.chunks.push(start..ids.len());
            }
            split.documents.push(first..split.chunks.len());
        }
        split.ids = ids.into();
        Ok(split)
    }

    /// The head of its cache entry: ids, ends of chunks, ends of documents, counts.
    pub(crate) fn head(&self, about: String) -> Head {
        let ends = [self.chunks.len(), self.documents.len(), COUNTS].map(|count| (u64::TYPE, count));
        Head::new(Kind::Text, about, &[&[(u32::TYPE, self.ids.len())], ends.as_slice()].concat())
    }

    /// Writes what [`Self::restore`] reads: all but the classes.
    pub(crate) fn store(&self, draft: &mut Draft) -> io::Result<()> {
        let ends =
            |ranges: &[Range<usize>]| -> Vec<u64> { ranges.iter().map(|range| range.end as u64).collect() };
        draft.put(0, 0, &self.ids)?;
        draft.put(1, 0, &ends(&self.chunks))?;
        draft.put(2, 0, &ends(&self.documents))?;
        draft.put(3, 0, &[self.long, self.tokens, self.unknown].map(|count| count as u64))
    }

    /// The split in `entry` with these classes; `None` when it is none of so many documents.
    pub(crate) fn restore(entry: &Entry, labels: Vec<usize>) -> Option<Self> {
        let ids: Numbers<u32> = entry.array(0)?;
        let chunks = ranges(&entry.array(1)?, ids.len())?;
        let documents = ranges(&entry.array(2)?, chunks.len())?;
        let counts: Numbers<u64> = entry.array(3)?;
        let [long, tokens, unknown] = *counts else { return None };
        let [long, tokens, unknown] = [long, tokens, unknown].map(|count| usize::try_from(count).ok());
        let (long, tokens, unknown) = (long?, tokens?, unknown?);
        let tokens_digest = OnceCell::new();
        (documents.len() == labels.len()).then_some(Self {
            ids,
            chunks,
            documents,
            labels,
            long,
            tokens,
            unknown,
            tokens_digest,
        })
    }

    /// The same with each chunk as a document of its own.
    pub(crate) fn by_chunks(self) -> Self {
        let label = |(document, chunks): (usize, &Range<usize>)| vec![self.labels[document]; chunks.len()];
        let labels = self.documents.iter().enumerate().flat_map(label).collect();
        let documents = (0..self.chunks.len()).map(|chunk| chunk..chunk + 1).collect();
        Self { documents, labels, ..self }
    }

    fn add_to(&self, hash: &mut Sha256) {
        let mut list = |numbers: &mut dyn ExactSizeIterator<Item = usize>| {
            hash.update((numbers.len() as u64).to_le_bytes());
            numbers.for_each(|number| hash.update((number as u64).to_le_bytes()));
        };
        list(&mut self.ids.iter().map(|&id| id as usize));
        list(&mut self.chunks.iter().map(|chunk| chunk.end));
        list(&mut self.documents.iter().map(|document| document.end));
        list(&mut self.labels.iter().copied());
    }

    /// SHA-256 of the chunks, whatever documents they are of.
    pub(crate) fn tokens_digest(&self) -> &[u8] {
        self.tokens_digest.get_or_init(|| {
            let mut hash = Sha256::new();
            for chunk in &self.chunks {
                hash.update((chunk.len() as u64).to_le_bytes());
                hash.update(bytemuck::cast_slice(&self.ids[chunk.clone()]));
            }
            hash.finalize().into()
        })
    }

    /// Number of documents.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Number of chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Number of token ids.
    pub(crate) fn ids(&self) -> usize {
        self.ids.len()
    }

    /// The class of a document.
    pub(crate) fn label(&self, document: usize) -> usize {
        self.labels[document]
    }

    /// The numbers of a document's chunks in this split.
    pub(crate) fn places(&self, document: usize) -> Range<usize> {
        self.documents[document].clone()
    }

    /// The numbers of a document's token ids in this split.
    pub(crate) fn tokens(&self, document: usize) -> Range<usize> {
        let chunks = &self.chunks[self.documents[document].clone()];
        chunks.first().map_or(0, |chunk| chunk.start)..chunks.last().map_or(0, |chunk| chunk.end)
    }

    /// The ids of each chunk of a document.
    pub(crate) fn document(&self, document: usize) -> impl Iterator<Item = &[u32]> {
        self.documents[document].clone().map(|chunk| &self.ids[self.chunks[chunk].clone()])
    }

    /// Unknown tokens as a share of all, 0 without tokens.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^53")]
    pub(crate) fn unknown_share(&self) -> f64 {
        self.unknown as f64 / self.tokens.max(1) as f64
    }

    fn longest(&self, document: usize) -> usize {
        self.document(document).map(<[u32]>::len).max().unwrap_or(0)
    }

    /// The batches of an epoch: every document once, those of like length together, the batches in
    /// random order. A function of the split, `seed` and `epoch` alone.
    pub(crate) fn epoch(&self, batch_size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut rng = ChaCha8Rng::seed_from_u64(masks::key(&[seed, 0xDA7A, epoch]));
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut rng);
        let mut batches: Vec<Vec<usize>> = Vec::with_capacity(self.len().div_ceil(batch_size));
        for together in order.chunks_mut(batch_size.saturating_mul(SORTED_TOGETHER)) {
            // A stable sort: documents of equal length stay shuffled.
            together.sort_by_key(|&document| self.longest(document));
            batches.extend(together.chunks(batch_size).map(<[usize]>::to_vec));
        }
        batches.shuffle(&mut rng);
        batches
    }

    /// Consecutive groups of `documents` whose padded chunks have at most `tokens` tokens, or one document.
    pub(crate) fn within(&self, documents: &[usize], tokens: usize) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let (mut chunks, mut longest) = (0, 0);
        for &document in documents {
            let count = self.documents[document].len();
            let length = self.longest(document).max(longest);
            match groups.last_mut() {
                Some(group) if (chunks + count) * length <= tokens => {
                    group.push(document);
                    (chunks, longest) = (chunks + count, length);
                }
                _ => {
                    groups.push(vec![document]);
                    (chunks, longest) = (count, self.longest(document));
                }
            }
        }
        groups
    }

    /// Every document, shortest first: the order for evaluation.
    pub(crate) fn by_length(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&document| self.longest(document));
        order
    }
}

/// The ranges with these ends, each beginning where the one before it ends; `None` unless they cover `length`.
fn ranges(ends: &[u64], length: usize) -> Option<Vec<Range<usize>>> {
    let mut start = 0;
    let mut ranges = Vec::with_capacity(ends.len());
    for &end in ends {
        let end = usize::try_from(end).ok().filter(|end| *end > start)?;
        ranges.push(start..end);
        start = end;
    }
    (start == length).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Lowercase;

    fn split(lengths: &[usize]) -> Split {
        let texts: Vec<String> = lengths.iter().map(|&length| "好".repeat(length)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let chunking = Chunking { stride: 4, ..Chunking::whole(16) };
        Split::new(
            &texts,
            vec![0; lengths.len()],
            &TextEncoder::open(&crate::checkpoint::Checkpoint::Mini, Lowercase::Tokenizer).unwrap(),
            chunking,
        )
        .unwrap()
    }

    #[test]
    fn an_epoch_takes_every_document_once_and_differs_from_the_next() {
        let split = split(&(0..100).map(|index| index % 40).collect::<Vec<_>>());
        let batches = split.epoch(8, 1, 0);
        let mut taken: Vec<usize> = batches.concat();
        taken.sort_unstable();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        assert_eq!(batches, split.epoch(8, 1, 0));
        assert_ne!(batches, split.epoch(8, 1, 1));
        assert_ne!(batches, split.epoch(8, 2, 0));
    }

    #[test]
    fn chunks_as_documents_have_their_documents_classes() {
        let mut split = split(&[5, 40, 5]);
        split.labels = vec![0, 1, 2];
        let chunks = split.by_chunks();
        assert_eq!(chunks.labels, [0, 1, 1, 1, 1, 2]);
        assert_eq!((chunks.len(), chunks.chunks(), chunks.long), (6, 6, 1));
    }

    #[test]
    fn a_document_of_many_chunks_stays_in_one_group() {
        let split = split(&[5, 200, 5, 5]);
        let groups = split.within(&[0, 1, 2, 3], 48);
        assert_eq!(groups, [vec![0], vec![1], vec![2, 3]]);
        assert_eq!(split.long, 1);
    }
}
