//! The colour of each trial in the charts of the page, as a class of the style sheet.

use std::collections::BTreeMap;

use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, verdict::Verdict},
    numbers::count,
    trial::TrialId,
};

/// The classes of ranks, from the best to the worst.
const RANKS: [&str; 10] = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9"];

/// The class of each trial of the leaderboard: `lead` for the leader, `q0` to `q9` by rank, `unfit` for trials of no
/// use, and `unranked`.
pub(super) fn classes(board: &Leaderboard) -> BTreeMap<TrialId, &'static str> {
    let is_unfit = |row: &LeaderboardRow| row.verdict.is_some_and(Verdict::is_unfit);
    let lowest = board.rows.iter().filter(|row| !is_unfit(row)).filter_map(|row| row.rank).max().unwrap_or(1);
    let leader = board.leader().map(|row| row.trial);
    let class = |row: &LeaderboardRow| match row.rank {
        _ if leader == Some(row.trial) => "lead",
        Some(_) if is_unfit(row) => "unfit",
        Some(rank) => by_rank(rank, lowest),
        None => "unranked",
    };
    board.rows.iter().map(|row| (row.trial, class(row))).collect()
}

/// The class of `rank`, where the lowest one is `lowest`.
fn by_rank(rank: usize, lowest: usize) -> &'static str {
    let share = count(rank.saturating_sub(1)) / count(lowest.saturating_sub(1).max(1));
    let steps = count(RANKS.len() - 1);
    let at = (0..RANKS.len()).find(|step| count(*step) >= (share * steps).round());
    RANKS[at.unwrap_or(RANKS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rank_has_the_first_colour_and_the_lowest_one_the_last() {
        assert_eq!([by_rank(1, 400), by_rank(400, 400), by_rank(1, 1)], ["q0", "q9", "q0"]);
    }
}
