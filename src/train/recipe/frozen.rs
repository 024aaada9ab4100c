//! The part of an encoder that does not learn, and its activations.
//!
//! The frozen part runs without dropout, so that its output for a chunk is the same in every
//! step, epoch and trial. The activations, its outputs for all chunks of a split, are computed
//! once and kept, in the cache or in this process's memory (`activation_store`). Where there is
//! no room for them they are computed again in every step, to the same bits.

use std::{any::Any, cell::OnceCell, ops::Range, rc::Rc};

use burn::tensor::{Tensor, TensorData};

use crate::{
    cache::{ChangedEntry, Kind, Numbers},
    data::SplitName,
    settings::Freeze,
    train::{
        encoder::model::{batch::Batch, classifier::Classifier},
        masks::Masks,
        ops::{fused::Fused, row_sink::RowSink},
        text::corpus::{Corpus, TokenizedSplit},
    },
};

/// The part of an encoder that does not learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrozenPart {
    /// No part: the whole encoder learns.
    Nothing,
    /// The embeddings and this number of layers, but not all layers.
    Lower(usize),
    /// The whole encoder.
    Whole,
}

impl FrozenPart {
    /// The part that `freeze` names in an encoder of `layers` layers.
    pub(super) const fn of(freeze: Freeze, layers: usize) -> Self {
        match freeze {
            Freeze::Layers(0) => Self::Nothing,
            Freeze::Layers(frozen) if frozen < layers => Self::Lower(frozen),
            Freeze::Layers(_) | Freeze::Encoder => Self::Whole,
        }
    }

    /// Whether the part holds the layer with the index `first` or a layer above it, in an encoder of `layers` layers.
    pub(super) const fn reaches(self, first: usize, layers: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Lower(frozen) => frozen > first,
            Self::Whole => layers > first,
        }
    }

    /// The kind of the cache entries that hold its activations.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Whole => Kind::Pooled,
            Self::Nothing | Self::Lower(_) => Kind::Hidden,
        }
    }

    /// The number of rows of its activations for all documents that share the tokens of `split`: one for each chunk, or one for
    /// each token.
    pub(super) fn row_count(self, split: &TokenizedSplit) -> usize {
        match self {
            Self::Whole => split.shared_chunk_count(),
            Self::Nothing | Self::Lower(_) => split.shared_token_count(),
        }
    }

    /// The rows of a document in its activations for `split`.
    pub(super) fn rows(self, split: &TokenizedSplit, document: usize) -> Range<usize> {
        match self {
            Self::Whole => split.chunk_range(document),
            Self::Nothing | Self::Lower(_) => split.token_range(document),
        }
    }

    /// Computes the activations for `chunks`, `[chunks, width]` or `[tokens, width]`. A row does not depend, to the bit,
    /// on the chunks beside it.
    pub(super) fn run<B: Fused>(
        self,
        model: &Classifier<B>,
        chunks: &[&[u32]],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let is_row = |chunk: &[u32]| self == Self::Whole || chunk.len() == 1;
        match *chunks {
            // The products of a matrix of one row take another path, whose sums have another order. With the chunk twice
            // there are two rows.
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

/// The most bytes of a split's activations that are kept in a device's memory.
const UPLOADED_BYTES_MAX: usize = 1 << 30;

/// The activations of a frozen part for one split: `[rows, width]`.
#[derive(Debug)]
pub(super) struct Activations {
    pub(super) values: Numbers<f32>,
    width: usize,
    /// The same in a device's memory, once it was asked for.
    on_device: OnceCell<Box<dyn Any>>,
}

impl Activations {
    pub(super) fn new(values: Numbers<f32>, width: usize) -> Self {
        Self { values, width, on_device: OnceCell::new() }
    }

    /// All rows in the memory of `device`, where they are uploaded once and stay as long as these activations. `None` for
    /// more than [`UPLOADED_BYTES_MAX`].
    fn on_device<B: Fused>(&self, device: &B::Device) -> Option<Tensor<B, 2>> {
        if self.values.len() > UPLOADED_BYTES_MAX / size_of::<f32>() {
            return None;
        }
        let upload = || -> Box<dyn Any> {
            let rows = self.values.len() / self.width.max(1);
            Box::new(Tensor::<B, 2>::from_data(
                TensorData::new(self.values.to_vec(), [rows, self.width]),
                device,
            ))
        };
        self.on_device.get_or_init(upload).downcast_ref::<Tensor<B, 2>>().cloned()
    }

    /// The rows of `documents`, in order, `[chunks, width]` or `[tokens, width]`.
    fn rows<B: Fused>(
        &self,
        part: FrozenPart,
        split: &TokenizedSplit,
        documents: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let mut rows = Vec::new();
        for &document in documents {
            let range = part.rows(split, document);
            rows.extend_from_slice(&self.values[range.start * self.width..range.end * self.width]);
        }
        let count = rows.len() / self.width.max(1);
        Tensor::from_data(TensorData::new(rows, [count, self.width]), device)
    }
}

/// The frozen part of a trial's encoder, with its activations.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) part: FrozenPart,
    /// The activations that are kept, by split, in the order of [`SplitName::ALL`].
    pub(super) kept: [Option<Rc<Activations>>; 3],
}

impl Frozen {
    /// Compares the cache entries that the activations stand in with their digests again.
    ///
    /// # Errors
    /// When one of them has changed.
    pub(super) fn verify(&self) -> Result<(), ChangedEntry> {
        let [train, validation, test] = &self.kept;
        // With folds, train and validation have the same ones.
        let is_same = matches!((train, validation), (Some(one), Some(other)) if Rc::ptr_eq(one, other));
        let validation = validation.as_ref().filter(|_| !is_same);
        let mut kept = train.iter().chain(validation).chain(test);
        kept.try_for_each(|activations| activations.values.verify())
    }

    /// The input of the learning part for a split of `corpus`.
    pub(super) fn input<'a>(&'a self, corpus: &'a Corpus, split: SplitName) -> FrozenInput<'a> {
        let [train, validation, test] = &self.kept;
        let kept = match split {
            SplitName::Train => train,
            SplitName::Validation => validation,
            SplitName::Test => test,
        };
        FrozenInput { part: self.part, split: corpus.split(split), kept: kept.as_deref() }
    }
}

/// What a forward pass takes besides its chunks.
#[derive(Clone, Copy)]
pub(super) struct ForwardPass<'a> {
    /// Dropout, in the learning part only.
    pub(super) masks: &'a Masks,
    /// Where the gradients of the word embeddings go, where the backend can.
    pub(super) sink: &'a RowSink,
}

