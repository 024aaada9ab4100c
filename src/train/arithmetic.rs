//! Everything besides the job that decides the last bits of a trial's numbers.

use super::ops;
use crate::system::machine::processor_name;

/// The version of the arithmetic. It is raised when a change of the code changes the numbers of a trial.
const NUMBERS: u32 = 2;

/// Identifies the arithmetic of this build on this machine's CPU. Where the texts are equal, the same job has the same
/// numbers to the last bit.
pub(crate) fn identity() -> String {
    let backend = if cfg!(feature = "flex") { "flex" } else { "ndarray" };
    // Virtual machines give the same name to processors with and without these instructions.
    let bf16 = if ops::has_bf16() { "" } else { " without bf16" };
    format!("{NUMBERS} {backend} {}{bf16}", processor_name().unwrap_or_default())
}
