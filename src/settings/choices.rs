//! Settings that take one of a few names.

use serde::{Deserialize, Serialize};

/// A closed set of names: the enum, its spelling in a spec, and the way back.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every spelling, in the order of the variants.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The spelling in a spec.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The variant spelled `text`.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

choice! {
    /// Which hidden state stands for a chunk.
    Pooling {
        /// The first token's.
        Cls = "cls",
        /// The mean over all tokens, special ones included.
        Mean = "mean",
    }
}
choice! {
    /// What becomes of a text longer than the chunk length (Sun et al. 2019, arXiv 1905.05583).
    LongText {
        /// It is cut into overlapping chunks.
        Chunk = "chunk",
        /// Its first tokens are kept.
        Head = "head",
        /// Its last tokens are kept.
        Tail = "tail",
        /// A quarter from its head and three quarters from its tail are kept.
        HeadTail = "head-tail",
    }
}
choice! {
    /// How a document's logits come from its chunks' logits.
    Aggregate {
        /// Their mean.
        Mean = "mean",
        /// Their maximum, class by class.
        Max = "max",
    }
}
choice! {
    /// What a training example is.
    TrainOn {
        /// A document: its loss is that of its chunks' aggregated logits.
        Documents = "documents",
        /// A chunk, with its document's class.
        Chunks = "chunks",
    }
}
choice! {
    /// Whether texts are lower-cased before they are tokenised.
    Lowercase {
        /// As the tokenizer's own files say.
        Tokenizer = "tokenizer",
        /// Always.
        Yes = "yes",
        /// Never.
        No = "no",
    }
}
choice! {
    /// How much each class counts in the training loss.
    ClassWeights {
        /// All alike.
        None = "none",
        /// In inverse proportion to their frequency in train: n / (classes · n of the class), as in scikit-learn.
        Balanced = "balanced",
    }
}
choice! {
    /// The learning rate after warm-up.
    Schedule {
        /// Falls linearly to 0.
        Linear = "linear",
        /// Falls to 0 along half a cosine.
        Cosine = "cosine",
        /// Stays.
        Constant = "constant",
    }
}
choice! {
    /// What the encoder's large matrix products take of their factors, forwards and backwards.
    MatmulPrecision {
        /// All of each f32.
        F32 = "f32",
        /// Each f32 rounded to bf16; the sums are f32, and all else is.
        Bf16 = "bf16",
    }
}

impl Default for MatmulPrecision {
    /// What a model was made with whose file says nothing of it.
    fn default() -> Self {
        Self::F32
    }
}

choice! {
    /// The validation figure that early stopping and the choice of the best epoch follow.
    Monitor {
        /// Validation loss, lower is better.
        ValLoss = "val_loss",
        /// Validation F1, higher is better.
        ValF1 = "val_f1",
    }
}
