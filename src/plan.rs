//! From a spec to the plan of its trials, and from one plan of a sweep to the next.
//!
//! Everything here is pure: the same spec gives the same plan on every machine.

mod contents;
mod describe;
mod differences;
mod draws;
mod forecast;
mod notes;
mod prefixes;
mod proposals;
mod revision;
mod sobol;
mod trials;

pub use contents::{Plan, Removed, Scale};
pub use describe::{Overview, describe};
pub use differences::Difference;
pub use forecast::{DiskForecast, size};
pub use prefixes::prefixes;
pub use proposals::Known;
pub use revision::{LoggedTrial, Revision};
pub use trials::{confirming, grown, merged};
