//! The activations of frozen parts: in the cache, in memory, or computed.

use std::{collections::HashMap, io, rc::Rc};

use super::frozen::{Activations, Frozen, FrozenPart};
use crate::{
    cache::{Cache, CacheEntry, EntryDraft, EntryHead, EntryKey, GoOn, Number, Numbers, Stopped},
    data::SplitName,
    train::{
        encoder::model::classifier::Classifier,
        error::{TrainError, Unfinished},
        ops::fused::Fused,
        tensors::values,
        text::corpus::{Corpus, TokenizedSplit},
    },
};

/// Part of every key. It is raised when the same encoder would return other activations for the same tokens.
const FROZEN_VERSION: &[u8] = b"frozen 4";
/// The largest number of bytes that a worker keeps in its own memory, of activations that the cache has no room for.
pub(super) const MEMORY_MAX: usize = 1 << 30;

/// An encoder, and which part of it is frozen.
pub(super) struct FrozenEncoder<B: Fused> {
    pub(super) part: FrozenPart,
    pub(super) model: Classifier<B>,
    pub(super) device: B::Device,
    pub(super) width: usize,
    /// Everything besides the tokens that decides the activations.
    pub(super) identity: Vec<Vec<u8>>,
    /// Whether other trials can have the same frozen part. They cannot when it is fresh from the trial's seed.
    pub(super) is_shared: bool,
    /// The checkpoint's name, for people.
    pub(super) title: String,
}

/// A split and its name.
#[derive(Clone, Copy)]
struct NamedSplit<'a> {
    name: SplitName,
    tokens: &'a TokenizedSplit,
}

impl<B: Fused> FrozenEncoder<B> {
    fn key(&self, split: &TokenizedSplit) -> EntryKey {
        let layers = match self.part {
            FrozenPart::Nothing => 0_u64,
            FrozenPart::Lower(layers) => layers as u64,
            FrozenPart::Whole => u64::MAX,
        };
        let own = [FROZEN_VERSION, &layers.to_le_bytes(), split.tokens_digest()].map(<[u8]>::to_vec);
        EntryKey::of(self.part.kind(), own.iter().chain(&self.identity).map(Vec::as_slice))
    }

    /// The number of values in the activations for all documents that share the tokens of `split`.
    fn value_count(&self, split: &TokenizedSplit) -> usize {
        self.part.row_count(split) * self.width
    }

    /// Describes an entry for people: `train, m3e-small, 2 layers, 800 chunks`.
    fn about(&self, NamedSplit { name, tokens }: NamedSplit<'_>) -> String {
        let layers = match self.part {
            FrozenPart::Nothing => "embeddings".to_owned(),
            FrozenPart::Lower(1) => "1 layer".to_owned(),
            FrozenPart::Lower(layers) => format!("{layers} layers"),
            FrozenPart::Whole => "all layers".to_owned(),
        };
        format!("{name}, {}, {layers}, {} chunks", self.title, tokens.shared_chunk_count())
    }

    /// Computes the activations for all documents that share the tokens of `split`. `put` gets them document by document, with the index of the first value.
    fn run(
        &self,
        split: &TokenizedSplit,
        go_on: &mut GoOn<'_>,
        put: &mut dyn FnMut(usize, &[f32]) -> io::Result<()>,
    ) -> io::Result<()> {
        let split = &split.whole();
        for documents in split.forward_groups(&split.spread(split.document_count()), B::FORWARD_TOKENS_MAX) {
            let chunks = split.chunks(&documents);
            let rows = values(self.part.run(&self.model, &chunks, &self.device));
            // Behind the pass: what a device has computed after a failure is not to be kept.
            go_on().map_err(|Stopped| io::Error::from(io::ErrorKind::Interrupted))?;
            let mut rest = rows.as_slice();
            for &document in &documents {
                let range = self.part.rows(split, document);
                let (own, others) = rest.split_at(range.len() * self.width);
                put(range.start * self.width, own)?;
                rest = others;
            }
        }
        Ok(())
    }
}

/// The activations that a worker has at hand.
#[derive(Debug)]
pub(super) struct ActivationStore {
    by_key: HashMap<EntryKey, Rc<Activations>>,
    /// Bytes of those that are entries of the cache, mapped.
    entry_bytes: usize,
    /// Bytes of those in the worker's own memory.
    memory_bytes: usize,
    /// The largest number of bytes in the worker's own memory.
    memory_bytes_max: usize,
}

/// Where activations are kept.
#[derive(Clone, Copy)]
enum KeptIn {
    /// In an entry of the cache. All entries together have at most `bytes_max` bytes.
    Entry { bytes_max: usize },
    /// In the worker's own memory.
    Memory,
}

impl Default for ActivationStore {
    fn default() -> Self {
        Self::within(MEMORY_MAX)
    }
}

