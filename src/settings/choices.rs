//! The settings whose value is one of a few names.

use serde::{Deserialize, Serialize};

/// Declares an enum with the spelling of each variant in a spec, in both directions.
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
    /// Which hidden state of the encoder represents a chunk.
    Pooling {
        /// The first token's.
        Cls = "cls",
        /// The mean over all tokens, special ones included.
        Mean = "mean",
    }
}
choice! {
    /// How a text longer than the chunk length is cut (Sun et al. 2019, arXiv 1905.05583).
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
        /// A document: the loss is computed from its chunks' aggregated logits.
        Documents = "documents",
        /// Each chunk by itself, with its document's class.
        Chunks = "chunks",
    }
}
choice! {
    /// Whether texts are lower-cased before they are tokenised.
    Lowercase {
        /// As the tokenizer's own files specify.
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
        /// Every class counts alike.
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
        /// Stays at its peak.
        Constant = "constant",
    }
}
choice! {
    /// The precision of the factors of the encoder's large matrix products, forwards and backwards.
    MatmulPrecision {
        /// f32, unchanged.
        F32 = "f32",
        /// Rounded to tf32, on the tensor cores of NVIDIA GPUs; sums and everything else stay f32.
        Tf32 = "tf32",
        /// Rounded to bf16; sums and everything else stay f32.
        Bf16 = "bf16",
    }
}

impl Default for MatmulPrecision {
    /// The precision of models whose file does not name it, made by versions without this setting.
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
choice! {
    /// The rule that stops a trial.
    StopRule {
        /// Evaluations without improvement.
        Patience = "patience",
        /// Prechelt's generalisation loss.
        Gl = "gl",
        /// Prechelt's quotient of generalisation loss and training progress.
        Pq = "pq",
        /// Prechelt's rises of the error in successive strips.
        Up = "up",
    }
}
choice! {
    /// The validation figure whose best epoch is kept.
    BestEpoch {
        /// The one that early stopping follows.
        Monitor = "monitor",
        /// The loss.
        ValLoss = "val_loss",
        /// F1.
        ValF1 = "val_f1",
    }
}

impl BestEpoch {
    /// The figure, where early stopping follows `monitor`.
    #[must_use]
    pub const fn figure(self, monitor: Monitor) -> Monitor {
        match self {
            Self::Monitor => monitor,
            Self::ValLoss => Monitor::ValLoss,
            Self::ValF1 => Monitor::ValF1,
        }
    }
}
