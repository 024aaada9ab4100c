//! The documents of a data set as a worker needs them: ids, classes and digests. Their texts stay in their files.
//!
//! Workers share them by an entry of the cache, whose name is the digest of the files and of how they are read: a worker
//! that finds it reads the files for their digest, and nothing else.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    cache::{
        Cache, CacheEntry, ChangedEntry, Claim, Entry, EntryDraft, EntryHead, EntryKey, GoOn, Kind, Number,
        Numbers, Stopped,
    },
    data::{self, DataSpec, Dataset, Dialects, Document, Source, SplitName, TableFormat},
    fingerprint::{self, DataDigests},
    metrics::{Average, Target},
    train::error::{TrainError, Unfinished},
};

/// Part of every key. It is raised when the same files would give other documents.
const DOCUMENTS_VERSION: &[u8] = b"documents 1";
/// The time between two questions whether to go on while files are read.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The array of an entry that holds the JSON of [`Facts`], four bytes in a number; two arrays for each split follow.
const FACTS: usize = 0;
/// The array with the fold of each training document, if there are folds.
const FOLDS: usize = FACTS + 7;

/// The documents of the three splits. With folds, all that are folded are training documents, until the splits of one fold
/// are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    facts: Facts,
    /// By split.
    splits: [SplitDocuments; 3],
    /// The fold of each training document, from 1; empty without folds.
    folds: Numbers<u32>,
}

/// What is known of a data set besides its documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Facts {
    labels: Vec<String>,
    positive: Option<usize>,
    average: Option<Average>,
    /// Training documents that were dropped, since their texts stand in validation or test too.
    train_dropped: usize,
    digests: DataDigests,
    dialects: Dialects,
    #[serde(default, skip_serializing_if = "is_false")]
    is_folded: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(truth: &bool) -> bool {
    !truth
}

/// The documents of one split.
#[derive(Clone, Debug, Default)]
struct SplitDocuments {
    ids: Numbers<u32>,
    classes: Numbers<u32>,
}

