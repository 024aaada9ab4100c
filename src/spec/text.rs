//! The text of a spec, and the folders that its paths are relative to.

use std::path::Path;

/// A spec before it is read.
#[derive(Clone, Copy, Debug)]
pub struct SpecText<'a> {
    /// The file's name as messages show it.
    pub name: &'a str,
    /// The TOML.
    pub text: &'a str,
    /// `key=value` each; the value replaces the key's value in the text.
    pub overrides: &'a [String],
    /// The folder that paths in the text are relative to; absolute.
    pub base: &'a Path,
    /// The folder that paths in overrides are relative to; absolute.
    pub working: &'a Path,
}
