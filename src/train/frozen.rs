//! The part of an encoder that does not learn, and what it makes of every chunk.
//!
//! It runs without dropout, so that what it makes of a chunk is the same in every step,
//! epoch and trial. That is computed once and kept, in the cache or in this process's
//! memory; where there is no room it is computed again in every step, to the same bits.

use std::{collections::HashMap, io, ops::Range, rc::Rc};

use burn::tensor::{Tensor, TensorData};

use super::{
    corpus::{Corpus, Split},
    evaluate,
    masks::Masks,
    model::{self, Batch, Classifier},
    ops::{Fused, RowSink},
};
use crate::{
    cache::{Cache, Draft, Found, Head, Key, Kind, Number, Numbers, Stopped},
    data::SplitName,
    settings::Freeze,
};

/// Part of every key: changes whenever the same encoder would make something else of the same tokens.
const VERSION: &[u8] = b"frozen 3";
/// Bytes that a worker keeps in its own memory of what the cache cannot have.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// The part that does not learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// None of it.
    Nothing,
    /// The embeddings and so many layers, but not all.
    Lower(usize),
    /// The whole encoder.
    Whole,
}

impl Part {
    /// What `freeze` says of an encoder with so many layers.
    pub(crate) const fn of(freeze: Freeze, layers: usize) -> Self {
        match freeze {
            Freeze::Layers(0) => Self::Nothing,
            Freeze::Layers(frozen) if frozen < layers => Self::Lower(frozen),
            Freeze::Layers(_) | Freeze::Encoder => Self::Whole,
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Whole => Kind::Pooled,
            Self::Nothing | Self::Lower(_) => Kind::Hidden,
        }
    }

    /// The rows of `split` that it makes of a document: one a chunk, or one a token.
    fn rows(self, split: &Split, document: usize) -> Range<usize> {
        match self {
            Self::Whole => split.places(document),
            Self::Nothing | Self::Lower(_) => split.tokens(document),
        }
    }

    /// What it makes of `chunks`; a row does not depend on the chunks beside it.
    fn run<B: Fused>(self, model: &Classifier<B>, chunks: &[&[u32]], device: &B::Device) -> Tensor<B, 2> {
        let is_row = |chunk: &[u32]| self == Self::Whole || chunk.len() == 1;
        match *chunks {
            // A matrix of one row goes another way through the products, and its sums another order.
            [chunk] if is_row(chunk) => self.run_many(model, &[chunk, chunk], device).narrow(0, 0, 1),
            _ => self.run_many(model, chunks, device),
        }
    }

    fn run_many<B: Fused>(
        self,
        model: &Classifier<B>,
        chunks: &[&[u32]],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let batch = Batch::new(chunks, device);
        match self {
            Self::Whole => model.pool_each(&batch),
            Self::Lower(layers) => model.lower(&batch, layers),
            Self::Nothing => model.lower(&batch, 0),
        }
    }
}

/// What a frozen part makes of a split: `[rows, width]`.
#[derive(Debug)]
pub(crate) struct Activations {
    values: Numbers<f32>,
    width: usize,
}

/// Where the learning part begins for one split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Below<'a> {
    part: Part,
    /// What the frozen part makes of the split, if that is kept.
    kept: Option<&'a Activations>,
}

impl Below<'_> {
    /// Everything is run.
    pub(crate) const NOTHING: Self = Self { part: Part::Nothing, kept: None };

    /// Logits of the chunks of `documents`, `[chunks, classes]`; only what learns has `masks`, and gradients, those of
    /// the word embeddings in `sink` where the backend can.
    pub(crate) fn logits<B: Fused>(
        self,
        model: &Classifier<B>,
        split: &Split,
        documents: &[usize],
        (masks, sink): (&Masks, &RowSink),
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let chunks = evaluate::chunks(split, documents);
        let below = || match self.kept {
            Some(kept) => kept.rows(self.part, split, documents, device),
            None => self.part.run(model, &chunks, device),
        };
        match self.part {
            Part::Nothing => model.forward(&Batch::new(&chunks, device).with_sink(sink), masks),
            Part::Lower(layers) => model.forward(&Batch::new(&chunks, device).above(layers, below()), masks),
            Part::Whole => model.classify(below(), masks),
        }
    }
}

