//! Tokenised data, computed once for each tokenizer, chunking and split, whichever trial asks first.

use std::{cell::OnceCell, collections::HashMap, rc::Rc};

use sha2::{Digest, Sha256};

use super::{
    chunking::Chunking,
    corpus::{Corpus, TokenizedSplit},
    text_encoder::TextEncoder,
    tokenizer::{TokenizerError, tokenizer_json},
};
use crate::{
    cache::{Cache, CacheEntry, EntryKey, GoOn, Kind},
    checkpoint::Checkpoint,
    data::{Dataset, Document, SplitName},
    settings::{Lowercase, Settings, TrainOn},
    train::error::Unfinished,
};

/// Part of every key. It is raised when the same tokenizer would cut the same texts into other chunks.
const TEXT_VERSION: &[u8] = b"text 2";

/// A dataset, with a number that no other dataset of the worker has.
pub(crate) type NumberedDataset = (u64, Rc<Dataset>);

/// Everything that decides the contents of a corpus.
#[derive(PartialEq, Eq, Hash)]
struct CorpusKey {
    /// The dataset's number.
    dataset: u64,
    checkpoint: Checkpoint,
    lowercase: Lowercase,
    chunking: Chunking,
    train_on: TrainOn,
}

/// The corpora that a worker has tokenised.
#[derive(Default)]
pub(crate) struct Corpora {
    by_key: HashMap<CorpusKey, Rc<Corpus>>,
}

impl Corpora {
    /// Returns `dataset`, tokenised as `settings` ask. `go_on` is asked while another process tokenises the same
    /// texts.
    ///
    /// # Errors
    /// When the tokenizer cannot be used, or when `go_on` asks to stop.
    pub(crate) fn get(
        &mut self,
        (dataset, data): &NumberedDataset,
        settings: &Settings,
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<Rc<Corpus>, Unfinished> {
        let Settings { lowercase, train_on, .. } = *settings;
        let chunking = Chunking::of(settings);
        let checkpoint = settings.checkpoint.clone();
        let key = CorpusKey { dataset: *dataset, checkpoint, lowercase, chunking, train_on };
        if let Some(corpus) = self.by_key.get(&key) {
            return Ok(corpus.clone());
        }
        let json = tokenizer_json(&settings.checkpoint, lowercase)?;
        let digest = Sha256::digest(json.as_bytes());
        let tokenization = Tokenization {
            settings,
            chunking,
            digest: digest.as_slice(),
            json: &json,
            encoder: OnceCell::new(),
        };
        let mut split = |name, documents: &[Document]| tokenization.split(name, documents, cache, go_on);
        let mut train = split(SplitName::Train, &data.train)?;
        let validation = split(SplitName::Validation, &data.validation)?;
        let test = split(SplitName::Test, &data.test)?;
        if train_on == TrainOn::Chunks {
            train = train.with_chunks_as_documents();
        }
        let corpus = Rc::new(Corpus::new(train, validation, test));
        self.by_key.insert(key, corpus.clone());
        Ok(corpus)
    }
}

/// How one trial tokenises its texts.
struct Tokenization<'a> {
    settings: &'a Settings,
    chunking: Chunking,
    /// SHA-256 of the tokenizer's JSON.
    digest: &'a [u8],
    json: &'a str,
    /// Opened when the first text must be tokenised: opening takes long, and the cache may have every split.
    encoder: OnceCell<TextEncoder>,
}

impl Tokenization<'_> {
    fn split(
        &self,
        name: SplitName,
        documents: &[Document],
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<TokenizedSplit, Unfinished> {
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let labels = || documents.iter().map(|document| document.label).collect();
        let claim = match cache.find(&self.key(&texts), go_on)? {
            CacheEntry::Present(entry) => match TokenizedSplit::restore(&entry, labels()) {
                Some(split) => return Ok(split),
                None => None,
            },
            CacheEntry::Absent(claim) => Some(claim),
        };
        let split = TokenizedSplit::new(&texts, labels(), self.encoder()?, self.chunking)
            .map_err(|error| error.in_rows(name, |index| Some(documents.get(index)?.id)))?;
        let entry = claim.and_then(|claim| {
            let head = split.entry_head(self.about(name));
            claim.store(&head, &mut |draft| split.store(draft))
        });
        // The mapped entry replaces the split in memory: workers that map the same entry share its pages.
        Ok(entry.and_then(|entry| TokenizedSplit::restore(&entry, labels())).unwrap_or(split))
    }

    fn encoder(&self) -> Result<&TextEncoder, TokenizerError> {
        if let Some(encoder) = self.encoder.get() {
            return Ok(encoder);
        }
        let encoder = TextEncoder::of_json(&self.settings.checkpoint, self.json)?;
        Ok(self.encoder.get_or_init(|| encoder))
    }

    fn key(&self, texts: &[&str]) -> EntryKey {
        let Chunking { length, stride, long, chunks_max } = self.chunking;
        let numbers = [length, stride, chunks_max].map(|number| (number as u64).to_le_bytes());
        let [length, stride, chunks_max] = numbers.each_ref().map(<[u8; 8]>::as_slice);
        let chunking = [TEXT_VERSION, self.digest, length, stride, chunks_max, long.as_str().as_bytes()];
        EntryKey::of(Kind::Text, chunking.into_iter().chain(texts.iter().map(|text| text.as_bytes())))
    }

    /// Describes an entry for people: `train, m3e-small, chunks of 64`.
    fn about(&self, name: SplitName) -> String {
        let title = self.settings.checkpoint.title();
        format!("{name}, {title}, chunks of {}", self.chunking.length)
    }
}
