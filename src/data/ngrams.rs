//! Texts as sets of n-grams of characters, and how much two of them have in common.
//!
//! An n-gram is kept as 32 bits of a hash. Two of a text's n-grams that differ have one hash as rarely as one pair in 2^32.

/// Characters of an n-gram. With more, a single changed character makes short texts unlike; with fewer, texts of one
/// subject are alike.
const CHARACTERS: usize = 3;
/// Bits of a character.
const CHARACTER_BITS: u32 = 21;

/// The hashes of all n-grams of a text in normal form, in the order of the text. A text that is shorter than an n-gram has
/// one of all its characters; an empty text has none.
pub(super) fn ngrams(normal: &str) -> Vec<u32> {
    let mask = (1_u64 << (CHARACTER_BITS * 3)) - 1;
    let (mut window, mut seen, mut hashes) = (0_u64, 0_usize, Vec::with_capacity(normal.len() / 2));
    for c in normal.chars() {
        window = ((window << CHARACTER_BITS) | u64::from(u32::from(c))) & mask;
        seen += 1;
        if seen >= CHARACTERS {
            hashes.push(mixed(window));
        }
    }
    if (1..CHARACTERS).contains(&seen) {
        hashes.push(mixed(window));
    }
    hashes
}

/// The hashes of the n-grams of a text in normal form, sorted, each once.
pub(super) fn ngram_set(normal: &str) -> Vec<u32> {
    let mut hashes = ngrams(normal);
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014),
/// cut to 32 bits.
pub(super) fn mixed(number: u64) -> u32 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from((x ^ (x >> 31)) >> 32).unwrap_or(0)
}

/// The Jaccard similarity of two sets, sorted and each member once, in thousandths, rounded down: members of both by
/// members of either. 0 for two empty sets.
pub(super) fn jaccard(one: &[u32], other: &[u32]) -> u32 {
    let (mut a, mut b, mut both) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (one.get(a), other.get(b)) {
        both += usize::from(x == y);
        a += usize::from(x <= y);
        b += usize::from(y <= x);
    }
    let either = one.len() + other.len() - both;
    u32::try_from(1000 * both / either.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_an_ngram_at_each_character_but_the_last_two() {
        assert_eq!(ngrams("abcab").len(), 3);
        assert_eq!(ngrams("abcabc")[0], ngrams("abcabc")[3]);
    }

    #[test]
    fn a_text_that_is_shorter_than_an_ngram_has_one() {
        assert_eq!([ngrams("").len(), ngrams("a").len(), ngrams("ab").len()], [0, 1, 1]);
        assert_ne!(ngrams("a"), ngrams("b"));
    }

    #[test]
    fn the_similarity_is_that_of_the_sets() {
        // abc, bcd, cde and bcd, cde, def: two of four.
        assert_eq!(jaccard(&ngram_set("abcde"), &ngram_set("bcdef")), 500);
        assert_eq!(jaccard(&ngram_set("abcde"), &ngram_set("abcde")), 1000);
        assert_eq!(jaccard(&ngram_set("abc"), &ngram_set("xyz")), 0);
        assert_eq!(jaccard(&[], &[]), 0);
    }
}
