//! `builtin:reviews`: a stand-in of the generator.

use super::Document;
use crate::chance::Chance;

/// The classes.
pub const LABELS: [&str; 2] = ["negative", "positive"];
/// Documents of `builtin:reviews`.
pub const DOCUMENTS: usize = 400;

/// The documents that belong to `seed`.
#[must_use]
pub fn generate(seed: u64, documents: usize) -> Vec<Document> {
    let mut chance = Chance::new(&["reviews", &seed.to_string()]);
    (1..=documents)
        .map(|id| {
            let label = usize::from(chance.below(2) == 1);
            let opinion = if label == 1 { "很好" } else { "很差" };
            Document { id, text: format!("第{id}次住，房间{opinion}。"), label }
        })
        .collect()
}

/// Temporary.
#[must_use]
pub fn vocabulary() -> Vec<char> {
    "第次住房间很好差。".chars().collect()
}
