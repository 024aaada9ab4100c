//! The leak gate: which documents of different splits are alike, which of them are dropped, and which test documents are
//! still like others in the end.
//!
//! Texts that are the same are dropped by `duplicates`; everything else that is alike is found here. A document of test is
//! never dropped. The same files and spec give the same findings on every machine.

use super::{
    alike_index::{AlikeIndex, Facts, Partner},
    candidates::{Candidates, traces_of},
    conflicts::conflicts,
    dataset::Leaks,
    dialect::Dialects,
    error::{DataError, DataFile},
    folding::Member,
    leak_report::{AlikeDocuments, EXAMPLES_MAX, Fate, LeakReport, Likeness, NearEmpty, RowOf, RowPair},
    minhash::MinHash,
    near::{NearTexts, near_texts},
    row::Row,
    row_set::RowSet,
    spec::{DataSpec, Duplicates, SplitName},
    split::Splits,
    traces::{self, FileTraces, traces},
};
use crate::system::machine;

/// The part of the free memory that what is compared may take.
const MEMORY_SHARE: u64 = 2;

/// What the documents come from.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) spec: &'a DataSpec,
    pub(super) files: &'a [DataFile],
    pub(super) dialects: &'a Dialects,
    /// By file, then by row: a digest of the group; 0 for none. Without groups there is nothing.
    pub(super) groups: &'a [Vec<u64>],
    /// Rows of the training file, if there is one.
    pub(super) train_rows: u32,
}

impl Ground<'_> {
    /// Whether train and validation are folded.
    pub(super) const fn is_folded(&self) -> bool {
        self.spec.folds.is_some()
    }

    /// What is compared of a row; `traces` are those of the files, or none.
    pub(super) fn facts(&self, traces: &[FileTraces], split: SplitName, row: &Row) -> Facts {
        let groups = self.groups;
        let groups = groups.get((split as usize).min(groups.len().saturating_sub(1)));
        let group = groups.and_then(|groups| groups.get((row.id as usize).saturating_sub(1)));
        let normal = traces_of(traces, split).map_or(0, |traces| traces.normal(row.id));
        Facts { text: row.text, normal, group: group.copied().unwrap_or(0) }
    }
}

/// The findings about the documents of a data set.
pub(super) struct Gate<'a> {
    ground: Ground<'a>,
    traces: Vec<FileTraces>,
    near: NearTexts,
    report: LeakReport,
}

impl<'a> Gate<'a> {
    /// Looks for documents of `splits` that are alike, before any is dropped.
    ///
    /// # Errors
    /// When the texts cannot be read, or there is no memory for what the spec asks for.
    pub(super) fn open(ground: Ground<'a>, splits: &Splits) -> Result<Self, DataError> {
        let alike = &ground.spec.alike;
        let mut notes = Vec::new();
        let mut minhash = alike.near.map(|_| MinHash::for_threshold(alike.near_threshold));
        if let Some(memory) = too_little_memory(splits, minhash.as_ref()) {
            if let (true, Some(file)) = (alike.decides(), ground.files.first()) {
                let rows = rows(splits);
                return Err(DataError::Memory { file: file.clone(), rows, bytes: memory });
            }
            notes.push("near duplicates were not looked for: there is too little free memory".to_owned());
            minhash = None;
        }
        let traces = traces(ground.spec, ground.files, ground.dialects, minhash.as_ref())?;
        let mut near = NearTexts::default();
        if let Some(minhash) = &minhash {
            let candidates = Candidates::of(splits, &traces, minhash.bands(), ground.is_folded());
            if candidates.is_cut {
                notes.push("so many texts are alike that not all near duplicates were found".to_owned());
            }
            near = near_texts(ground.spec, ground.dialects, &candidates, alike.near_threshold)?;
        }
        let report = LeakReport {
            near_threshold: alike.near_threshold,
            conflicts: conflicts(splits),
            test: splits.test.len(),
            notes,
            ..LeakReport::default()
        };
        let mut gate = Self { ground, traces, near, report };
        gate.report.near_empty = gate.near_empty(splits);
        gate.count(splits, minhash.is_some());
        Ok(gate)
    }

    /// What is compared of a row.
    pub(super) fn facts(&self, split: SplitName, row: &Row) -> Facts {
        self.ground.facts(&self.traces, split, row)
    }

    /// The near duplicates that were found.
    pub(super) const fn near(&self) -> &NearTexts {
        &self.near
    }

    fn index(&self, splits: &Splits, split: SplitName) -> AlikeIndex {
        AlikeIndex::new(split, splits.of(split).iter().map(|row| (row.id, self.facts(split, row))))
    }