/// Activations in a device's memory.
pub(super) struct Uploaded<'a, B: Fused> {
    kept: &'a Activations,
    /// `[rows, width]`
    pub(super) values: Tensor<B, 2>,
}

impl<B: Fused> Uploaded<'_, B> {
    /// Whether these are the same activations, not only equal ones.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.kept, other.kept)
    }
}

/// The input of the learning part for one split: tokens, or the output of the frozen part.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrozenInput<'a> {
    part: FrozenPart,
    split: &'a TokenizedSplit,
    /// The activations of the frozen part for the split, if they are kept.
    kept: Option<&'a Activations>,
}

impl<'a> FrozenInput<'a> {
    /// The input of an encoder without a frozen part.
    pub(super) const fn tokens(split: &'a TokenizedSplit) -> Self {
        Self { part: FrozenPart::Nothing, split, kept: None }
    }

    /// The same for `split`, which has the same chunks, divided into other documents.
    pub(super) const fn of(self, split: &'a TokenizedSplit) -> Self {
        Self { split, ..self }
    }

    pub(super) const fn split(self) -> &'a TokenizedSplit {
        self.split
    }

    pub(super) const fn part(self) -> FrozenPart {
        self.part
    }

    /// The activations for the split in the memory of `device`, where they are kept there.
    pub(super) fn uploaded<B: Fused>(self, device: &B::Device) -> Option<Uploaded<'a, B>> {
        let kept = self.kept?;
        Some(Uploaded { kept, values: kept.on_device(device)? })
    }

    /// The numbers of the rows of `documents` in the activations.
    pub(super) fn row_numbers(self, documents: &[usize]) -> impl Iterator<Item = usize> {
        documents.iter().flat_map(move |&document| self.part.rows(self.split, document))
    }

    /// The activations for the chunks of `documents`: those that are kept, or else what `model` computes.
    pub(super) fn activations<B: Fused>(
        self,
        model: impl FnOnce() -> Classifier<B>,
        documents: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        match self.kept {
            Some(kept) => kept.rows(self.part, self.split, documents, device),
            None => self.part.run(&model(), &self.split.chunks(documents), device),
        }
    }

    /// Computes the logits of the chunks of `documents`, `[chunks, classes]`. Only the learning part has dropout and
    /// gradients.
    pub(super) fn logits<B: Fused>(
        self,
        model: &Classifier<B>,
        documents: &[usize],
        pass: ForwardPass<'_>,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let ForwardPass { masks, sink } = pass;
        let chunks = self.split.chunks(documents);
        let activations = || self.activations(|| model.clone(), documents, device);
        match self.part {
            FrozenPart::Nothing => model.forward(&Batch::new(&chunks, device).with_sink(sink), masks),
            FrozenPart::Lower(layers) => {
                let batch = Batch::new(&chunks, device).with_lower_layers(layers, activations());
                model.forward(&batch, masks)
            }
            FrozenPart::Whole => model.classify(activations(), masks),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