/// The frozen part of a trial's encoder, over its corpus.
#[derive(Debug)]
pub(crate) struct Frozen {
    part: Part,
    /// By split, in the order of [`SplitName::ALL`].
    kept: [Option<Rc<Activations>>; 3],
}

impl Frozen {
    /// Where the learning part begins for a split.
    pub(crate) fn below(&self, split: SplitName) -> Below<'_> {
        let [train, validation, test] = &self.kept;
        let kept = match split {
            SplitName::Train => train,
            SplitName::Validation => validation,
            SplitName::Test => test,
        };
        Below { part: self.part, kept: kept.as_deref() }
    }
}

impl Activations {
    /// Those of the chunks or tokens of `documents`, in order.
    fn rows<B: Fused>(
        &self,
        part: Part,
        split: &Split,
        documents: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let mut rows = Vec::new();
        for &document in documents {
            let place = part.rows(split, document);
            rows.extend_from_slice(&self.values[place.start * self.width..place.end * self.width]);
        }
        let count = rows.len() / self.width.max(1);
        Tensor::from_data(TensorData::new(rows, [count, self.width]), device)
    }
}

/// An encoder whose frozen part is asked for.
pub(crate) struct Encoder<'a, B: Fused> {
    pub(crate) part: Part,
    pub(crate) model: &'a Classifier<B>,
    pub(crate) device: &'a B::Device,
    pub(crate) width: usize,
    /// All that decides what it makes of tokens.
    pub(crate) identity: Vec<Vec<u8>>,
    /// Whether other trials can have the same: not when it begins from the trial's seed.
    pub(crate) is_shared: bool,
    /// What it is called.
    pub(crate) title: &'a str,
}

impl<B: Fused> Encoder<'_, B> {
    fn rows(&self, split: &Split) -> usize {
        match self.part {
            Part::Whole => split.chunks(),
            Part::Nothing | Part::Lower(_) => split.ids(),
        }
    }

    fn key(&self, split: &Split) -> Key {
        let layers = match self.part {
            Part::Nothing => 0_u64,
            Part::Lower(layers) => layers as u64,
            Part::Whole => u64::MAX,
        };
        let own = [VERSION, &layers.to_le_bytes(), split.tokens_digest()].map(<[u8]>::to_vec);
        Key::of(self.part.kind(), own.iter().chain(&self.identity).map(Vec::as_slice))
    }

    /// Computes what it makes of `split`, and hands it to `put` with the number of its first value.
    fn run(
        &self,
        split: &Split,
        go_on: &mut dyn FnMut() -> bool,
        put: &mut dyn FnMut(usize, &[f32]) -> io::Result<()>,
    ) -> io::Result<()> {
        for documents in split.within(&split.by_length(), evaluate::TOKENS) {
            if !go_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let chunks = evaluate::chunks(split, &documents);
            let rows = model::values(self.part.run(self.model, &chunks, self.device));
            let mut rest = rows.as_slice();
            for &document in &documents {
                let place = self.part.rows(split, document);
                let (own, others) = rest.split_at(place.len() * self.width);
                put(place.start * self.width, own)?;
                rest = others;
            }
        }
        Ok(())
    }
}

/// The activations that a worker has at hand.
#[derive(Debug)]
pub(crate) struct Known {
    by_key: HashMap<Key, Rc<Activations>>,
    /// Bytes of the known ones in entries, and in memory.
    bytes: [usize; 2],
    /// Bytes in memory at most.
    most: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self::within(MOST_BYTES)
    }
}

impl Known {
    /// With so many bytes in memory at most.
    pub(crate) fn within(most: usize) -> Self {
        Self { by_key: HashMap::new(), bytes: [0; 2], most }
    }