    /// Counts the documents that are alike, with examples.
    fn count(&mut self, splits: &Splits, looks_for_near: bool) {
        let spec = self.ground.spec;
        let kinds = Likeness::ALL.into_iter().filter(|likeness| match likeness {
            Likeness::Exact | Likeness::Normalised => true,
            Likeness::Near => looks_for_near,
            Likeness::Group => spec.group.is_some(),
        });
        let mut alike: Vec<AlikeDocuments> = kinds.map(|likeness| nothing(likeness, spec)).collect();
        let train = self.index(splits, SplitName::Train);
        let validation = self.index(splits, SplitName::Validation);
        let sides =
            [(SplitName::Test, &train), (SplitName::Validation, &train), (SplitName::Test, &validation)];
        for (place, (split, earlier)) in sides.into_iter().enumerate() {
            if self.ground.is_folded() && split == SplitName::Validation {
                continue;
            }
            for row in splits.of(split) {
                let partner = earlier.first_partner(&self.facts(split, row), &self.near);
                let Some(Partner { likeness, row: other, similarity }) = partner else { continue };
                let Some(found) = alike.iter_mut().find(|each| each.likeness == likeness) else { continue };
                match place {
                    0 => found.test_in_train += 1,
                    1 => found.validation_in_train += 1,
                    _ => found.test_in_validation += 1,
                }
                if found.examples.len() < EXAMPLES_MAX {
                    let later = RowOf { split, row: row.id };
                    found.examples.push(RowPair { later, earlier: other, similarity });
                }
            }
        }
        self.report.alike = alike;
    }

    /// Counts the texts that are nearly empty.
    fn near_empty(&self, splits: &Splits) -> NearEmpty {
        let mut found = NearEmpty::default();
        let mut counts = [0; 3];
        for split in SplitName::ALL {
            let Some(traces) = traces_of(&self.traces, split) else { continue };
            let rows = splits.of(split).iter().filter(|row| traces.is_near_empty(row.id));
            for row in rows {
                counts[split as usize] += 1;
                if found.examples.len() < EXAMPLES_MAX {
                    found.examples.push(RowOf { split, row: row.id });
                }
            }
        }
        [found.train, found.validation, found.test] = counts;
        found
    }

    /// The faults of documents that are alike where the spec allows none. Those of texts that are the same are not among
    /// them.
    pub(super) fn faults(&self) -> Vec<DataError> {
        let refused = self.report.alike.iter().filter(|alike| {
            matches!(alike.likeness, Likeness::Normalised | Likeness::Near) && alike.fate == Fate::Refused
        });
        let fault = |alike: &AlikeDocuments| {
            let documents = alike.validation_in_train + alike.test_in_train + alike.test_in_validation;
            let example = *alike.examples.first()?;
            Some(DataError::Alike { likeness: alike.likeness, documents, example })
        };
        refused.filter_map(fault).collect()
    }

    /// Drops documents that are alike, where the spec says so: from validation those like one of test, then from train
    /// those like one of validation or test, or of test alone if both are folded. `leaks` are the texts that are the
    /// same, which were dropped before.
    pub(super) fn drop_alike(&mut self, splits: &mut Splits, leaks: &mut Leaks) {
        let dropping = |likeness: &Likeness| {
            let fate = fate(*likeness, self.ground.spec);
            matches!(likeness, Likeness::Normalised | Likeness::Near) && fate == Fate::Dropped
        };
        let kinds: Vec<Likeness> = Likeness::ALL.into_iter().filter(dropping).collect();
        let mut dropped = vec![0; kinds.len()];
        if !kinds.is_empty() {
            let test = self.index(splits, SplitName::Test);
            leaks.validation_alike_dropped =
                self.drop_from(splits, SplitName::Validation, &[&test], (&kinds, &mut dropped));
            let validation = self.index(splits, SplitName::Validation);
            let later: &[&AlikeIndex] =
                if self.ground.is_folded() { &[&test] } else { &[&test, &validation] };
            leaks.train_alike_dropped =
                self.drop_from(splits, SplitName::Train, later, (&kinds, &mut dropped));
        }
        for alike in &mut self.report.alike {
            let of_kind = kinds.iter().zip(&dropped).find(|(kind, _)| **kind == alike.likeness);
            alike.dropped = match alike.likeness {
                Likeness::Exact => leaks.train_dropped + leaks.validation_dropped,
                Likeness::Normalised | Likeness::Near | Likeness::Group => {
                    of_kind.map_or(0, |(_, count)| *count)
                }
            };
        }
    }

