//! What decides the last bits of a trial's numbers.

use super::ops;
use crate::system::machine::processor_name;

/// Raised whenever the same trial would come out with other numbers than before.
const NUMBERS: u32 = 2;

/// What decides the last bits of a trial's numbers on the CPU, as a text: builds of the same text on
/// processors of the same name compute the same.
pub(crate) fn identity() -> String {
    let backend = if cfg!(feature = "flex") { "flex" } else { "ndarray" };
    // Virtual machines give processors of several kinds the same name.
    let bf16 = if ops::has_bf16() { "" } else { " without bf16" };
    format!("{NUMBERS} {backend} {}{bf16}", processor_name().unwrap_or_default())
}
