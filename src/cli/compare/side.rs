//! Which two trials are meant.

use std::path::Path;

use crate::{
    cli::{
        exit::{Exit, Stop},
        export_best,
        open::{OpenedSweep, read},
    },
    display::plain,
    leaderboard::{self, LeaderboardRow, RankBy},
    results::{Results, SweepFolder},
    study::TrialRecord,
    trial::TrialId,
};

/// One of the two trials.
pub(super) struct Side<'a> {
    pub(super) opened: &'a OpenedSweep,
    pub(super) record: &'a TrialRecord,
    pub(super) row: LeaderboardRow,
    /// The figure by which it was chosen, where the user named its sweep and not the trial.
    pub(super) best_by: Option<RankBy>,
}

/// The words of the user that name two trials.
pub(super) struct Words<'a> {
    pub(super) both: [&'a str; 2],
    /// The sweep of trials that are given by their numbers alone.
    pub(super) sweep: Option<&'a str>,
    /// The figure that decides which trial of a sweep is its best.
    pub(super) by: RankBy,
}

/// What a word names.
struct Named {
    folder: SweepFolder,
    trial: Option<TrialId>,
}

/// Does `work` with the two trials that the words name.
pub(super) fn both<T>(
    words: &Words<'_>,
    results: &Results,
    work: impl FnOnce([&Side<'_>; 2]) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let [first, second] = words.both.map(|word| named(word, words.sweep, results));
    let (first, second) = (first?, second?);
    if words.sweep.is_some() && words.both.iter().all(|word| number(word).is_none()) {
        let message =
            "SWEEP is the sweep of trials that are given by their numbers alone, and none of the two is";
        return Err(Stop::usage(message));
    }
    let opened = read(first.folder.clone())?;
    let is_same = first.folder.identity()? == second.folder.identity()?;
    let other = if is_same { None } else { Some(read(second.folder)?) };
    let other = other.as_ref().unwrap_or(&opened);
    let sides = [Side::new(&opened, first.trial, words.by)?, Side::new(other, second.trial, words.by)?];
    if is_same && sides[0].record.trial.id == sides[1].record.trial.id {
        return Err(Stop::usage(format!("{} is compared with itself; name two trials", sides[0].name())));
    }
    let done = work(sides.each_ref())?;
    [&opened, other].into_iter().try_for_each(OpenedSweep::check_not_begun_anew)?;
    Ok(done)
}

/// The trial of this number, if the text is a number.
fn number(text: &str) -> Option<TrialId> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(TrialId)
}

/// The sweep or trial that a word names.
fn named(word: &str, of_numbers: Option<&str>, results: &Results) -> Result<Named, Stop> {
    if let Some(trial) = number(word) {
        return Ok(Named { folder: results.find(of_numbers)?, trial: Some(trial) });
    }
    let whole = sweep(word, results);
    match word.rsplit_once('/') {
        Some((before, last)) if whole.is_err() && !before.is_empty() && number(last).is_some() => {
            Ok(Named { folder: sweep(before, results)?, trial: number(last) })
        }
        _ => Ok(Named { folder: whole?, trial: None }),
    }
}

/// The sweep of this name, or else the one whose folder has this path.
fn sweep(name: &str, results: &Results) -> Result<SweepFolder, Stop> {
    results.find(Some(name)).or_else(|unknown| sweep_at(Path::new(name)).ok_or_else(|| unknown.into()))
}

/// The sweep whose folder has this path, if there is one.
fn sweep_at(path: &Path) -> Option<SweepFolder> {
    let parent = path.parent()?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let folder = Results::new(parent).sweep(path.file_name()?.to_str()?);
    folder.plan().is_file().then_some(folder)
}

impl<'a> Side<'a> {
    fn new(opened: &'a OpenedSweep, trial: Option<TrialId>, by: RankBy) -> Result<Self, Stop> {
        let study = &opened.study;
        let board = leaderboard::build(study, by, &|_| None);
        let id = match (trial, board.leader()) {
            (Some(id), _) => id,
            (None, Some(leader)) => leader.trial,
            (None, None) => {
                let (name, arguments) = (plain(&study.sweep), plain(&opened.folder.name()));
                let message = format!(
                    "{name} has no best trial: none is complete and fit for use; name a trial of it, such as \
                     {arguments}/1"
                );
                return Err(Stop::new(Exit::NoneComplete, &message));
            }
        };
        let record = export_best::named(study, id)?;
        let row = board.rows.into_iter().find(|row| row.trial == id);
        // The leaderboard has a row for each trial.
        let row = row.ok_or_else(|| Stop::internal(&format!("trial {id} has no row")))?;
        Ok(Self { opened, record, row, best_by: trial.is_none().then_some(by) })
    }

    /// Its name at the beginning of a sentence.
    pub(super) fn name(&self) -> String {
        format!("Trial {} of {}", self.record.trial.id, plain(&self.opened.study.sweep))
    }
}