    /// The frozen part of `encoder` over `corpus`; `go_on` is asked now and then.
    ///
    /// # Errors
    /// When `go_on` said no.
    pub(crate) fn get<B: Fused>(
        &mut self,
        encoder: &Encoder<'_, B>,
        corpus: &Corpus,
        cache: &Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Frozen, Stopped> {
        let mut kept = [None, None, None];
        if encoder.part != Part::Nothing {
            for (kept, name) in kept.iter_mut().zip(SplitName::ALL) {
                *kept = self.split(encoder, (name, corpus.split(name)), cache, go_on)?;
            }
        }
        Ok(Frozen { part: encoder.part, kept })
    }

    fn split<B: Fused>(
        &mut self,
        encoder: &Encoder<'_, B>,
        (name, split): (SplitName, &Split),
        cache: &Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Rc<Activations>>, Stopped> {
        let key = encoder.key(split);
        if let Some(known) = self.by_key.get(&key) {
            return Ok(Some(known.clone()));
        }
        let count = encoder.rows(split) * encoder.width;
        let bytes = count.saturating_mul(size_of::<f32>());
        if encoder.is_shared
            && let Some(values) = from_cache(encoder, &key, (name, split), cache, go_on)?
        {
            let most = usize::try_from(cache.bytes()).unwrap_or(usize::MAX);
            return Ok(Some(self.keep(key, values, encoder.width, (0, most))));
        }
        if bytes > self.most {
            return Ok(None);
        }
        let mut values = vec![0.0; count];
        let computed = encoder.run(split, go_on, &mut |at, numbers| {
            values[at..at + numbers.len()].copy_from_slice(numbers);
            Ok(())
        });
        computed.map_err(|_| Stopped)?;
        Ok(Some(self.keep(key, values.into(), encoder.width, (1, self.most))))
    }

    /// Keeps activations among those of entries (0) or in memory (1); when they become too many, the others go.
    fn keep(
        &mut self,
        key: Key,
        values: Numbers<f32>,
        width: usize,
        (kind, most): (usize, usize),
    ) -> Rc<Activations> {
        let bytes = size_of_val(&*values);
        if self.bytes[kind] + bytes > most {
            self.by_key.clear();
            self.bytes = [0; 2];
        }
        self.bytes[kind] += bytes;
        let activations = Rc::new(Activations { values, width });
        self.by_key.insert(key, activations.clone());
        activations
    }
}

/// The values in the cache, which are computed and put there if need be; `None` when it cannot have them.
fn from_cache<B: Fused>(
    encoder: &Encoder<'_, B>,
    key: &Key,
    (name, split): (SplitName, &Split),
    cache: &Cache,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Numbers<f32>>, Stopped> {
    let count = encoder.rows(split) * encoder.width;
    let head = Head::new(encoder.part.kind(), about(encoder, name, split), &[(f32::TYPE, count)]);
    if !cache.has_room_for(&head) {
        return Ok(None);
    }
    let entry = match cache.find(key, go_on)? {
        Found::Entry(entry) => Some(entry),
        Found::Absent(claim) => {
            let mut is_stopped = false;
            let stored = claim.store(&head, &mut |draft: &mut Draft| {
                let mut go_on = || {
                    is_stopped |= !go_on();
                    !is_stopped
                };
                encoder.run(split, &mut go_on, &mut |at, numbers| draft.put(0, at, numbers))
            });
            if is_stopped {
                return Err(Stopped);
            }
            stored
        }
    };
    let values = entry.and_then(|entry| entry.array::<f32>(0));
    Ok(values.filter(|values| values.len() == count))
}

/// `train, m3e-small, 2 layers, 800 chunks`
fn about<B: Fused>(encoder: &Encoder<'_, B>, name: SplitName, split: &Split) -> String {
    let layers = match encoder.part {
        Part::Nothing => "embeddings".to_owned(),
        Part::Lower(1) => "1 layer".to_owned(),
        Part::Lower(layers) => format!("{layers} layers"),
        Part::Whole => "all layers".to_owned(),
    };
    format!("{name}, {}, {layers}, {} chunks", encoder.title, split.chunks())
}

#[cfg(all(test, feature = "flex"))]
mod tests;
