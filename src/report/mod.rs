//! Pictures.
#[cfg(test)]
pub(crate) mod samples;
