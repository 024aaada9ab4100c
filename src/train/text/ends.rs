//! Ranges that lie one after another, given by where each of them ends.

use std::ops::Range;

/// The range that ends at `ends[index]` and begins where the one before it ends; no end is above `length`.
///
/// Ends that are mapped may change while they are used. Numbers are then wrong until that is noticed, but no access is
/// out of bounds.
pub(super) fn range(ends: &[u64], index: usize, length: usize) -> Range<usize> {
    let place = |index: usize| ends.get(index).and_then(|&end| usize::try_from(end).ok()).unwrap_or(length);
    let end = place(index).min(length);
    index.checked_sub(1).map_or(0, place).min(end)..end
}

/// Whether `ends` are the ends of ranges that are not empty and together cover `length`.
pub(super) fn are_ends(ends: &[u64], length: usize) -> bool {
    let mut start = 0;
    ends.iter().all(|end| *end > std::mem::replace(&mut start, *end)) && start == length as u64
}
