//! What a frozen encoder makes of every chunk: computed once, read by every epoch and every trial.
//!
//! A frozen encoder runs without dropout, so that a chunk's features are the same in
//! every step; only the head has dropout then.

use std::{collections::HashMap, rc::Rc};

use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::{
    corpus::{Corpus, Split},
    evaluate,
    masks::Masks,
    model::{self, Batch, Classifier},
    ops::Fused,
};
use crate::settings::{Freeze, Settings};

/// Bytes of features that a worker keeps; a corpus with more of them is encoded anew in every epoch.
const MOST_BYTES: usize = 1 << 30;

/// The pooled hidden states of a split's chunks, `[chunks, width]`.
pub(crate) struct Features {
    values: Vec<f32>,
    width: usize,
}

/// Those of the three splits.
pub(crate) struct Frozen {
    pub(crate) train: Features,
    pub(crate) validation: Features,
    pub(crate) test: Features,
}

/// Whether no layer of an encoder with so many learns.
pub(crate) const fn is_whole(freeze: Freeze, layers: usize) -> bool {
    match freeze {
        Freeze::Encoder => true,
        Freeze::Layers(frozen) => frozen >= layers,
    }
}

/// Whether the features of `corpus`, each of `width` numbers, may be kept.
pub(crate) fn fit_in_memory(corpus: &Corpus, width: usize) -> bool {
    let chunks = corpus.train.chunks() + corpus.validation.chunks() + corpus.test.chunks();
    chunks.saturating_mul(width).saturating_mul(size_of::<f32>()) <= MOST_BYTES
}

impl Features {
    fn of<B: Fused>(
        model: &Classifier<B>,
        split: &Split,
        device: &B::Device,
        alive: &mut dyn FnMut(),
    ) -> Self {
        let mut features = Self { values: Vec::new(), width: 0 };
        for documents in split.within(&split.by_length(), evaluate::TOKENS) {
            alive();
            let (chunks, ranges) = evaluate::gather(split, &documents);
            let pooled = model.pool(&Batch::new(&chunks, device), &Masks::off());
            let [_, width] = pooled.dims();
            let rows = model::values(pooled);
            features.width = width;
            features.values.resize(split.chunks() * width, 0.0);
            for (&document, rows_of) in documents.iter().zip(ranges) {
                let place = split.places(document);
                features.values[place.start * width..place.end * width]
                    .copy_from_slice(&rows[rows_of.start * width..rows_of.end * width]);
            }
        }
        features
    }

    /// Those of the chunks of `documents`, in order.
    pub(crate) fn rows<B: Backend>(
        &self,
        split: &Split,
        documents: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let mut rows = Vec::new();
        for &document in documents {
            let place = split.places(document);
            rows.extend_from_slice(&self.values[place.start * self.width..place.end * self.width]);
        }
        let count = rows.len() / self.width.max(1);
        Tensor::from_data(TensorData::new(rows, [count, self.width]), device)
    }

    const fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// What decides the features of a corpus, besides the corpus: the encoder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The corpus, by its address: it is kept as long as the features are.
    corpus: usize,
    pooling: &'static str,
    /// Of the trial, where the encoder begins from it.
    seed: Option<u64>,
    reinit_layers: usize,
}

impl Key {
    /// `fresh`: the encoder's parameters come from the seed, not from a file.
    pub(crate) fn new(corpus: &Rc<Corpus>, settings: &Settings, seed: u64, fresh: bool) -> Self {
        Self {
            corpus: Rc::as_ptr(corpus).addr(),
            pooling: settings.pooling.as_str(),
            seed: (fresh || settings.reinit_layers > 0).then_some(seed),
            reinit_layers: settings.reinit_layers,
        }
    }
}

/// The features that a worker has computed.
#[derive(Default)]
pub(crate) struct Known {
    known: HashMap<Key, (Rc<Corpus>, Rc<Frozen>)>,
}

impl Known {
    /// The features of `corpus` under the encoder of `model`; `alive` is called now and then.
    pub(crate) fn get<B: Fused>(
        &mut self,
        key: Key,
        corpus: &Rc<Corpus>,
        model: &Classifier<B>,
        device: &B::Device,
        alive: &mut dyn FnMut(),
    ) -> Rc<Frozen> {
        if let Some((_, frozen)) = self.known.get(&key) {
            return frozen.clone();
        }
        let mut of = |split| Features::of(model, split, device, alive);
        let frozen = Rc::new(Frozen {
            train: of(&corpus.train),
            validation: of(&corpus.validation),
            test: of(&corpus.test),
        });
        let bytes = |frozen: &Frozen| frozen.train.bytes() + frozen.validation.bytes() + frozen.test.bytes();
        let kept: usize = self.known.values().map(|(_, frozen)| bytes(frozen)).sum();
        if kept + bytes(&frozen) > MOST_BYTES {
            self.known.clear();
        }
        self.known.insert(key, (corpus.clone(), frozen.clone()));
        frozen
    }
}
