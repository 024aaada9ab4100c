//! Folds: train and validation together are divided into parts, each of which one trial validates on.
//!
//! What belongs together is in one fold: documents of one group, and those that are alike in a way that is not kept. Large
//! bundles of them are placed first, each where its classes are rarest so far. Then every other document goes where its
//! class is rarest, and of such folds into the smallest. So without bundles each fold has each class within one document
//! of its share. The same files and spec give the same folds on every machine.

use std::collections::HashMap;

use super::{
    alike_index::Facts,
    bundles::Bundles,
    dataset::Document,
    error::DataError,
    near::NearTexts,
    row::Row,
    spec::{DataSpec, Duplicates, Source, SplitName},
    split::Splits,
};
use crate::{chance::Chance, numbers::count};

/// By how much of its share a fold may be too large or too small before a note says so.
const FAR: f64 = 0.25;

/// A document that is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The split that it comes from.
    pub(super) split: SplitName,
    pub(super) row: Row,
    /// Its fold, from 1.
    pub(super) fold: u32,
}

/// The documents that are folded: those of train and validation.
#[derive(Debug)]
pub(super) struct Folded {
    /// By their rows, those of a validation file behind those of the training file.
    pub(super) members: Vec<Member>,
    /// Number of folds.
    folds: u32,
    /// Documents that are in one fold with others that they belong to.
    pub(super) bundled: usize,
}

/// What decides which documents belong together.
pub(super) struct Together<'a> {
    pub(super) spec: &'a DataSpec,
    /// What is compared of a document.
    pub(super) facts: &'a dyn Fn(SplitName, &Row) -> Facts,
    pub(super) near: &'a NearTexts,
}

/// Divides the documents of train and validation into `folds`. `labels` are the names of their classes.
///
/// # Errors
/// When there are fewer parts that can be parted than folds, or a class is in one fold only.
pub(super) fn fold(
    splits: &Splits,
    folds: u32,
    labels: &[String],
    together: &Together<'_>,
) -> Result<Folded, Vec<DataError>> {
    let mut members: Vec<Member> = [SplitName::Train, SplitName::Validation]
        .into_iter()
        .flat_map(|split| splits.of(split).iter().map(move |row| Member { split, row: *row, fold: 0 }))
        .collect();
    if !matches!(together.spec.source, Source::Files { .. }) {
        members.sort_unstable_by_key(|member| member.row.id);
    }
    let bundles = together.bundles(&members);
    if bundles.len() < folds as usize {
        return Err(vec![DataError::FewToFold { parts: bundles.len(), folds }]);
    }
    let kept_together = bundles.iter().map(Vec::len).filter(|size| *size > 1).sum();
    let classes: Vec<u32> = members.iter().map(|member| member.row.label).collect();
    let found = divided(&classes, bundles, labels.len(), (folds, together.spec.seed));
    for (member, fold) in members.iter_mut().zip(found) {
        member.fold = fold;
    }
    let folded = Folded { members, folds, bundled: kept_together };
    let faults = folded.of_one_fold(labels);
    if faults.is_empty() { Ok(folded) } else { Err(faults) }
}

impl Together<'_> {
    /// The documents that belong together, by their places.
    fn bundles(&self, members: &[Member]) -> Vec<Vec<usize>> {
        let facts: Vec<Facts> =
            members.iter().map(|member| (self.facts)(member.split, &member.row)).collect();
        let mut bundles = Bundles::of(members.len());
        let some = |digest: u64| (digest != 0).then_some(digest);
        if self.spec.duplicates != Duplicates::Keep {
            bundles.unite_equal(facts.iter().map(|facts| Some(facts.text)));
        }
        if self.spec.alike.normalised != Duplicates::Keep {
            bundles.unite_equal(facts.iter().map(|facts| some(facts.normal)));
        }
        if self.spec.alike.near.is_some_and(|near| near != Duplicates::Keep) {
            let mut firsts: HashMap<u64, usize> = HashMap::new();
            for (document, facts) in facts.iter().enumerate() {
                firsts.entry(facts.normal).or_insert(document);
            }
            for (document, facts) in facts.iter().enumerate().filter(|(_, facts)| facts.normal != 0) {
                let near = self.near.of(facts.normal).iter();
                near.filter_map(|(normal, _)| firsts.get(normal))
                    .for_each(|near| bundles.unite(document, *near));
            }
        }
        bundles.unite_equal(facts.iter().map(|facts| some(facts.group)));
        bundles.listed()
    }
}

impl Folded {
    /// The documents with the numbers that they have as training and validation documents: those of a validation file
    /// count on behind the `offset` rows of the training file.
    pub(super) fn documents(&self, offset: u32) -> Vec<Document> {
        let document = |Member { split, row, .. }: &Member| {
            let before = if *split == SplitName::Validation { offset } else { 0 };
            Document { id: row.id + before, label: row.label }
        };
        self.members.iter().map(document).collect()
    }

