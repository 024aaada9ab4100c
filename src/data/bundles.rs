//! Which documents belong together, so that nothing parts them: those of one group, and those that are alike.

use std::{collections::HashMap, hash::Hash};

/// Documents, by their places, of which some belong together.
#[derive(Debug)]
pub(super) struct Bundles {
    /// By document: one that it belongs together with, of a lower place, or itself.
    parents: Vec<usize>,
}

impl Bundles {
    /// So many documents, each by itself.
    pub(super) fn of(documents: usize) -> Self {
        Self { parents: (0..documents).collect() }
    }

    /// The first document of those that `document` belongs together with.
    fn first(&mut self, document: usize) -> usize {
        let mut at = document;
        while let Some(&parent) = self.parents.get(at).filter(|parent| **parent != at) {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(own) = self.parents.get_mut(at) {
                *own = above;
            }
            at = parent;
        }
        at
    }

    /// Puts two documents together, with all that belong to either.
    pub(super) fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(later) = self.parents.get_mut(one.max(other)) {
            *later = one.min(other);
        }
    }

    /// Puts those documents together that have the same key; `keys` are those of all documents.
    pub(super) fn unite_equal<K: Eq + Hash>(&mut self, keys: impl Iterator<Item = Option<K>>) {
        let mut firsts: HashMap<K, usize> = HashMap::new();
        for (document, key) in keys.enumerate() {
            let Some(key) = key else { continue };
            match firsts.get(&key) {
                Some(&first) => self.unite(first, document),
                None => _ = firsts.insert(key, document),
            }
        }
    }

    /// The documents of each bundle in order, by their first ones.
    pub(super) fn listed(mut self) -> Vec<Vec<usize>> {
        let mut bundles: Vec<Vec<usize>> = vec![Vec::new(); self.parents.len()];
        for document in 0..self.parents.len() {
            let first = self.first(document);
            if let Some(bundle) = bundles.get_mut(first) {
                bundle.push(document);
            }
        }
        bundles.retain(|bundle| !bundle.is_empty());
        bundles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_in_any_way_is_one_bundle() {
        let mut bundles = Bundles::of(7);
        bundles.unite_equal([Some(1), None, Some(2), Some(1), None, Some(2), Some(3)].into_iter());
        bundles.unite_equal([None, Some(9), None, Some(9), None, None, None].into_iter());
        assert_eq!(bundles.listed(), [vec![0, 1, 3], vec![2, 5], vec![4], vec![6]]);
    }

    #[test]
    fn bundles_do_not_depend_on_the_order_in_which_they_are_made() {
        let united = |pairs: &[(usize, usize)]| {
            let mut bundles = Bundles::of(6);
            for (one, other) in pairs {
                bundles.unite(*one, *other);
            }
            bundles.listed()
        };
        let one = united(&[(0, 5), (5, 2), (3, 4), (4, 2)]);
        assert_eq!(one, [vec![0, 2, 3, 4, 5], vec![1]]);
        assert_eq!(one, united(&[(4, 2), (3, 4), (5, 2), (0, 5)]));
    }
}
