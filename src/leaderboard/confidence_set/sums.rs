//! Sums over documents with random weights, for several models and many rounds at once.
//!
//! Models mostly agree. So a model's sums are taken over the documents for which it differs from the first model, with
//! the first model's own sums subtracted.

use std::collections::BTreeMap;

use super::models::Models;

/// Number of rounds that are computed together, by instructions that work on several of them at once.
pub(super) const LANES: usize = 256;

/// One figure for each round of a block.
pub(super) type Lanes = [f32; LANES];

/// Sums over the documents of the weights of a round, for one model and one class.
#[derive(Clone)]
pub(super) struct Sums {
    /// Over the documents that the model rightly predicts as of the class.
    pub(super) hits: Lanes,
    /// Over the documents that the model predicts as of the class.
    pub(super) named: Lanes,
}

impl Sums {
    /// The sums over no document.
    pub(super) const ZERO: Self = Self { hits: [0.0; LANES], named: [0.0; LANES] };
}

/// The sums of each member less those of the first member, for each class that counts.
///
/// `members` are places of models. `weights` gives the weights of a document, by its place; it is asked once for each
/// document, in their order.
pub(super) fn differences(
    models: &Models,
    members: &[usize],
    mut weights: impl FnMut(usize) -> Lanes,
) -> Vec<Vec<Sums>> {
    let mut sums = vec![vec![Sums::ZERO; models.terms.len()]; members.len()];
    let Some((&first, others)) = members.split_first() else { return sums };
    let term_of: BTreeMap<u32, usize> =
        models.terms.iter().enumerate().map(|(place, term)| (term.class, place)).collect();
    for (document, &label) in models.labels.iter().enumerate() {
        let weights = weights(document);
        let usual = models.different[first].predicted[document];
        for (sums, &member) in sums.iter_mut().skip(1).zip(others) {
            let own = models.different[member].predicted[document];
            if own == usual {
                continue;
            }
            for (class, sign) in [(own, 1.0), (usual, -1.0)] {
                if let Some(&term) = term_of.get(&class) {
                    add(&mut sums[term].named, sign, &weights);
                    if class == label {
                        add(&mut sums[term].hits, sign, &weights);
                    }
                }
            }
        }
    }
    sums
}

/// Adds `factor` times the weights to the sums.
pub(super) fn add(sums: &mut Lanes, factor: f32, weights: &Lanes) {
    for (sum, each) in sums.iter_mut().zip(weights) {
        *sum += factor * each;
    }
}
