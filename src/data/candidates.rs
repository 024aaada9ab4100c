//! Pairs of texts of two splits that share a band of keys, and so may be near duplicates.
//!
//! Where very many texts share a band, not each is paired with each: every text of the larger side gets a few partners, so
//! that their number grows with the texts and not with its square.

use super::{row::Row, spec::SplitName, split::Splits, traces::FileTraces};

/// Partners of a text within one band of many texts.
const PARTNERS: usize = 4;
/// Pairs that are kept at once: 128 MiB of them.
const PAIRS_MAX: usize = 16 << 20;

/// One text of a split: the first row of those whose normal forms are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) split: SplitName,
    pub(super) id: u32,
    pub(super) normal: u64,
}

/// Texts and pairs of them, as places among the texts: the one of the earlier split first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    /// By split and row.
    pub(super) texts: Vec<Text>,
    /// By the second text.
    pub(super) pairs: Vec<(u32, u32)>,
    /// Whether there would have been more pairs than are kept.
    pub(super) is_cut: bool,
}

/// The traces of the file that has a split.
pub(super) fn traces_of(traces: &[FileTraces], split: SplitName) -> Option<&FileTraces> {
    traces.get((split as usize).min(traces.len().saturating_sub(1)))
}

impl Candidates {
    /// The pairs of `splits` whose texts share one of so many bands, and are not the same in normal form. If train and
    /// validation are folded, texts of one of them are paired too.
    pub(super) fn of(splits: &Splits, traces: &[FileTraces], bands: usize, are_folded: bool) -> Self {
        let mut found = Self { texts: texts(splits, traces), ..Self::default() };
        let mut members: Vec<(u32, u32)> = Vec::with_capacity(found.texts.len());
        for band in 0..bands {
            members.clear();
            let key = |text: &Text| traces_of(traces, text.split).map_or(0, |it| it.key(band, text.id));
            members.extend(found.texts.iter().map(key).zip(0..));
            members.sort_unstable();
            for same in members.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
                found.pair_up(same, are_folded);
            }
            if found.pairs.len() > PAIRS_MAX {
                found.settle();
                if found.pairs.len() > PAIRS_MAX {
                    found.pairs.truncate(PAIRS_MAX);
                    found.is_cut = true;
                    break;
                }
            }
        }
        found.settle();
        found
    }

    /// Adds pairs of the texts that share a key, which are in order.
    fn pair_up(&mut self, same: &[(u32, u32)], are_folded: bool) {
        let split = |member: &(u32, u32)| self.texts.get(member.1 as usize).map(|text| text.split);
        let by_split: Vec<&[(u32, u32)]> = same.chunk_by(|one, other| split(one) == split(other)).collect();
        let mut pairs = Vec::new();
        for (at, later) in by_split.iter().enumerate() {
            for earlier in by_split.iter().take(at) {
                pair_sides(earlier, later, &mut |a, b| pairs.push((a, b)));
            }
            if are_folded && later.first().and_then(split) != Some(SplitName::Test) {
                pair_within(later, &mut |a, b| pairs.push((a, b)));
            }
        }
        let normal = |at: u32| self.texts.get(at as usize).map(|text| text.normal);
        self.pairs.extend(pairs.into_iter().filter(|(a, b)| normal(*a) != normal(*b)));
    }

    /// Sorts the pairs by their later text, and keeps each once.
    fn settle(&mut self) {
        self.pairs.sort_unstable_by_key(|(earlier, later)| (*later, *earlier));
        self.pairs.dedup();
    }
}

/// Pairs each with each if they are few, else each of the larger side with some of the other.
fn pair_sides(earlier: &[(u32, u32)], later: &[(u32, u32)], pair: &mut dyn FnMut(u32, u32)) {
    let (most, fewest) = (earlier.len().max(later.len()), earlier.len().min(later.len()));
    let partners = if fewest <= PARTNERS { fewest } else { PARTNERS };
    for at in 0..most {
        for step in 0..partners {
            let other = (at + step) % fewest.max(1);
            let (a, b) = if earlier.len() == most { (at, other) } else { (other, at) };
            if let (Some(a), Some(b)) = (earlier.get(a), later.get(b)) {
                pair(a.1, b.1);
            }
        }
    }
}

/// Pairs each text with those behind it: with all of them if they are few, else with the next ones, so that all are still
/// connected.
fn pair_within(side: &[(u32, u32)], pair: &mut dyn FnMut(u32, u32)) {
    for (at, one) in side.iter().enumerate() {
        side.iter().skip(at + 1).take(PARTNERS).for_each(|other| pair(one.1, other.1));
    }
}

/// The texts of all splits, without those of which nothing is left in normal form.
fn texts(splits: &Splits, traces: &[FileTraces]) -> Vec<Text> {
    let of_split = |split: SplitName| {
        let normal = |row: &Row| traces_of(traces, split).map_or(0, |it| it.normal(row.id));
        let mut texts: Vec<Text> =
            splits.of(split).iter().map(|row| Text { split, id: row.id, normal: normal(row) }).collect();
        texts.retain(|text| text.normal != 0);
        texts.sort_unstable_by_key(|text| (text.normal, text.id));
        texts.dedup_by_key(|text| text.normal);
        texts.sort_unstable_by_key(|text| text.id);
        texts
    };
    SplitName::ALL.into_iter().flat_map(of_split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(earlier: u32, later: u32) -> Vec<(u32, u32)> {
        let side = |from: u32, count: u32| (from..from + count).map(|at| (7, at)).collect::<Vec<_>>();
        let mut found = Vec::new();
        pair_sides(&side(0, earlier), &side(1_000, later), &mut |a, b| found.push((a, b)));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn few_texts_that_share_a_band_are_all_paired() {
        assert_eq!(pairs(2, 3).len(), 6);
        assert_eq!(pairs(4, 4).len(), 16);
        assert_eq!(pairs(1, 100).len(), 100);
    }

    #[test]
    fn the_pairs_of_many_texts_grow_with_their_number() {
        assert_eq!(pairs(100, 200).len(), 200 * PARTNERS);
    }

    #[test]
    fn every_text_that_shares_a_band_with_many_has_a_partner() {
        let found = pairs(30, 50);
        assert!((0..30).all(|at| found.iter().any(|pair| pair.0 == at)));
        assert!((1_000..1_050).all(|at| found.iter().any(|pair| pair.1 == at)));
    }
}
