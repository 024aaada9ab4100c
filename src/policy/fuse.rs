//! `fuse`: how many trials are trained together, as one model.

use std::{fmt, num::NonZeroUsize};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How many trials of one shape a worker trains together, as one model with a leading axis of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fuse {
    /// On a GPU up to [`Self::AUTO_MAX`], on the CPU one.
    #[default]
    Auto,
    /// One: each trial is trained alone.
    Off,
    /// At most this number, on any device.
    Groups(NonZeroUsize),
}

impl Fuse {
    /// The word for [`Self::Auto`].
    pub const AUTO: &'static str = "auto";
    /// The word for [`Self::Off`].
    pub const OFF: &'static str = "off";
    /// The most trials that [`Self::Auto`] has trained together.
    pub const AUTO_MAX: usize = 32;

    /// The most trials that are trained together on a device.
    #[must_use]
    pub const fn trials_max(self, is_gpu: bool) -> usize {
        match self {
            Self::Auto if is_gpu => Self::AUTO_MAX,
            Self::Auto | Self::Off => 1,
            Self::Groups(count) => count.get(),
        }
    }

    /// Whether it is what holds where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What a spec's word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            Self::AUTO => Some(Self::Auto),
            Self::OFF => Some(Self::Off),
            _ => None,
        }
    }
}

impl Serialize for Fuse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(Self::AUTO),
            Self::Off => serializer.serialize_str(Self::OFF),
            Self::Groups(count) => serializer.serialize_u64(count.get() as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Fuse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Fuse;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", \"off\" or a number of trials")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Fuse, E> {
                let count = usize::try_from(count).ok().and_then(NonZeroUsize::new);
                count.map(Fuse::Groups).ok_or_else(|| E::custom("no number of trials"))
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Fuse, E> {
                Fuse::of_word(word)
                    .ok_or_else(|| E::custom("neither \"auto\", \"off\" nor a number of trials"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_itself_only_a_gpu_trains_trials_together() {
        assert_eq!([true, false].map(|is_gpu| Fuse::Auto.trials_max(is_gpu)), [Fuse::AUTO_MAX, 1]);
        assert_eq!([true, false].map(|is_gpu| Fuse::Off.trials_max(is_gpu)), [1, 1]);
        let four = Fuse::Groups(NonZeroUsize::new(4).unwrap());
        assert_eq!([true, false].map(|is_gpu| four.trials_max(is_gpu)), [4, 4]);
    }
}