impl Documents {
    /// The documents of `spec`, from the cache if it has those that `expected` are the digests of, else from the files.
    /// `go_on` is asked while another process reads the same files.
    ///
    /// # Errors
    /// When the data cannot be read, or when `go_on` asks to stop.
    pub(crate) fn get(
        spec: &DataSpec,
        expected: Option<&DataDigests>,
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<Self, Unfinished> {
        let has_cache = cache.bytes_max() > 0;
        let Some(key) = meanwhile(go_on, || has_cache.then(|| key(spec)).flatten())? else {
            return Self::load(spec, go_on);
        };
        let claim = match cache.find(&key, go_on)? {
            CacheEntry::Present(entry) => {
                let is_expected = |found: &Self| expected.is_none_or(|it| it == found.digests());
                let found = Self::restore(&entry).filter(is_expected);
                return found.map_or_else(|| Self::load(spec, go_on), Ok);
            }
            CacheEntry::Absent(claim) => claim,
        };
        let documents = Self::load(spec, go_on)?;
        // Files that were changed while they were read are not those that the key stands for.
        let is_settled = meanwhile(go_on, || self::key(spec))?.as_ref() == Some(&key);
        Ok(if is_settled { documents.shared(claim, spec) } else { documents })
    }

    /// The documents of `spec`, from the files.
    fn load(spec: &DataSpec, go_on: &mut GoOn<'_>) -> Result<Self, Unfinished> {
        let loaded = meanwhile(go_on, || data::load(spec))?;
        Ok(loaded.map(Self::from).map_err(|error| TrainError::Data(Box::new(error)))?)
    }

    /// These documents, mapped from the entry of `claim`: workers that map the same entry share its pages.
    fn shared(self, claim: Claim, spec: &DataSpec) -> Self {
        let Ok(mut facts) = serde_json::to_vec(&self.facts) else { return self };
        facts.resize(facts.len().next_multiple_of(size_of::<u32>()), b' ');
        let facts: Vec<u32> = bytemuck::pod_collect_to_vec(&facts);
        let counts = self.splits.iter().flat_map(|split| [split.ids.len(), split.classes.len()]);
        let folds = self.facts.is_folded.then_some(self.folds.len());
        let arrays: Vec<_> =
            std::iter::once(facts.len()).chain(counts).chain(folds).map(|count| (u32::TYPE, count)).collect();
        let head = EntryHead::new(Kind::Documents, about(&spec.source), &arrays);
        let entry = claim.store(&head, &mut |draft: &mut EntryDraft| -> io::Result<()> {
            draft.put(FACTS, 0, &facts)?;
            for (split, array) in self.splits.iter().zip((FACTS + 1..).step_by(2)) {
                draft.put(array, 0, &split.ids)?;
                draft.put(array + 1, 0, &split.classes)?;
            }
            if self.facts.is_folded {
                draft.put(FOLDS, 0, &self.folds)?;
            }
            Ok(())
        });
        entry.and_then(|entry| Self::restore(&entry)).unwrap_or(self)
    }

    /// The documents that `entry` holds; `None` when its arrays do not describe documents.
    fn restore(entry: &Entry) -> Option<Self> {
        let facts: Numbers<u32> = entry.array(FACTS)?;
        let facts: Facts = serde_json::from_slice(bytemuck::cast_slice(&facts)).ok()?;
        let split = |name: SplitName| {
            let array = FACTS + 1 + 2 * name as usize;
            let (ids, classes): (Numbers<u32>, Numbers<u32>) = (entry.array(array)?, entry.array(array + 1)?);
            let are_classes = classes.iter().all(|class| (*class as usize) < facts.labels.len());
            (ids.len() == classes.len() && are_classes).then_some(SplitDocuments { ids, classes })
        };
        let [train, validation, test] = SplitName::ALL.map(split);
        let splits = [train?, validation?, test?];
        let folds: Numbers<u32> = if facts.is_folded { entry.array(FOLDS)? } else { Numbers::default() };
        let are_folds = folds.len() == if facts.is_folded { splits[0].ids.len() } else { 0 };
        are_folds.then_some(Self { facts, splits, folds })
    }

    /// The places among the training documents of those that are in the fold `fold`, or of all others.
    pub(crate) fn places(&self, fold: u32, is_in: bool) -> impl Iterator<Item = u32> {
        (0..).zip(self.folds.iter()).filter(move |(_, own)| (**own == fold) == is_in).map(|(place, _)| place)
    }

    /// The documents of the trial that validates on `fold`, and trains on all others.
    pub(crate) fn of_fold(&self, fold: u32) -> Self {
        let [train, _, test] = &self.splits;
        let chosen = |is_in: bool| {
            let of = |numbers: &Numbers<u32>| -> Numbers<u32> {
                self.places(fold, is_in).map(|place| numbers[place as usize]).collect::<Vec<_>>().into()
            };
            SplitDocuments { ids: of(&train.ids), classes: of(&train.classes) }
        };
        Self {
            facts: self.facts.clone(),
            splits: [chosen(false), chosen(true), test.clone()],
            folds: Numbers::default(),
        }
    }

    /// Class names.
    pub(crate) fn labels(&self) -> &[String] {
        &self.facts.labels
    }

    /// Which F1 counts.
    pub(crate) fn target(&self) -> Target {
        Target::of(self.facts.positive, self.facts.average)
    }

    /// Training documents that were dropped as duplicates.
    pub(crate) const fn train_dropped(&self) -> usize {
        self.facts.train_dropped
    }

    /// The digest of each split.
    pub(crate) const fn digests(&self) -> &DataDigests {
        &self.facts.digests
    }

    /// How the files are read.
    pub(crate) const fn dialects(&self) -> &Dialects {
        &self.facts.dialects
    }

    /// Compares the cache entry that the documents stand in, if there is one, with its digest again.
    ///
    /// # Errors
    /// When it has changed.
    pub(crate) fn verify(&self) -> Result<(), ChangedEntry> {
        let [.., test] = &self.splits;
        // All arrays stand in one entry, which is compared whole. Those of a fold's train and validation are in memory.
        test.ids.verify()
    }

    /// The class of each document of a split.
    pub(crate) fn classes(&self, name: SplitName) -> &Numbers<u32> {
        &self.splits[name as usize].classes
    }

    /// The documents of a split.
    pub(crate) fn split(&self, name: SplitName) -> impl ExactSizeIterator<Item = Document> {
        let SplitDocuments { ids, classes } = &self.splits[name as usize];
        ids.iter().zip(classes.iter()).map(|(&id, &label)| Document { id, label })
    }

    /// Training documents of each class, in the order of the labels.
    pub(crate) fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.facts.labels.len()];
        self.classes(SplitName::Train).iter().for_each(|class| counts[*class as usize] += 1);
        counts
    }
}

