//! What several models predicted for the same documents, reduced to what their F1 depends on.

use crate::{
    leaderboard::predictions::Prediction,
    metrics::{Average, Target},
    numbers::count,
};

/// The predictions of several models for the same documents.
pub struct SamePredictions {
    /// The documents' numbers and true classes.
    documents: Vec<(u64, usize)>,
    /// The predicted classes of each model, in the order of the documents.
    predicted: Vec<Vec<u32>>,
    /// The variance of a difference in F1, in parts of that over documents.
    variance: f64,
}

impl SamePredictions {
    /// The predictions of one model; those of others are to be added.
    #[must_use]
    pub fn starting_with(first: &[Prediction]) -> Self {
        let documents = first.iter().map(|each| (each.id, each.label)).collect();
        Self { documents, predicted: vec![classes(first)], variance: 1.0 }
    }

    /// The same, of models that each stand for several ones: of so many folds, each trained on all others.
    ///
    /// The training documents of the folds overlap, so that their models have luck in common, which the documents that they
    /// predict do not show. The variance is that of Nadeau and Bengio (2003, "Inference for the generalization error",
    /// Machine Learning 52): 1/k + 1/(k − 1) of that of a fold in place of 1/k.
    #[must_use]
    pub(in crate::leaderboard) fn over_folds(self, folds: u32) -> Self {
        let folds = f64::from(folds.max(2));
        Self { variance: 1.0 + folds / (folds - 1.0), ..self }
    }

    /// Adds a model, unless its predictions are about other documents. Answers whether it was added.
    #[must_use]
    pub fn add(&mut self, model: &[Prediction]) -> bool {
        let is_same = model.iter().map(|each| (each.id, each.label)).eq(self.documents.iter().copied());
        if is_same {
            self.predicted.push(classes(model));
        }
        is_same
    }
}

/// The predicted classes.
fn classes(model: &[Prediction]) -> Vec<u32> {
    model.iter().map(|each| class(each.predicted)).collect()
}

/// A class in half the memory, since there are many predictions. No task has 2^32 classes.
fn class(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The different models among several, from the highest F1 to the lowest.
pub(super) struct Models {
    /// Each different model once. Models of equal F1 stand in the order of their predictions, so that the
    /// order in which the models came plays no part.
    pub(super) different: Vec<Model>,
    /// The place in `different` of each model that came, in the order in which they came.
    pub(super) places: Vec<usize>,
    /// The documents' true classes, ascending.
    pub(super) labels: Vec<u32>,
    /// The classes whose F1 counts.
    pub(super) terms: Vec<Term>,
    /// The variance of a difference in F1, in parts of that over documents.
    pub(super) variance: f64,
}

/// A class whose F1 counts.
pub(super) struct Term {
    /// The class.
    pub(super) class: u32,
    /// Its weight in the F1 that counts.
    pub(super) weight: f64,
}

/// One model.
pub(super) struct Model {
    /// The predicted classes, in the order of [`Models::labels`].
    pub(super) predicted: Vec<u32>,
    /// The counts of each term.
    pub(super) counts: Vec<Counts>,
    /// The F1 that counts.
    pub(super) f1: f64,
}

/// The counts of a class from which its F1 follows.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Number of documents of the class that were predicted as such.
    pub(super) hits: f64,
    /// Number of documents of the class plus number of documents that were predicted as such.
    pub(super) both: f64,
}

impl Models {
    /// Reduces `same` to what `target` depends on.
    pub(super) fn new(same: &SamePredictions, target: Target) -> Self {
        let mut documents: Vec<(u32, usize)> = same
            .documents
            .iter()
            .enumerate()
            .map(|(place, (_, label))| (seen(target, class(*label), class(*label)), place))
            .collect();
        documents.sort_unstable();
        let labels: Vec<u32> = documents.iter().map(|(label, _)| *label).collect();
        let see = |model: &Vec<u32>| -> Vec<u32> {
            let truth = |place: usize| class(same.documents[place].1);
            documents.iter().map(|&(_, place)| seen(target, truth(place), model[place])).collect()
        };
        let all: Vec<Vec<u32>> = same.predicted.iter().map(see).collect();
        let terms = terms(target, &labels, &all);
        let mut by_predictions: Vec<usize> = (0..all.len()).collect();
        by_predictions.sort_by(|&a, &b| all[a].cmp(&all[b]));
        let mut different: Vec<(Model, Vec<usize>)> = Vec::new();
        for each in by_predictions {
            match different.last_mut() {
                Some((model, members)) if model.predicted == all[each] => members.push(each),
                _ => different.push((Model::new(all[each].clone(), &labels, &terms), vec![each])),
            }
        }
        // A stable sort: models of equal F1 keep the order of their predictions.
        different.sort_by(|(a, _), (b, _)| b.f1.total_cmp(&a.f1));
        let mut places = vec![0; all.len()];
        for (place, (_, members)) in different.iter().enumerate() {
            for &member in members {
                places[member] = place;
            }
        }
        let different = different.into_iter().map(|(model, _)| model).collect();
        Self { different, places, labels, terms, variance: same.variance }
    }
}

impl Model {
    fn new(predicted: Vec<u32>, labels: &[u32], terms: &[Term]) -> Self {
        let counts = |term: &Term| {
            let is = |class: &u32| *class == term.class;
            let hits = predicted.iter().zip(labels).filter(|(a, b)| is(a) && is(b)).count();
            let of_class = labels.iter().filter(|class| is(class)).count();
            let named = predicted.iter().filter(|class| is(class)).count();
            Counts { hits: count(hits), both: count(of_class + named) }
        };
        let counts: Vec<Counts> = terms.iter().map(counts).collect();
        let f1 = counts.iter().zip(terms).map(|(counts, term)| term.weight * counts.f1()).sum();
        Self { predicted, counts, f1 }
    }
}

impl Counts {
    /// 2 · hits / (true + predicted), the harmonic mean of precision and recall; 0 without a document.
    pub(super) fn f1(self) -> f64 {
        if self.both > 0.0 { 2.0 * self.hits / self.both } else { 0.0 }
    }
}

/// The class `predicted` for a document of the class `truth`, as far as `target` sees it.
///
/// The F1 of one class sees whether a class is that class (1) or not (0). Micro-F1 is the accuracy. It sees
/// whether the prediction is right (1) or not (0), and every document is of class 1. With a the accuracy, the
/// F1 of this class 1 is 2a / (1 + a), which rises with a: comparing the one is comparing the other.
fn seen(target: Target, truth: u32, predicted: u32) -> u32 {
    match target {
        Target::Class(counted) => u32::from(predicted == class(counted)),
        Target::Average(Average::Micro) => u32::from(predicted == truth),
        Target::Average(Average::Macro | Average::Weighted) => predicted,
    }
}

/// The classes whose F1 counts, with their weights.
fn terms(target: Target, labels: &[u32], models: &[Vec<u32>]) -> Vec<Term> {
    let macro_or_weighted = |weight: &dyn Fn(u32) -> f64| {
        let classes = labels.iter().chain(models.iter().flatten()).max().map_or(0, |class| class + 1);
        (0..classes)
            .map(|class| Term { class, weight: weight(class) })
            .filter(|term| term.weight > 0.0)
            .collect()
    };
    let support = |class: u32| count(labels.iter().filter(|label| **label == class).count());
    match target {
        Target::Class(_) | Target::Average(Average::Micro) => vec![Term { class: 1, weight: 1.0 }],
        Target::Average(Average::Macro) => macro_or_weighted(&|_| 1.0),
        Target::Average(Average::Weighted) => macro_or_weighted(&support),
    }
}
