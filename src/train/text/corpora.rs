//! Tokenised data, computed once for each tokenizer, chunking and split, whichever trial asks first.

use std::{cell::OnceCell, collections::HashMap, rc::Rc};

use sha2::{Digest, Sha256};

use super::{
    chunking::Chunking,
    corpus::{Corpus, SplitDraft, TokenizedSplit},
    documents::Documents,
    text_encoder::TextEncoder,
    tokenizer::{TokenizerError, tokenizer_json},
};
use crate::{
    cache::{Cache, CacheEntry, EntryKey, GoOn, Kind},
    checkpoint::Checkpoint,
    data::{self, DataError, DataSpec, DocumentsDigest, SplitName, TextWindows},
    settings::{Lowercase, Settings, TrainOn},
    train::error::{TrainError, Unfinished},
};

/// Part of every key. It is raised when the same tokenizer would cut the same texts into other chunks.
const TEXT_VERSION: &[u8] = b"text 3";

/// The documents of a data set, with a number that no other data set of the worker has.
#[derive(Clone)]
pub(crate) struct NumberedDocuments {
    pub(crate) number: u64,
    pub(crate) spec: Rc<DataSpec>,
    pub(crate) documents: Rc<Documents>,
}

/// Everything that decides the contents of a corpus.
#[derive(Clone, PartialEq, Eq, Hash)]
struct CorpusKey {
    /// The number of the documents.
    documents: u64,
    checkpoint: Checkpoint,
    lowercase: Lowercase,
    chunking: Chunking,
    train_on: TrainOn,
    /// The fold that is validated on.
    fold: Option<u32>,
}

/// The corpora that a worker has tokenised.
#[derive(Default)]
pub(crate) struct Corpora {
    by_key: HashMap<CorpusKey, Rc<Corpus>>,
    /// By their keys without a fold: the documents of all folds, and the test set.
    folded: HashMap<CorpusKey, [TokenizedSplit; 2]>,
}

impl Corpora {
    /// Returns the documents of `data`, tokenised as `settings` ask, for the trial that validates on `fold` if there are
    /// folds. `go_on` is asked while texts are tokenised, here or in another process.
    ///
    /// # Errors
    /// When the tokenizer cannot be used, when the texts are not those of the documents, or when `go_on` asks to stop.
    pub(crate) fn get(
        &mut self,
        data: &NumberedDocuments,
        (settings, fold): (&Settings, Option<u32>),
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<Rc<Corpus>, Unfinished> {
        let Settings { lowercase, train_on, .. } = *settings;
        let chunking = Chunking::of(settings);
        let checkpoint = settings.checkpoint.clone();
        let key = CorpusKey { documents: data.number, checkpoint, lowercase, chunking, train_on, fold };
        if let Some(corpus) = self.by_key.get(&key) {
            return Ok(corpus.clone());
        }
        let json = tokenizer_json(&settings.checkpoint, lowercase)?;
        let digest = Sha256::digest(json.as_bytes());
        let tokenization = Tokenization {
            data,
            settings,
            chunking,
            digest: digest.as_slice(),
            json: &json,
            encoder: OnceCell::new(),
        };
        let mut split = |name| tokenization.split(name, cache, go_on);
        let [train, validation, test] = match fold {
            None => [split(SplitName::Train)?, split(SplitName::Validation)?, split(SplitName::Test)?],
            Some(fold) => {
                let [all, test] = self.folded(&key, &mut split)?;
                let chosen = |is_in| all.choosing(data.documents.places(fold, is_in));
                [chosen(false), chosen(true), test]
            }
        };
        let corpus = Corpus::new(train, validation, test);
        let corpus = Rc::new(match train_on {
            TrainOn::Documents => corpus,
            TrainOn::Chunks => corpus.training_on_chunks(),
        });
        self.by_key.insert(key, corpus.clone());
        Ok(corpus)
    }

    /// The documents of all folds and the test set of the corpus `key`, which its trials share whatever their fold.
    fn folded(
        &mut self,
        key: &CorpusKey,
        split: &mut dyn FnMut(SplitName) -> Result<TokenizedSplit, Unfinished>,
    ) -> Result<[TokenizedSplit; 2], Unfinished> {
        let key = CorpusKey { fold: None, train_on: TrainOn::Documents, ..key.clone() };
        if let Some(known) = self.folded.get(&key) {
            return Ok(known.clone());
        }
        let new = [split(SplitName::Train)?, split(SplitName::Test)?];
        self.folded.insert(key, new.clone());
        Ok(new)
    }
}

/// How one trial tokenises its texts.
struct Tokenization<'a> {
    data: &'a NumberedDocuments,
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
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<TokenizedSplit, Unfinished> {
        let labels = || self.data.documents.classes(name).clone();
        let claim = match cache.find(&self.key(name), go_on)? {
            CacheEntry::Present(entry) => match TokenizedSplit::restore(&entry, labels()) {
                Some(split) => return Ok(split),
                None => None,
            },
            CacheEntry::Absent(claim) => Some(claim),
        };
        let split = self.tokenized(name, go_on)?;
        let entry = claim.and_then(|claim| {
            let head = split.entry_head(self.about(name));
            claim.store(&head, &mut |draft| split.store(draft))
        });
        // The mapped entry replaces the split in memory: workers that map the same entry share its pages.
        Ok(entry.and_then(|entry| TokenizedSplit::restore(&entry, labels())).unwrap_or(split))
    }

