//! What the tests of several subjects need.

pub(crate) mod checkpoint;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod program;
pub(crate) mod results;
pub(crate) mod stand_in;
pub(crate) mod texts;
pub(crate) mod trial_bench;

use std::path::Path;

/// The folder of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
