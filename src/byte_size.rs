//! An amount of bytes, written as people write it: `4GB`, `1.5GB`, `500MB`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, largest first; powers of ten.
const UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("B", 1)];

/// The word that stands for the absence of an amount.
pub const NONE: &str = "none";

/// Bytes, from 1 to [`ByteSize::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The largest amount that is accepted: a million terabytes.
    pub const MAX: Self = Self(1_000_000_000_000_000_000);

    /// The amount written as `text`, such as `4GB` or `1.5 GB`; `None` when `text` is not an amount, or the
    /// amount is 0 or above [`ByteSize::MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        let number = number.trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 12 {
            return None;
        }
        let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
        let parts = u128::from(whole.parse::<u64>().ok()?) * scale + part.parse::<u128>().ok()?;
        let bytes = u64::try_from(parts * u128::from(unit) / scale).ok()?;
        (1..=Self::MAX.0).contains(&bytes).then_some(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    /// Writes the amount in the largest unit that gives a whole number, so that it reads back unchanged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, unit): &&(&str, u64)| self.0.is_multiple_of(*unit) && self.0 > 0;
        let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no amount of bytes")))
    }
}

/// An optional amount as a text for serde: [`NONE`] when absent.
pub(crate) mod or_none {
    use super::{ByteSize, Deserialize, Deserializer, NONE, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        size: &Option<ByteSize>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match size {
            Some(size) => serializer.collect_str(size),
            None => serializer.serialize_str(NONE),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ByteSize>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == NONE {
            return Ok(None);
        }
        let unknown = || de::Error::custom(format!("{text:?} is no amount of bytes"));
        ByteSize::parse(&text).map(Some).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_back_as_it_was_written() {
        for (text, bytes) in [("4GB", 4_000_000_000), ("1500MB", 1_500_000_000), ("7B", 7), ("2KB", 2000)] {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn an_amount_may_have_a_fraction_and_a_space_before_its_unit() {
        assert_eq!(ByteSize::parse("1.5 GB"), Some(ByteSize(1_500_000_000)));
    }

    #[test]
    fn a_text_that_is_no_amount_is_refused() {
        for text in
            ["", "4", "GB", "-1GB", "0GB", "1.GB", ".5GB", "4gb", "4GiB", "1e3MB", "99999999TB", "0.1B"]
        {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }
}