    /// Reads the texts of a split and tokenises them, some at a time.
    fn tokenized(&self, name: SplitName, go_on: &mut GoOn<'_>) -> Result<TokenizedSplit, Unfinished> {
        let NumberedDocuments { spec, documents, .. } = self.data;
        let failed = |error| match error {
            DataError::Changed { .. } => self.changed(),
            error => Unfinished::Failed(TrainError::Data(Box::new(error))),
        };
        let texts = data::texts(spec, documents.dialects(), name, documents.split(name)).map_err(failed)?;
        let (mut digest, mut draft) = (DocumentsDigest::new(documents.labels()), SplitDraft::default());
        for window in TextWindows::new(texts) {
            go_on()?;
            let window = window.map_err(failed)?;
            for (document, text) in &window {
                digest.add(*document, text);
            }
            let texts: Vec<&str> = window.iter().map(|(_, text)| text.as_str()).collect();
            let id = |index: usize| Some(window.get(index)?.0.id as usize);
            draft.add(&texts, self.encoder()?, self.chunking).map_err(|error| error.in_rows(name, id))?;
        }
        if digest.finish() != documents.digests().split(name) {
            return Err(self.changed());
        }
        Ok(draft.finish(documents.classes(name).clone()))
    }

    /// The error for files whose texts are not those that the documents were made of, or for documents that have
    /// changed since.
    fn changed(&self) -> Unfinished {
        Unfinished::Failed(match self.data.documents.verify() {
            Ok(()) => TrainError::data_changed(&self.data.spec.source.paths()),
            Err(changed) => changed.into(),
        })
    }

    fn encoder(&self) -> Result<&TextEncoder, TokenizerError> {
        if let Some(encoder) = self.encoder.get() {
            return Ok(encoder);
        }
        let encoder = TextEncoder::of_json(&self.settings.checkpoint, self.json)?;
        Ok(self.encoder.get_or_init(|| encoder))
    }

    /// The key of a split: its texts count by the digest of its documents.
    fn key(&self, name: SplitName) -> EntryKey {
        let Chunking { length, stride, long, chunks_max } = self.chunking;
        let numbers = [length, stride, chunks_max].map(|number| (number as u64).to_le_bytes());
        let [length, stride, chunks_max] = numbers.each_ref().map(<[u8; 8]>::as_slice);
        let texts = self.data.documents.digests().split(name).as_bytes();
        let long = long.as_str().as_bytes();
        EntryKey::of(Kind::Text, [TEXT_VERSION, self.digest, length, stride, chunks_max, long, texts])
    }

    /// Describes an entry for people: `train, m3e-small, chunks of 64`.
    fn about(&self, name: SplitName) -> String {
        let title = self.settings.checkpoint.title();
        format!("{name}, {title}, chunks of {}", self.chunking.length)
    }
}
