//! What stays in memory of a row: where it stands, its class, and a digest of its text. The text does not stay, since
//! a file may be larger than the memory.

use sha2::{Digest, Sha256};

/// Bytes that a row takes while it is read and divided, growth and copies included: so many rows fit the memory.
pub(super) const ROW_BYTES: u64 = 80;

/// One row of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1, without the header.
    pub(super) id: u32,
    /// Its label: an index into the labels of its file, and later into those of the data set.
    pub(super) label: u32,
    pub(super) text: TextDigest,
}

/// A digest of a text, which ignores what [`normal`] does. Different texts have the same one as rarely as two of 2^64
/// texts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TextDigest([u8; 16]);

impl TextDigest {
    pub(super) fn of(text: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(normal(text).as_bytes()).into();
        let mut digest = [0; 16];
        digest.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
        Self(digest)
    }
}

/// `text` without surrounding white space, and every other run of white space as one space.
pub(super) fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.push_str(word);
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_white_space_have_one_digest() {
        assert_eq!(TextDigest::of(" a \n b"), TextDigest::of("a b"));
        assert_ne!(TextDigest::of("ab"), TextDigest::of("a b"));
    }
}
