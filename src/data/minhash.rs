//! `MinHash` with bands: which texts may be near duplicates, without comparing each with each.
//!
//! A random order of all n-grams makes two texts begin with the same n-gram with a probability of their Jaccard similarity
//! s (Broder, "On the resemblance and containment of documents", 1997). The first n-grams in several orders form a band; two
//! texts of which any band is the same are compared. With b bands of r orders that happens with a probability of
//! 1 − (1 − s^r)^b. The orders are fixed, so that the same texts are found on every machine.

use super::ngrams::mixed;
use crate::{chance::Chance, numbers::whole};

/// The largest number of orders in a band: with fewer, more texts are compared in vain.
const ROWS_MAX: usize = 5;
/// The largest number of bands. Each takes four bytes of a row.
const BANDS_MAX: usize = 40;
/// The probability with which two texts that are just similar enough are missed.
const MISSED: f64 = 0.01;

/// The orders of the n-grams, and how they form bands.
#[derive(Debug)]
pub(super) struct MinHash {
    /// Orders in a band.
    rows: usize,
    /// Of each order: an odd factor, and what is added.
    orders: Vec<(u32, u32)>,
}

impl MinHash {
    /// Bands that miss one in a hundred pairs of just this Jaccard similarity, in thousandths, and fewer of those above it.
    pub(super) fn for_threshold(thousandths: u32) -> Self {
        let similarity = f64::from(thousandths) / 1000.0;
        let bands = |rows: usize| {
            let same = (0..rows).fold(1.0, |product: f64, _| product * similarity);
            (1..BANDS_MAX)
                .find(|bands| (1.0 - same).powf(whole(i64::try_from(*bands).unwrap_or(0))) <= MISSED)
        };
        let choice = (2..=ROWS_MAX).rev().find_map(|rows| Some((rows, bands(rows)?)));
        let (rows, bands) = choice.unwrap_or((2, BANDS_MAX));
        let mut chance = Chance::new(&["minhash"]);
        let mut number = || u32::try_from(chance.below(1 << 32)).unwrap_or(0);
        Self { rows, orders: (0..rows * bands).map(|_| (number() | 1, number())).collect() }
    }

    pub(super) fn bands(&self) -> usize {
        self.orders.len() / self.rows
    }

    /// A key for each band of the text that has these n-grams.
    pub(super) fn keys(&self, ngrams: &[u32]) -> Vec<u32> {
        let mut least = vec![u32::MAX; self.orders.len()];
        for ngram in ngrams {
            for (least, (factor, added)) in least.iter_mut().zip(&self.orders) {
                *least = (*least).min(ngram.wrapping_mul(*factor).wrapping_add(*added));
            }
        }
        let key = |band: &[u32]| {
            band.iter().fold(0, |key: u32, first| mixed((u64::from(key) << 32) | u64::from(*first)))
        };
        least.chunks_exact(self.rows).map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ngrams::{jaccard, ngram_set, ngrams};

    #[test]
    fn bands_are_few_for_a_high_threshold_and_many_for_a_low_one() {
        let shape = |threshold| {
            let minhash = MinHash::for_threshold(threshold);
            (minhash.rows, minhash.bands())
        };
        assert_eq!([shape(900), shape(800), shape(700), shape(500)], [(5, 6), (5, 12), (5, 26), (3, 35)]);
    }

    #[test]
    fn a_text_always_has_the_same_keys() {
        let keys = MinHash::for_threshold(900).keys(&ngrams("房间很大服务也好"));
        assert_eq!(keys, MinHash::for_threshold(900).keys(&ngrams("房间很大服务也好")));
        insta::assert_debug_snapshot!(keys);
    }

    #[test]
    fn texts_above_the_threshold_share_a_band_and_others_do_not() {
        let minhash = MinHash::for_threshold(700);
        let mut chance = Chance::new(&["texts"]);
        let mut text = |characters: usize| -> String {
            (0..characters)
                .filter_map(|_| char::from_u32(0x4e00 + u32::try_from(chance.below(3_000)).unwrap()))
                .collect()
        };
        let (mut found, mut chance_hits) = (0, 0);
        for _ in 0..200 {
            let (begin, changed, end, other) = (text(50), text(4), text(50), text(104));
            let one = format!("{begin}{changed}{end}");
            let near = format!("{begin}{}{end}", text(4));
            assert!(jaccard(&ngram_set(&one), &ngram_set(&near)) >= 700);
            let [one, near, other] = [&one, &near, &other].map(|text| minhash.keys(&ngrams(text)));
            let share = |keys: &[u32]| one.iter().zip(keys).any(|(a, b)| a == b);
            found += u32::from(share(&near));
            chance_hits += u32::from(share(&other));
        }
        assert!(found >= 195 && chance_hits == 0, "{found} of 200, {chance_hits} by chance");
    }
}
