//! Arguments that several commands have.

use clap::{Args, ValueEnum};

use crate::leaderboard::RankBy;

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Name of the sweep; the newest by default
    pub(super) sweep: Option<String>,
}

/// How trials are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Rank {
    /// By F1 on the test set, highest first
    TestF1,
    /// By F1 on the validation set, highest first
    ValF1,
    /// By loss on the validation set, lowest first
    ValLoss,
}

impl Rank {
    /// The figure that the argument names.
    pub(super) const fn by(self) -> RankBy {
        match self {
            Self::TestF1 => RankBy::TestF1,
            Self::ValF1 => RankBy::ValF1,
            Self::ValLoss => RankBy::ValLoss,
        }
    }
}

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListingFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// A trial's number, with or without zeros and spaces before it.
pub(super) fn trial_number(text: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| "name trials by their numbers, such as 7,12".to_owned())
}
