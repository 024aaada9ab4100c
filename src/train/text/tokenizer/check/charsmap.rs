//! The map of characters of a `SentencePiece` model, as `precompiled_charsmap` has it.
//!
//! The bytes are the size of a double array, the array, and texts that each end with a NUL
//! (`spm_precompiled`, `normalizer.cc` of `SentencePiece`). The library follows offsets of the array wherever they lead,
//! so that every way through the array is gone here first.

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::part::{Fault, bytes};

/// Checks a map, and returns how many times longer it can make a text. `field` is its place in the file.
pub(super) fn growth(map: &Value, field: &str) -> Result<f64, Fault> {
    let damaged = |what: &str| Fault::new(field, format!("is no map of characters: {what}"));
    let text = map.as_str().ok_or_else(|| damaged("it is no text"))?;
    let map = STANDARD.decode(text).map_err(|error| damaged(&error.to_string()))?;
    let (size, rest) = map.split_first_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    let size = u32::from_le_bytes(*size) as usize;
    if size == 0 || !size.is_multiple_of(4) || size > rest.len() {
        return Err(damaged(&format!("its array has {size} bytes, but {} are there", rest.len())));
    }
    let (array, texts) = rest.split_at(size);
    let texts = std::str::from_utf8(texts).map_err(|_| damaged("its texts are no UTF-8"))?;
    let (units, _) = array.as_chunks::<4>();
    let units = units.iter().map(|unit| Unit(u32::from_le_bytes(*unit))).collect();
    Walk { units, texts }.growth().ok_or_else(|| damaged("its array leads beyond its end"))
}

/// An element of the double array (`darts.h`).
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    /// The byte that leads here, unless it is a value.
    const fn label(self) -> u32 {
        self.0 & ((1 << 31) | 0xFF)
    }

    /// Whether the text up to here has a value.
    const fn has_value(self) -> bool {
        (self.0 >> 8) & 1 == 1
    }

    /// A value: the place of a text.
    const fn value(self) -> usize {
        (self.0 & ((1 << 31) - 1)) as usize
    }

    /// What leads on to the next elements.
    const fn offset(self) -> usize {
        ((self.0 >> 10) as usize) << ((self.0 & (1 << 9)) >> 6)
    }
}

struct Walk<'a> {
    units: Vec<Unit>,
    texts: &'a str,
}

impl Walk<'_> {
    /// Goes every way through the array. `None` if one leads beyond the array or the texts.
    fn growth(&self) -> Option<f64> {
        let mut growth = 1_f64;
        let mut seen = vec![false; self.units.len()];
        // Places from which a byte leads on, with the number of bytes up to there: the shortest ways first.
        let mut open = VecDeque::from([(self.units.first()?.offset(), 0_usize)]);
        while let Some((place, length)) = open.pop_front() {
            // Any byte may follow, and each of them is looked up.
            let block = place & !0xFF;
            let followers = self.units.get(block..=block | 0xFF)?;
            if std::mem::replace(seen.get_mut(place)?, true) {
                continue;
            }
            for (low, unit) in followers.iter().enumerate() {
                let byte = (block | low) ^ place;
                if byte == 0 || unit.label() as usize != byte {
                    continue;
                }
                let next = (block | low) ^ unit.offset();
                if unit.has_value() {
                    let replaced = self.text(self.units.get(next)?.value())?;
                    growth = growth.max(bytes(replaced) / bytes(length + 1));
                }
                open.push_back((next, length + 1));
            }
        }
        Some(growth)
    }

    /// The length of the text at `start`.
    fn text(&self, start: usize) -> Option<usize> {
        let rest = self.texts.get(start..)?;
        Some(rest.find('\0').unwrap_or(rest.len()))
    }
}