    /// The fold of each document, from 1.
    pub(super) fn folds(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.fold).collect()
    }

    /// The faults of classes that are in one fold only: the trial of that fold would train without them.
    fn of_one_fold(&self, labels: &[String]) -> Vec<DataError> {
        let mut counts: Vec<Vec<usize>> = vec![vec![0; self.folds as usize]; labels.len()];
        for Member { row, fold, .. } in &self.members {
            if let Some(count) =
                counts.get_mut(row.label as usize).and_then(|it| it.get_mut(*fold as usize - 1))
            {
                *count += 1;
            }
        }
        let of_class = |(label, counts): (&String, &Vec<usize>)| {
            let mut folds = counts.iter().filter(|count| **count > 0);
            match (folds.next(), folds.next()) {
                (Some(&documents), None) => {
                    Some(DataError::ClassInOneFold { label: label.clone(), documents })
                }
                _ => None,
            }
        };
        labels.iter().zip(&counts).filter_map(of_class).collect()
    }

    /// Documents whose text stands in another fold too.
    pub(super) fn texts_across_folds(&self) -> usize {
        let mut texts: Vec<_> = self.members.iter().map(|member| (member.row.text, member.fold)).collect();
        texts.sort_unstable();
        let same = texts.chunk_by(|one, other| one.0 == other.0);
        let apart = same.filter(|same| same.first().map(|it| it.1) != same.last().map(|it| it.1));
        apart.map(<[_]>::len).sum()
    }

    /// Says that bundles keep folds far from equal sizes; `None` if they do not.
    pub(super) fn note(&self) -> Option<String> {
        let mut sizes = vec![0_usize; self.folds as usize];
        for member in &self.members {
            if let Some(size) = sizes.get_mut(member.fold as usize - 1) {
                *size += 1;
            }
        }
        let share = count(self.members.len()) / count(sizes.len().max(1));
        let is_far = sizes.iter().any(|size| (count(*size) - share).abs() > (FAR * share).max(1.0));
        let (least, most) = (sizes.iter().min()?, sizes.iter().max()?);
        is_far.then(|| {
            format!(
                "warning: so many documents belong together that folds have from {least} to {most} documents"
            )
        })
    }
}

/// The fold, from 1, of each document. `classes` has the class of each document, and `bundles` the documents that
/// belong together, each document once.
fn divided(
    classes: &[u32],
    bundles: Vec<Vec<usize>>,
    class_count: usize,
    (folds, seed): (u32, u64),
) -> Vec<u32> {
    let seed = seed.to_string();
    let class = |document: usize| classes.get(document).map_or(0, |class| *class as usize);
    let (mut many, single): (Vec<_>, Vec<_>) = bundles.into_iter().partition(|bundle| bundle.len() > 1);
    Chance::new(&["folds", &seed, "bundles"]).shuffle(&mut many);
    many.sort_by_key(|bundle| std::cmp::Reverse(bundle.len()));
    let mut room = Room::new(classes, class_count, folds);
    let mut found = vec![1; classes.len()];
    let mut put = |documents: &[usize], fold: usize| {
        for &document in documents {
            if let Some(own) = found.get_mut(document) {
                *own = u32::try_from(fold + 1).unwrap_or(folds);
            }
        }
    };
    for bundle in many {
        put(&bundle, room.place_together(bundle.iter().map(|document| class(*document)).collect()));
    }
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); class_count];
    for document in single.into_iter().flatten() {
        if let Some(own) = by_class.get_mut(class(document)) {
            own.push(document);
        }
    }
    for (class, mut documents) in by_class.into_iter().enumerate() {
        Chance::new(&["folds", &seed, &class.to_string()]).shuffle(&mut documents);
        for document in documents {
            put(&[document], room.place(class));
        }
    }
    found
}

/// The documents that each fold has so far: of each class, and at last all together.
struct Room {
    /// By fold, then by class.
    has: Vec<Vec<usize>>,
    /// Documents of each class in all folds together, and of all classes.
    sizes: Vec<usize>,
}

impl Room {
    fn new(classes: &[u32], class_count: usize, folds: u32) -> Self {
        let mut sizes = vec![0; class_count + 1];
        for class in classes {
            for place in [*class as usize, class_count] {
                if let Some(size) = sizes.get_mut(place) {
                    *size += 1;
                }
            }
        }
        Self { has: vec![vec![0; class_count + 1]; folds as usize], sizes }
    }

    /// All documents of a fold.
    fn all(has: &[usize]) -> usize {
        has.last().copied().unwrap_or(0)
    }

    /// Adds documents of a class to a fold.
    fn add(&mut self, fold: usize, class: usize, documents: usize) {
        let Some(has) = self.has.get_mut(fold) else { return };
        let all = has.len() - 1;
        for place in [class, all] {
            if let Some(own) = has.get_mut(place) {
                *own += documents;
            }
        }
    }

    /// The fold that has the fewest documents of `class`, and of such folds the smallest, which then has one more.
    fn place(&mut self, class: usize) -> usize {
        let key = |fold: &usize| {
            let has = self.has.get(*fold).map_or(&[][..], Vec::as_slice);
            (has.get(class).copied().unwrap_or(0), Self::all(has))
        };
        let fold = (0..self.has.len()).min_by_key(key).unwrap_or(0);
        self.add(fold, class, 1);
        fold
    }

    /// The fold that documents of these classes take the least from equal shares, which then has them: the one where the
    /// squared distances of its classes, each in documents of the class, grow the least.
    fn place_together(&mut self, mut classes: Vec<usize>) -> usize {
        classes.sort_unstable();
        let parts: Vec<(usize, usize)> =
            classes.chunk_by(|one, other| one == other).map(|same| (same[0], same.len())).collect();
        let all = (self.sizes.len() - 1, classes.len());
        let cost = |fold: usize| -> f64 {
            let of_part = |(class, documents): &(usize, usize)| {
                let has = self.has.get(fold).and_then(|has| has.get(*class)).copied().unwrap_or(0);
                let size = count(self.sizes.get(*class).copied().unwrap_or(1).max(1));
                count(*documents) * count(has) / (size * size)
            };
            parts.iter().chain([&all]).map(of_part).sum()
        };
        let costs = (0..self.has.len()).map(|fold| (fold, cost(fold)));
        let fold = costs.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(fold, _)| fold);
        for (class, documents) in parts {
            self.add(fold, class, documents);
        }
        fold
    }
}

#[cfg(test)]
mod tests;
