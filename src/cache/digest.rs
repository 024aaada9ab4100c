//! The digest of an entry: of its bytes in memory, and of its file.

use std::{fs::File, io, os::unix::fs::FileExt};

use sha2::{Digest, Sha256};

/// The first byte that the digest covers: before it stand the magic and the digest itself.
const COVERED: usize = 48;
/// Bytes that are read at a time.
const BLOCK: usize = 1 << 20;

/// SHA-256 of those of an entry's bytes that its digest covers.
pub(super) fn digest(entry: &[u8]) -> [u8; 32] {
    Sha256::digest(entry.get(COVERED..).unwrap_or_default()).into()
}

/// As [`digest`], of the entry in `file`.
pub(super) fn file_digest(file: &File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut at = COVERED as u64;
    loop {
        match file.read_at(&mut block, at)? {
            0 => return Ok(hash.finalize().into()),
            read => {
                hash.update(block.get(..read).unwrap_or_default());
                at += read as u64;
            }
        }
    }
}
