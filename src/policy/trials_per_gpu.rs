//! `trials_per_gpu`: how many trials share a GPU.

use std::{fmt, num::NonZeroUsize, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected},
};

/// How many trials a GPU has at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialsPerGpu {
    /// This number, from 1 to [`TrialsPerGpu::MAX`].
    Count(NonZeroUsize),
    /// As many as fit into its memory, as its first trial shows.
    Auto,
}

impl TrialsPerGpu {
    /// The word for [`Self::Auto`].
    pub const AUTO: &'static str = "auto";
    /// The largest number.
    pub const MAX: usize = 64;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The number, if it lies within the bounds.
    #[must_use]
    pub fn count(number: u64) -> Option<Self> {
        let number = usize::try_from(number).ok().filter(|number| *number <= Self::MAX)?;
        NonZeroUsize::new(number).map(Self::Count)
    }
}

impl Default for TrialsPerGpu {
    fn default() -> Self {
        Self::Count(NonZeroUsize::MIN)
    }
}

impl FromStr for TrialsPerGpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = || text.parse().ok().and_then(Self::count);
        let found = if text == Self::AUTO { Some(Self::Auto) } else { number() };
        found.ok_or_else(|| format!("neither \"{}\" nor a number from 1 to {}", Self::AUTO, Self::MAX))
    }
}

impl Serialize for TrialsPerGpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(Self::AUTO),
            Self::Count(count) => serializer.serialize_u64(count.get() as u64),
        }
    }
}

impl<'de> Deserialize<'de> for TrialsPerGpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = TrialsPerGpu;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\" or a number from 1 to {}", TrialsPerGpu::AUTO, TrialsPerGpu::MAX)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<TrialsPerGpu, E> {
                TrialsPerGpu::count(number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TrialsPerGpu, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