    /// Drops the documents of `split` that are like one of `later` in one of these ways, and counts them by it. Returns
    /// their number.
    fn drop_from(
        &self,
        splits: &mut Splits,
        split: SplitName,
        later: &[&AlikeIndex],
        (kinds, dropped): (&[Likeness], &mut [usize]),
    ) -> usize {
        let before = splits.of(split).len();
        splits.of_mut(split).retain(|row| {
            let facts = self.facts(split, row);
            let is_like = |kind: &Likeness| {
                later.iter().any(|index| index.partner(&facts, *kind, &self.near).is_some())
            };
            let kind = kinds.iter().position(is_like);
            if let Some(count) = kind.and_then(|kind| dropped.get_mut(kind)) {
                *count += 1;
            }
            kind.is_none()
        });
        before - splits.of(split).len()
    }

    /// Counts the documents that are like one of another fold.
    pub(super) fn count_across_folds(&mut self, members: &[Member]) {
        let folds = members.iter().map(|member| member.fold).max().unwrap_or(0);
        let index = |fold: u32, split: SplitName| {
            let own = members.iter().filter(|member| member.fold == fold && member.split == split);
            (fold, AlikeIndex::new(split, own.map(|it| (it.row.id, self.facts(split, &it.row)))))
        };
        let indices: Vec<(u32, AlikeIndex)> = (1..=folds)
            .flat_map(|fold| [index(fold, SplitName::Train), index(fold, SplitName::Validation)])
            .collect();
        let mut found: Vec<Partner> = Vec::new();
        let mut pairs: Vec<RowPair> = Vec::new();
        for Member { split, row, fold } in members {
            let facts = self.facts(*split, row);
            let others = indices.iter().filter(|(other, _)| other != fold);
            let partners = others.filter_map(|(_, index)| index.first_partner(&facts, &self.near));
            let Some(partner) = partners.min_by_key(|it| (it.likeness, it.row.split as usize, it.row.row))
            else {
                continue;
            };
            found.push(partner);
            pairs.push(RowPair {
                later: RowOf { split: *split, row: row.id },
                earlier: partner.row,
                similarity: partner.similarity,
            });
        }
        let place = |row: RowOf| (row.split as usize, row.row);
        for alike in &mut self.report.alike {
            let own = found.iter().zip(&pairs).filter(|(partner, _)| partner.likeness == alike.likeness);
            alike.across_folds = Some(own.clone().count());
            let room = EXAMPLES_MAX.saturating_sub(alike.examples.len());
            let once = own.filter(|(_, pair)| place(pair.earlier) < place(pair.later));
            alike.examples.extend(once.take(room).map(|(_, pair)| *pair));
        }
    }

    /// The report, with the test documents that are still like others in the `splits` that are left.
    pub(super) fn close(mut self, splits: &Splits) -> LeakReport {
        let earlier = [SplitName::Train, SplitName::Validation].map(|split| self.index(splits, split));
        let mut unclean = Vec::new();
        for row in &splits.test {
            let facts = self.facts(SplitName::Test, row);
            let partners = earlier.iter().filter_map(|index| index.first_partner(&facts, &self.near));
            let Some(likeness) = partners.map(|partner| partner.likeness).min() else { continue };
            unclean.push(row.id);
            if let Some(alike) = self.report.alike.iter_mut().find(|alike| alike.likeness == likeness) {
                alike.test_left += 1;
            }
        }
        self.report.unclean = RowSet::new(unclean);
        self.report.test = splits.test.len();
        self.report
    }
}

/// What a kind begins with.
fn nothing(likeness: Likeness, spec: &DataSpec) -> AlikeDocuments {
    AlikeDocuments {
        likeness,
        validation_in_train: 0,
        test_in_train: 0,
        test_in_validation: 0,
        fate: fate(likeness, spec),
        dropped: 0,
        test_left: 0,
        across_folds: None,
        examples: Vec::new(),
    }
}

/// What `spec` says of documents that are alike in this way.
fn fate(likeness: Likeness, spec: &DataSpec) -> Fate {
    let policy = match likeness {
        Likeness::Exact => spec.duplicates,
        Likeness::Normalised => spec.alike.normalised,
        Likeness::Near => spec.alike.near.unwrap_or(Duplicates::Keep),
        Likeness::Group => Duplicates::Keep,
    };
    match policy {
        Duplicates::Drop => Fate::Dropped,
        Duplicates::Error => Fate::Refused,
        Duplicates::Keep => Fate::Kept,
    }
}

fn rows(splits: &Splits) -> usize {
    SplitName::ALL.into_iter().map(|split| splits.of(split).len()).sum()
}

/// The memory that may be taken, if what is compared needs more.
fn too_little_memory(splits: &Splits, minhash: Option<&MinHash>) -> Option<u64> {
    let bands = minhash.map_or(0, MinHash::bands);
    let free = machine::memory_available()? / MEMORY_SHARE;
    (minhash.is_some() && traces::bytes(rows(splits), bands) > free).then_some(free)
}

#[cfg(test)]
mod tests;
