//! What was found about documents of different splits that are like each other, about labels that contradict each other,
//! and about texts that are nearly empty. A plan keeps it; a dry run and a report show it.
//!
//! Documents are named by their rows alone: no text from outside is in it.

use serde::{Deserialize, Serialize};

use super::{row_set::RowSet, spec::SplitName};

/// Examples that are kept of each kind.
pub(super) const EXAMPLES_MAX: usize = 10;

/// How two documents of different splits are alike; the first kind that holds counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// The same text, but for white space.
    Exact,
    /// The same text but for Unicode width, case, punctuation and white space.
    Normalised,
    /// Texts whose n-grams of characters are the same for the greater part.
    Near,
    /// Another text, of the same group.
    Group,
}

impl Likeness {
    /// All kinds, in the order in which they count.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Normalised, Self::Near, Self::Group];

    /// Its name in a spec and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalised => "normalised",
            Self::Near => "near",
            Self::Group => "group",
        }
    }
}

/// What happens to documents that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The one of the earlier split is dropped.
    Dropped,
    /// Both stay.
    Kept,
    /// The spec is refused.
    Refused,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Kept => "kept",
            Self::Refused => "refused",
        }
    }
}

/// A document by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowOf {
    /// Its split.
    pub split: SplitName,
    /// Its row in its file, from 1 without the header.
    pub row: u32,
}

impl std::fmt::Display for RowOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.split, self.row)
    }
}

/// Two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPair {
    /// That of the later split, or of the later row.
    pub later: RowOf,
    /// The other one.
    pub earlier: RowOf,
    /// The Jaccard similarity of near duplicates, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity: Option<u32>,
}

impl std::fmt::Display for RowPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {}", self.later, self.earlier)?;
        match self.similarity {
            Some(1000..) => write!(f, " (1.00)"),
            Some(similarity) => write!(f, " (.{:02})", similarity / 10),
            None => Ok(()),
        }
    }
}

/// Documents that are alike in one way. A document counts once, by the first way in which any other is like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlikeDocuments {
    /// How.
    pub likeness: Likeness,
    /// Validation documents that are like one of train.
    pub validation_in_train: usize,
    /// Test documents that are like one of train.
    pub test_in_train: usize,
    /// Test documents that are like one of validation.
    pub test_in_validation: usize,
    /// What happens to them.
    pub fate: Fate,
    /// Documents of train and validation that were dropped.
    pub dropped: usize,
    /// Test documents that are still like one of train or validation, when documents were dropped and limits applied.
    pub test_left: usize,
    /// With folds: documents of train and validation that are like one of another fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across_folds: Option<usize>,
    /// The first pairs.
    pub examples: Vec<RowPair>,
}

impl AlikeDocuments {
    /// Whether any document is alike in this way.
    fn is_found(&self) -> bool {
        let splits = self.validation_in_train + self.test_in_train + self.test_in_validation;
        splits + self.across_folds.unwrap_or(0) > 0
    }

    /// The counts of its row in a table.
    fn counts(&self) -> Vec<usize> {
        match self.across_folds {
            Some(across) => vec![self.test_in_train + self.test_in_validation, across],
            None => vec![self.validation_in_train, self.test_in_train, self.test_in_validation],
        }
    }
}

/// Documents with the same text and different labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflicts {
    /// Texts, each counted once.
    pub texts: usize,
    /// Documents that have them.
    pub documents: usize,
    /// The first pairs of documents whose labels differ.
    pub examples: Vec<RowPair>,
}

/// Documents whose texts have hardly a letter or a digit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are documentation enough")]
pub struct NearEmpty {
    pub train: usize,
    pub validation: usize,
    pub test: usize,
    pub examples: Vec<RowOf>,
}

impl NearEmpty {
    fn all(&self) -> usize {
        self.train + self.validation + self.test
    }
}

