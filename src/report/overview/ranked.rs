//! The ranked trials with their colours.

use crate::{
    leaderboard::{Leaderboard, LeaderboardRow, verdict::Verdict},
    report::palette::{Colour, VERMILLION, ranked},
};

/// A ranked trial of the leaderboard.
pub(super) struct Ranked<'a> {
    pub(super) row: &'a LeaderboardRow,
    /// Colour by rank; the leader has a colour of its own.
    pub(super) colour: Colour,
    /// Whether the trial is the leader.
    pub(super) leads: bool,
    /// Whether the trial is of no use: collapsed or diverged.
    pub(super) unfit: bool,
}

/// Whether the trial of this row is of no use.
pub(super) fn is_unfit(row: &LeaderboardRow) -> bool {
    row.verdict.is_some_and(Verdict::is_unfit)
}

/// The ranked trials, best first, coloured from dark to light.
pub(super) fn shades(board: &Leaderboard) -> Vec<Ranked<'_>> {
    let rows: Vec<(usize, &LeaderboardRow)> =
        board.rows.iter().filter_map(|row| Some((row.rank?, row))).collect();
    // Trials of no use have no colour of a rank, so their ranks take no colours away from the others.
    let lowest =
        rows.iter().filter(|(_, row)| !is_unfit(row)).map(|(rank, _)| *rank).max().unwrap_or(1).max(2);
    let leader = board.leader().map(|row| row.trial);
    rows.into_iter()
        .map(|(rank, row)| {
            let leads = Some(row.trial) == leader;
            #[expect(clippy::cast_precision_loss, reason = "few trials")]
            let shade = ranked((rank - 1) as f64 / (lowest - 1) as f64);
            Ranked { row, colour: if leads { VERMILLION } else { shade }, leads, unfit: is_unfit(row) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        samples::{record, study},
    };

    fn board() -> Leaderboard {
        let study = study((1..=5).map(|id| record(id, &[0.1 * f64::from(id)])).collect());
        build(&study, RankBy::TestF1, &|_| None)
    }

    #[test]
    fn the_best_trial_has_a_colour_of_its_own() {
        assert_eq!(shades(&board())[0].colour, VERMILLION);
    }

    #[test]
    fn a_collapsed_trial_is_of_no_use() {
        let mut board = board();
        board.rows[3].verdict = Some(Verdict::Collapsed);
        assert_eq!(shades(&board).iter().filter(|trial| trial.unfit).count(), 1);
    }

    #[test]
    fn shades_grow_lighter_with_the_rank() {
        let board = board();
        let shades = shades(&board);
        assert!(shades[1..].windows(2).all(|pair| pair[0].colour.luminance() < pair[1].colour.luminance()));
    }
}
