//! The documents of one split, to be asked which of them is like another document.

use std::collections::HashMap;

use super::{
    leak_report::{Likeness, RowOf},
    near::NearTexts,
    row::TextDigest,
    spec::SplitName,
};

/// What is compared of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) text: TextDigest,
    /// A digest of its normal form; 0 if nothing is left of it.
    pub(super) normal: u64,
    /// A digest of its group; 0 if it belongs to none.
    pub(super) group: u64,
}

/// A document that is like another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partner {
    pub(super) likeness: Likeness,
    pub(super) row: RowOf,
    /// The Jaccard similarity of near duplicates, in thousandths.
    pub(super) similarity: Option<u32>,
}

/// Documents with one normal form.
#[derive(Clone, Copy, Debug)]
struct SameForm {
    text: TextDigest,
    id: u32,
    /// The first document with another text.
    other: Option<u32>,
}

/// The documents of a split, the first one of each text, normal form and group.
#[derive(Debug)]
pub(super) struct AlikeIndex {
    split: SplitName,
    texts: HashMap<TextDigest, u32>,
    forms: HashMap<u64, SameForm>,
    groups: HashMap<u64, u32>,
}

impl AlikeIndex {
    pub(super) fn new(split: SplitName, documents: impl Iterator<Item = (u32, Facts)>) -> Self {
        let (texts, forms, groups) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut index = Self { split, texts, forms, groups };
        for (id, Facts { text, normal, group }) in documents {
            index.texts.entry(text).or_insert(id);
            if normal != 0 {
                let form = index.forms.entry(normal).or_insert(SameForm { text, id, other: None });
                if form.text != text {
                    form.other.get_or_insert(id);
                }
            }
            if group != 0 {
                index.groups.entry(group).or_insert(id);
            }
        }
        index
    }

    /// The first document that is like the one with these facts in this way.
    pub(super) fn partner(&self, facts: &Facts, likeness: Likeness, near: &NearTexts) -> Option<Partner> {
        let (id, similarity) = match likeness {
            Likeness::Exact => (self.texts.get(&facts.text).copied(), None),
            Likeness::Normalised => {
                let form = self.forms.get(&facts.normal).filter(|_| facts.normal != 0);
                let other =
                    |form: &SameForm| if form.text == facts.text { form.other } else { Some(form.id) };
                (form.and_then(other), None)
            }
            Likeness::Near => {
                let mut texts = near.of(facts.normal).iter();
                let found =
                    texts.find_map(|(normal, similarity)| Some((self.forms.get(normal)?, similarity)));
                (found.map(|(form, _)| form.id), found.map(|(_, similarity)| *similarity))
            }
            Likeness::Group => (self.groups.get(&facts.group).filter(|_| facts.group != 0).copied(), None),
        };
        Some(Partner { likeness, row: RowOf { split: self.split, row: id? }, similarity })
    }

    /// The document that is like the one with these facts, in the first way that holds.
    pub(super) fn first_partner(&self, facts: &Facts, near: &NearTexts) -> Option<Partner> {
        Likeness::ALL.into_iter().find_map(|likeness| self.partner(facts, likeness, near))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str, normal: u64, group: u64) -> Facts {
        Facts { text: TextDigest::of(text), normal, group }
    }

    fn index() -> AlikeIndex {
        let documents = [facts("a", 1, 7), facts("a", 1, 7), facts("A", 1, 8), facts("…", 0, 0)];
        AlikeIndex::new(SplitName::Train, (1..).zip(documents))
    }

    fn found(facts: Facts) -> Option<(Likeness, u32)> {
        let partner = index().first_partner(&facts, &NearTexts::default());
        partner.map(|partner| (partner.likeness, partner.row.row))
    }

    #[test]
    fn the_first_way_that_holds_counts() {
        assert_eq!(found(facts("A", 1, 7)), Some((Likeness::Exact, 3)));
        assert_eq!(found(facts("a!", 1, 7)), Some((Likeness::Normalised, 1)));
        assert_eq!(found(facts("b", 2, 8)), Some((Likeness::Group, 3)));
        assert_eq!(found(facts("b", 2, 9)), None);
    }

    #[test]
    fn the_same_text_is_no_partner_in_normal_form() {
        let near = NearTexts::default();
        let partner = index().partner(&facts("a", 1, 0), Likeness::Normalised, &near).unwrap();
        assert_eq!(partner.row.row, 3, "the first one with another text");
    }

    #[test]
    fn texts_of_which_nothing_is_left_are_alike_only_if_they_are_the_same() {
        assert_eq!(found(facts("…", 0, 0)), Some((Likeness::Exact, 4)));
        assert_eq!(found(facts("!", 0, 0)), None);
    }
}