impl ActivationStore {
    /// An empty store with at most `memory_bytes_max` bytes in the worker's own memory.
    pub(super) fn within(memory_bytes_max: usize) -> Self {
        Self { by_key: HashMap::new(), entry_bytes: 0, memory_bytes: 0, memory_bytes_max }
    }

    /// Returns the frozen part of `encoder` with its activations for `corpus`. `go_on` is asked now and then.
    ///
    /// # Errors
    /// When `go_on` asks to stop, or when the cache's entry of the tokens changes meanwhile.
    pub(super) fn get<B: Fused>(
        &mut self,
        encoder: &FrozenEncoder<B>,
        corpus: &Corpus,
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<Frozen, Unfinished> {
        let mut kept = [None, None, None];
        if encoder.part != FrozenPart::Nothing {
            for (kept, name) in kept.iter_mut().zip(SplitName::ALL) {
                *kept = self.split(encoder, NamedSplit { name, tokens: corpus.split(name) }, cache, go_on)?;
            }
        }
        Ok(Frozen { part: encoder.part, kept })
    }

    /// Returns the activations for one split; `None` when there is no room for them.
    fn split<B: Fused>(
        &mut self,
        encoder: &FrozenEncoder<B>,
        split: NamedSplit<'_>,
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<Option<Rc<Activations>>, Unfinished> {
        let key = encoder.key(split.tokens);
        if let Some(known) = self.by_key.get(&key) {
            return Ok(Some(known.clone()));
        }
        let width = encoder.width;
        if encoder.is_shared
            && let Some(values) = from_cache(encoder, &key, split, cache, go_on)?
        {
            let bytes_max = usize::try_from(cache.bytes_max()).unwrap_or(usize::MAX);
            return Ok(Some(self.keep(key, Activations::new(values, width), KeptIn::Entry { bytes_max })));
        }
        let count = encoder.value_count(split.tokens);
        if count.saturating_mul(size_of::<f32>()) > self.memory_bytes_max {
            return Ok(None);
        }
        let mut values = vec![0.0; count];
        let computed = encoder.run(split.tokens, go_on, &mut |at, numbers| {
            values[at..at + numbers.len()].copy_from_slice(numbers);
            Ok(())
        });
        // Copying cannot fail, so the error is a stop.
        computed.map_err(|_| Stopped)?;
        Ok(Some(self.keep(key, Activations::new(values.into(), width), KeptIn::Memory)))
    }

    /// Adds activations. When they and the known ones have too many bytes together, the known ones go.
    fn keep(&mut self, key: EntryKey, activations: Activations, kept_in: KeptIn) -> Rc<Activations> {
        let bytes = size_of_val(&*activations.values);
        let (used, bytes_max) = match kept_in {
            KeptIn::Entry { bytes_max } => (self.entry_bytes, bytes_max),
            KeptIn::Memory => (self.memory_bytes, self.memory_bytes_max),
        };
        if used + bytes > bytes_max {
            self.by_key.clear();
            (self.entry_bytes, self.memory_bytes) = (0, 0);
        }
        match kept_in {
            KeptIn::Entry { .. } => self.entry_bytes += bytes,
            KeptIn::Memory => self.memory_bytes += bytes,
        }
        let activations = Rc::new(activations);
        self.by_key.insert(key, activations.clone());
        activations
    }
}

/// Returns the values from the cache, after computing and storing them there if need be. `None` when the cache has no
/// room for them or cannot be written.
fn from_cache<B: Fused>(
    encoder: &FrozenEncoder<B>,
    key: &EntryKey,
    split: NamedSplit<'_>,
    cache: &Cache,
    go_on: &mut GoOn<'_>,
) -> Result<Option<Numbers<f32>>, Unfinished> {
    let count = encoder.value_count(split.tokens);
    let head = EntryHead::new(encoder.part.kind(), encoder.about(split), &[(f32::TYPE, count)]);
    if !cache.has_room_for(&head) {
        return Ok(None);
    }
    let entry = match cache.find(key, go_on)? {
        CacheEntry::Present(entry) => Some(entry),
        CacheEntry::Absent(claim) => {
            // The cache takes a stop for any interrupted write, so it is remembered here.
            let (mut last_answer, mut tokens) = (Ok(()), Ok(()));
            let stored = claim.store(&head, &mut |draft: &mut EntryDraft| {
                let mut go_on = || {
                    last_answer = go_on();
                    last_answer
                };
                encoder.run(split.tokens, &mut go_on, &mut |at, numbers| draft.put(0, at, numbers))?;
                // Otherwise an entry with a good digest would hold the activations of other tokens.
                tokens = split.tokens.verify();
                if tokens.is_ok() { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
            });
            last_answer?;
            tokens.map_err(TrainError::from)?;
            stored
        }
    };
    let values = entry.and_then(|entry| entry.array::<f32>(0));
    Ok(values.filter(|values| values.len() == count))
}