impl From<Dataset> for Documents {
    fn from(dataset: Dataset) -> Self {
        let split = |name: SplitName| {
            let documents = dataset.split(name);
            let ids: Vec<u32> = documents.iter().map(|document| document.id).collect();
            let classes: Vec<u32> = documents.iter().map(|document| document.label).collect();
            SplitDocuments { ids: ids.into(), classes: classes.into() }
        };
        Self {
            splits: SplitName::ALL.map(split),
            facts: Facts {
                positive: dataset.target.positive(),
                average: dataset.target.average(),
                train_dropped: dataset.leaks.dropped()[0],
                digests: DataDigests::of(&dataset),
                dialects: dataset.dialects,
                is_folded: !dataset.folds.is_empty(),
                labels: dataset.labels,
            },
            folds: dataset.folds.into(),
        }
    }
}

/// The result of `work`, which may take minutes and runs in a thread of its own. `go_on` is asked now and then; if it asks
/// to stop, the end of the work is waited for all the same.
fn meanwhile<T: Send>(go_on: &mut GoOn<'_>, work: impl FnOnce() -> T + Send) -> Result<T, Stopped> {
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        // Nobody receives it any more if the work shall stop.
        let worker = scope.spawn(move || _ = send.send(work()));
        loop {
            match receive.recv_timeout(ASK_EVERY) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => go_on()?,
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => unreachable!("the work sends its result before it ends"),
                },
            }
        }
    })
}

/// The key of the documents of `spec`; `None` for data without files, and for files that cannot be read.
///
/// Of the paths, nothing counts but the endings, which say how a file is read.
fn key(spec: &DataSpec) -> Option<EntryKey> {
    let files = fingerprint::data_files(&spec.source).ok().filter(|files| !files.is_empty())?;
    let ending = |path: &Path| PathBuf::from(format!("{:?}", TableFormat::of_ending(path)));
    let source = match &spec.source {
        Source::Files { train, validation, test } => {
            let validation = validation.as_ref().map(|validation| ending(validation));
            Source::Files { train: ending(train), validation, test: ending(test) }
        }
        Source::Single { path, split } => Source::Single { path: ending(path), split: *split },
        Source::Reviews { split } => Source::Reviews { split: *split },
    };
    let spec = serde_json::to_vec(&DataSpec { source, ..spec.clone() }).ok()?;
    let files = files.iter().map(<[u8; 32]>::as_slice);
    Some(EntryKey::of(Kind::Documents, [DOCUMENTS_VERSION, spec.as_slice()].into_iter().chain(files)))
}

