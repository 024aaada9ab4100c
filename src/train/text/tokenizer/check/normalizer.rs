//! How long a normalizer can make a text.

use serde_json::Value;

use super::{
    charsmap,
    part::{Fault, Part, bytes, parts},
    pattern,
};

/// How many times longer a normalizer may make a text, by the product of what its parts can do at worst. Known
/// normalizers have up to some 400, none of which any real text reaches.
const GROWTH_MAX: f64 = 65_536.0;

/// Checks a normalizer, and returns how many times longer it can make a text.
pub(super) fn check(value: &Value) -> Result<f64, Fault> {
    let mut growth = 1.0;
    for part in parts(value, "normalizer", "normalizers")? {
        growth *= growth_of(&part)?;
    }
    if growth > GROWTH_MAX {
        let what = format!("can make a text {growth:.0} times longer, more than {GROWTH_MAX} times");
        return Err(Fault::new("normalizer", what));
    }
    Ok(growth)
}

/// By part of a normalizer, as the file lists them: how many times longer it can make a text.
pub(crate) fn growths(normalizer: &Value) -> Option<Vec<f64>> {
    let parts = parts(normalizer, "normalizer", "normalizers").ok()?;
    parts.iter().map(|part| growth_of(part).ok()).collect()
}

/// How many times longer the part of a normalizer can make a text, in bytes.
fn growth_of(part: &Part<'_>) -> Result<f64, Fault> {
    // The longest compatibility decomposition, of U+FDFA, is 11 times as long; canonical ones are 3 times as long. A
    // part of an unknown kind is one of BERT, or known by its keys.
    let mut growth: f64 = match part.kind() {
        "Strip" | "StripAccents" | "Nmt" | "Precompiled" | "Prepend" | "Replace" => 1.0,
        "Lowercase" => 1.5,
        "ByteLevel" => 2.0,
        "NFC" | "NFD" => 3.0,
        _ => 11.0,
    };
    // The library panics at one without its map.
    if part.kind() == "Precompiled" || part.value.get("precompiled_charsmap").is_some() {
        let map = &part.value["precompiled_charsmap"];
        growth = growth.max(charsmap::growth(map, &format!("{}.precompiled_charsmap", part.field))?);
    }
    if part.value.get("prepend").is_some() {
        growth = growth.max(bytes(1 + part.length("prepend")?));
    }
    if let Some(pattern) = part.value.get("pattern") {
        pattern::of(part)?;
        let content = bytes(part.length("content")?);
        let replaced = pattern["String"].as_str().unwrap_or_default().len();
        // A pattern may match the empty text between any two characters.
        growth = growth.max(if replaced == 0 { 1.0 + content } else { content / bytes(replaced) });
    }
    Ok(growth)
}