/// All that was found, before documents were dropped unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakReport {
    /// Documents that are alike, by the ways that were looked for.
    pub alike: Vec<AlikeDocuments>,
    /// The Jaccard similarity from which on texts are near duplicates, in thousandths.
    pub near_threshold: u32,
    /// Contradictory labels.
    pub conflicts: Conflicts,
    /// Texts that are nearly empty.
    pub near_empty: NearEmpty,
    /// The rows of the test documents that are still like one of train or validation.
    #[serde(default, skip_serializing_if = "RowSet::is_empty")]
    pub unclean: RowSet,
    /// Number of test documents.
    pub test: usize,
    /// What could not be looked for, or not in full: whole sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl LeakReport {
    /// The headings and the rows of the table of documents that are alike; no row if there are none.
    #[must_use]
    pub fn table(&self) -> Vec<Vec<String>> {
        if !self.alike.iter().any(AlikeDocuments::is_found) {
            return Vec::new();
        }
        let is_folded = self.alike.iter().any(|alike| alike.across_folds.is_some());
        let counted: &[&str] = if is_folded {
            &["test in the rest", "in another fold"]
        } else {
            &["validation in train", "test in train", "test in validation"]
        };
        let headings =
            ["alike"].iter().chain(counted).chain(&["they are", "dropped", "test still like others"]);
        let row = |alike: &AlikeDocuments| {
            let mut row = vec![self.name(alike.likeness)];
            row.extend(alike.counts().iter().map(ToString::to_string));
            let fate = if alike.is_found() { alike.fate.as_str() } else { "" };
            row.extend([fate.to_owned(), alike.dropped.to_string(), alike.test_left.to_string()]);
            row
        };
        std::iter::once(headings.map(|&heading| heading.to_owned()).collect())
            .chain(self.alike.iter().map(row))
            .collect()
    }

    /// The name of a kind, with the threshold of near duplicates: `near (.70)`.
    fn name(&self, likeness: Likeness) -> String {
        match likeness {
            Likeness::Near => format!("near (.{:02})", self.near_threshold / 10),
            Likeness::Exact | Likeness::Normalised | Likeness::Group => likeness.as_str().to_owned(),
        }
    }

    /// What stands below the table: examples of each kind, up to so many, and what else was found. Sentences without a full
    /// stop.
    #[must_use]
    pub fn findings(&self, examples: usize) -> Vec<String> {
        let mut findings = Vec::new();
        if self.table().is_empty() {
            let kinds: Vec<&str> = self.alike.iter().map(|alike| alike.likeness.as_str()).collect();
            findings.push(format!("no document is like one of another split ({})", kinds.join(", ")));
        }
        for alike in self.alike.iter().filter(|alike| !alike.examples.is_empty()) {
            let pairs = listed(&alike.examples, examples);
            findings.push(format!("{}, by rows: {pairs}", self.name(alike.likeness)));
        }
        let Conflicts { texts, documents, examples: pairs } = &self.conflicts;
        if *texts > 0 {
            let (texts, have) =
                if *texts == 1 { ("1 text".to_owned(), "has") } else { (format!("{texts} texts"), "have") };
            findings.push(format!(
                "{texts} in {documents} documents {have} different labels, by rows: {}",
                listed(pairs, examples)
            ));
        }
        let NearEmpty { train, validation, test, examples: rows } = &self.near_empty;
        if self.near_empty.all() > 0 {
            findings.push(format!(
                "texts with fewer than {} letters or digits: {train} of train, {validation} of validation, {test} of test, by \
                 rows: {}",
                super::traces::LETTERS_MIN,
                listed(rows, examples)
            ));
        }
        findings.extend(self.notes.iter().cloned());
        findings
    }

    /// The kinds of the test documents that are still like others, with their numbers: `2 exact, 4 near`.
    #[must_use]
    pub fn kinds_left(&self) -> String {
        let kinds = self.alike.iter().filter(|alike| alike.test_left > 0);
        let kinds: Vec<String> =
            kinds.map(|alike| format!("{} {}", alike.test_left, self.name(alike.likeness))).collect();
        kinds.join(", ")
    }
}

/// The first items, and `…` if there are more.
fn listed<T: std::fmt::Display>(items: &[T], most: usize) -> String {
    let shown: Vec<String> = items.iter().take(most).map(ToString::to_string).collect();
    let more = if items.len() > most { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
