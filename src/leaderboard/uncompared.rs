//! The reasons why a trial was not compared with the leader.

/// Why a trial was not compared with the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncompared {
    /// The trial has no predictions on the test set.
    Missing,
    /// The trial's predictions cannot be read, or their number differs from the measured documents.
    Damaged,
    /// The trial's predictions are about other documents than the leader's.
    OtherDocuments,
}

impl Uncompared {
    /// Every reason, in the order of their footnotes.
    pub(super) const ALL: [Self; 3] = [Self::Missing, Self::Damaged, Self::OtherDocuments];

    /// Says what is wrong with a `predictions.csv`, and what helps: the end of a sentence.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Missing => "is missing; running the sweep again trains the trial anew",
            Self::Damaged => "is damaged; running the sweep again trains the trial anew",
            Self::OtherDocuments => "is about other documents than the leader's",
        }
    }
}
