//! Tokenised data: once for each tokenizer, chunking and split, whoever asks.

use std::{cell::OnceCell, collections::HashMap, rc::Rc};

use sha2::{Digest, Sha256};

use super::{
    corpus::{Corpus, Split},
    text::{Chunking, TextEncoder, TextError},
    tokenizer::tokenizer_json,
};
use crate::{
    cache::{Cache, Found, Key, Kind, Stopped},
    checkpoint::Checkpoint,
    data::{Dataset, Document, SplitName},
    settings::{Lowercase, Settings, TrainOn},
};

/// Part of every key: changes whenever the same tokenizer would make other chunks of the same texts.
const VERSION: &[u8] = b"text 1";

/// What a corpus depends on: the data, the checkpoint with its lower-casing, the chunking, and what a
/// training example is.
type Identity = (u64, Checkpoint, Lowercase, Chunking, TrainOn);

/// What a worker has tokenised.
#[derive(Default)]
pub(crate) struct Corpora {
    known: HashMap<Identity, Rc<Corpus>>,
}

/// Why there is no corpus.
pub(crate) enum NoCorpus {
    /// The tokenizer could not be used.
    Text(TextError),
    /// The one who waited for it was told to stop.
    Stopped,
}

impl From<TextError> for NoCorpus {
    fn from(error: TextError) -> Self {
        Self::Text(error)
    }
}

impl From<Stopped> for NoCorpus {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl Corpora {
    /// The corpus of `data`, whose identity is `key`, as `settings` read it.
    pub(crate) fn get(
        &mut self,
        key: u64,
        data: &Dataset,
        settings: &Settings,
        cache: &Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Rc<Corpus>, NoCorpus> {
        let Settings { lowercase, train_on, .. } = *settings;
        let chunking = Chunking::of(settings);
        let identity = (key, settings.checkpoint.clone(), lowercase, chunking, train_on);
        if let Some(corpus) = self.known.get(&identity) {
            return Ok(corpus.clone());
        }
        let json = tokenizer_json(&settings.checkpoint, lowercase)?;
        let digest = Sha256::digest(json.as_bytes());
        let reader =
            Reader { settings, chunking, digest: digest.as_slice(), json: &json, encoder: OnceCell::new() };
        let mut split = |name, documents: &[Document]| reader.split(name, documents, cache, go_on);
        let mut train = split(SplitName::Train, &data.train)?;
        let validation = split(SplitName::Validation, &data.validation)?;
        let test = split(SplitName::Test, &data.test)?;
        if train_on == TrainOn::Chunks {
            train = train.by_chunks();
        }
        let corpus = Rc::new(Corpus::new(train, validation, test));
        self.known.insert(identity, corpus.clone());
        Ok(corpus)
    }
}

/// How one trial reads texts.
struct Reader<'a> {
    settings: &'a Settings,
    chunking: Chunking,
    /// SHA-256 of the tokenizer's JSON.
    digest: &'a [u8],
    json: &'a str,
    /// Made when a text must be tokenised.
    encoder: OnceCell<TextEncoder>,
}

impl Reader<'_> {
    fn split(
        &self,
        name: SplitName,
        documents: &[Document],
        cache: &Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Split, NoCorpus> {
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let labels = || documents.iter().map(|document| document.label).collect();
        let claim = match cache.find(&self.key(&texts), go_on)? {
            Found::Entry(entry) => match Split::restore(&entry, labels()) {
                Some(split) => return Ok(split),
                None => None,
            },
            Found::Absent(claim) => Some(claim),
        };
        let split = Split::new(&texts, labels(), self.encoder()?, self.chunking)?;
        let entry = claim.and_then(|claim| {
            let head = split.head(self.about(name));
            claim.store(&head, &mut |draft| split.store(draft))
        });
        // Of several workers, the memory is needed once.
        Ok(entry.and_then(|entry| Split::restore(&entry, labels())).unwrap_or(split))
    }

    fn encoder(&self) -> Result<&TextEncoder, TextError> {
        if let Some(encoder) = self.encoder.get() {
            return Ok(encoder);
        }
        let encoder = TextEncoder::of_json(&self.settings.checkpoint, self.json)?;
        Ok(self.encoder.get_or_init(|| encoder))
    }

    fn key(&self, texts: &[&str]) -> Key {
        let Chunking { length, stride, long, most } = self.chunking;
        let numbers = [length, stride, most].map(|number| (number as u64).to_le_bytes());
        let [length, stride, most] = numbers.each_ref().map(<[u8; 8]>::as_slice);
        let chunking = [VERSION, self.digest, length, stride, most, long.as_str().as_bytes()];
        Key::of(Kind::Text, chunking.into_iter().chain(texts.iter().map(|text| text.as_bytes())))
    }

    /// `train, m3e-small, chunks of 64`
    fn about(&self, name: SplitName) -> String {
        let title = self.settings.checkpoint.title();
        format!("{name}, {title}, chunks of {}", self.chunking.length)
    }
}