/// Describes an entry for people: the names of the files.
fn about(source: &Source) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().display().to_string();
    source.files().into_iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::{CacheSpec, CopyRoom},
        data::Shares,
        samples,
    };

    /// A file with data, and a cache beside it.
    struct Shared {
        folder: tempfile::TempDir,
        spec: DataSpec,
        cache: Cache,
    }

    fn shared() -> Shared {
        shared_with(CopyRoom::default())
    }

    fn shared_with(room: CopyRoom) -> Shared {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let rows: Vec<String> = (0..40).map(|row| format!("text {row},{}\n", row % 2)).collect();
        std::fs::write(&path, format!("text,label\n{}", rows.concat())).unwrap();
        let spec = samples::data_spec(Source::Single { path, split: Shares::default() });
        let cache = CacheSpec { folder: folder.path().join("cache"), bytes: 1 << 20 };
        Shared { folder, spec, cache: Cache::new(Some(cache), room) }
    }

    impl Shared {
        fn get(&self, expected: Option<&DataDigests>) -> Documents {
            Documents::get(&self.spec, expected, &self.cache, &mut || Ok(()))
                .unwrap_or_else(|_| panic!("no data"))
        }

        /// The documents of the cache's entry alone; `None` if there is none.
        fn cached(&self) -> Option<Documents> {
            match self.cache.find(&key(&self.spec).unwrap(), &mut || Ok(())) {
                Ok(CacheEntry::Present(entry)) => Documents::restore(&entry),
                _ => None,
            }
        }
    }

    fn listed(documents: &Documents) -> Vec<Vec<Document>> {
        SplitName::ALL.map(|name| documents.split(name).collect()).to_vec()
    }

    #[test]
    fn an_entry_gives_the_documents_that_the_files_give() {
        let shared = shared();
        let read = Documents::from(data::load(&shared.spec).unwrap());
        assert!(shared.cached().is_none());
        shared.get(None);
        let cached = shared.cached().unwrap();
        assert_eq!((listed(&cached), &cached.facts), (listed(&read), &read.facts));
        assert_eq!((cached.class_counts(), cached.target()), (read.class_counts(), read.target()));
    }

    #[test]
    fn an_entry_has_the_folds_that_the_files_give() {
        let mut shared = shared();
        let plain = key(&shared.spec);
        shared.spec.folds = Some(4);
        assert_ne!(key(&shared.spec), plain, "documents with folds are others than without");
        let read = Documents::from(data::load(&shared.spec).unwrap());
        shared.get(None);
        let cached = shared.cached().unwrap();
        assert_eq!((listed(&cached), &*cached.folds), (listed(&read), &*read.folds));
        assert_eq!(cached.digests(), read.digests());
    }

    #[test]
    fn a_fold_is_validated_on_and_the_others_are_trained_on() {
        let mut shared = shared();
        shared.spec.folds = Some(4);
        let all = shared.get(None);
        let ids = |documents: &Documents, name: SplitName| {
            documents.split(name).map(|it| it.id).collect::<Vec<_>>()
        };
        let mut validated: Vec<u32> = Vec::new();
        for fold in 1..=4 {
            let own = all.of_fold(fold);
            let [train, validation] = [SplitName::Train, SplitName::Validation].map(|name| ids(&own, name));
            assert!(train.is_sorted() && train.iter().all(|id| !validation.contains(id)));
            assert_eq!(train.len() + validation.len(), ids(&all, SplitName::Train).len());
            assert_eq!(ids(&own, SplitName::Test), ids(&all, SplitName::Test));
            assert_eq!(own.class_counts().iter().sum::<usize>(), train.len());
            validated.extend(validation);
        }
        validated.sort_unstable();
        assert_eq!(validated, ids(&all, SplitName::Train));
    }

    #[test]
    fn a_copy_of_a_file_has_the_same_entry_unless_its_ending_says_another_form() {
        let Shared { folder, spec, .. } = shared();
        let copy = |name: &str| {
            let path = folder.path().join(name);
            std::fs::copy(folder.path().join("a.csv"), &path).unwrap();
            let source = Source::Single { path, split: Shares::default() };
            key(&DataSpec { source, ..spec.clone() })
        };
        assert_eq!(copy("b.csv"), key(&spec));
        assert_ne!(copy("b.tsv"), key(&spec));
    }

    #[test]
    fn files_that_changed_have_another_entry() {
        let shared = shared();
        let before = shared.get(None);
        std::fs::write(shared.folder.path().join("a.csv"), "text,label\nx,1\ny,0\nz,1\nw,0\nv,1\nu,0\n")
            .unwrap();
        let error = Documents::get(&shared.spec, None, &shared.cache, &mut || Ok(()));
        let after = error.map_or_else(|_| None, |found| Some(found.digests().clone()));
        assert_ne!(after.as_ref(), Some(before.digests()));
    }

    #[test]
    fn a_mapped_entry_that_changes_is_found_to_have_changed() {
        let shared = shared_with(CopyRoom::of(0));
        let documents = shared.get(None);
        documents.verify().unwrap();
        let folder = shared.folder.path().join("cache");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        for path in files.filter(|path| path.extension().is_none()) {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let last = file.metadata().unwrap().len() - 1;
            std::os::unix::fs::FileExt::write_all_at(&file, &[9], last).unwrap();
        }
        assert!(documents.verify().is_err());
    }

    #[test]
    fn an_entry_of_other_documents_than_the_plans_is_not_believed() {
        let shared = shared();
        let right = shared.get(None);
        let other = DataDigests { train: "other".to_owned(), ..right.digests().clone() };
        // The files are read, and the caller finds that they are not the plan's.
        assert_eq!(shared.get(Some(&other)).digests(), right.digests());
    }
}
