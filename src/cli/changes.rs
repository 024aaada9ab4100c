//! A spec that has changed since the last run of its sweep: whether the sweep can be resumed, and what
//! changes.

use std::{collections::BTreeMap, fmt::Write as _};

use super::exit::Stop;
use crate::{
    event::{Event, Record},
    journal,
    plan::{Difference, LoggedTrial, Plan, Revision},
    results::SweepFolder,
    trial::TrialId,
};

/// Number of differences between two plans that a message lists.
const DIFFERENCES_SHOWN_MAX: usize = 4;

/// Revises the plan `found` in `folder` for a spec whose plan is now `now`.
///
/// # Errors
/// When the change would give existing results another meaning. A sweep without a complete or finally failed
/// trial has no results, so its plan may change in any way.
pub(super) fn revise(folder: &SweepFolder, found: &Plan, now: &Plan) -> Result<Revision, Stop> {
    let revision = found.revised(now, &logged(folder)?);
    if revision.changes_meaning() && has_results(&journal::replay(&folder.log())?.records) {
        return Err(Stop::usage(format!(
            "{} holds results of another plan:\n{}give the spec a new name (--set name=…), or forget those results \
             with --fresh",
            folder.path().display(),
            listed(&revision.differences)
        )));
    }
    Ok(revision)
}

/// The trials that the log has added to the plan.
fn logged(folder: &SweepFolder) -> Result<Vec<LoggedTrial>, Stop> {
    let mut logged: BTreeMap<TrialId, LoggedTrial> = BTreeMap::new();
    journal::scan(&folder.log(), &mut |record| match (record.trial, record.event) {
        (Some(id), Event::TrialPlanned(trial)) => {
            logged.insert(id, LoggedTrial { trial: *trial, is_begun: false });
        }
        (Some(id), _) => {
            if let Some(logged) = logged.get_mut(&id) {
                logged.is_begun = true;
            }
        }
        (None, _) => {}
    })?;
    Ok(logged.into_values().collect())
}

/// Whether a trial was ever complete or failed without a further attempt.
fn has_results(records: &[Record]) -> bool {
    let is_end = |record: &Record| {
        matches!(record.event, Event::Finished(_) | Event::Halted(_) | Event::Failed { retry: false, .. })
    };
    records.iter().any(is_end)
}

/// Says what has changed, and how many trials are kept, new or removed. Empty if nothing has changed.
pub(super) fn describe(revision: &Revision) -> String {
    let Revision { plan, differences, kept, added, returned, removed } = revision;
    if differences.is_empty() {
        return String::new();
    }
    let mut text = format!("the spec of {} has changed:\n{}", plan.sweep, listed(differences));
    let parts = [(kept, "kept"), (added, "new"), (returned, "back again"), (removed, "removed")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, what)| **count > 0 || matches!(*what, "kept" | "new" | "removed"))
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let _ = writeln!(text, "trials: {}", parts.join(", "));
    if *removed > 0 && !revision.changes_meaning() {
        text.push_str("the files of removed trials stay; if the spec has such a trial again, it is back with its results\n");
    }
    text
}

/// A line for each of the first differences, and one that counts the others.
fn listed(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences.iter().take(DIFFERENCES_SHOWN_MAX) {
        let _ = writeln!(text, "  - {}", difference.text);
    }
    if let Some(more @ 1..) = differences.len().checked_sub(DIFFERENCES_SHOWN_MAX) {
        let _ = writeln!(text, "  - and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        cli::Exit,
        journal::Journal,
        results::Results,
        samples,
        trial::{Failure, FailureKind, TrialId},
    };

    /// A sweep's folder whose log holds these events of trial 1.
    fn folder(events: &[Event]) -> (tempfile::TempDir, SweepFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = Results::new(root.path()).sweep("test");
        std::fs::create_dir_all(folder.path()).unwrap();
        let (mut journal, _) = Journal::open(&folder.log()).unwrap();
        for event in events {
            journal.append(Some(TrialId(1)), event.clone(), SystemTime::UNIX_EPOCH).unwrap();
        }
        (root, folder)
    }

    fn failed(retry: bool) -> Event {
        Event::Failed { failure: Failure { kind: FailureKind::Signal(9), message: String::new() }, retry }
    }

    /// The plan of [`samples::plan`] with another number of epochs.
    fn other() -> Plan {
        let mut plan = samples::plan(2);
        plan.trials.iter_mut().for_each(|trial| trial.settings.epochs = 9);
        plan
    }

    #[test]
    fn a_change_of_the_meaning_of_results_is_refused() {
        let (_root, folder) = folder(&[failed(false)]);
        let stop = revise(&folder, &samples::plan(2), &other()).unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(
            stop.message.contains("holds results of another plan:\n  - `epochs` was 3 and is now 9\ngive")
        );
        assert!(stop.message.contains("--fresh"), "{}", stop.message);
    }

    #[test]
    fn before_any_trial_has_ended_everything_may_change() {
        for events in [vec![], vec![failed(true)], vec![Event::Interrupted]] {
            let (_root, folder) = folder(&events);
            let revision = revise(&folder, &samples::plan(2), &other()).unwrap();
            assert_eq!((revision.kept, revision.added, revision.removed), (0, 2, 2));
            let text = describe(&revision);
            assert_eq!(
                text,
                "the spec of test has changed:\n  - `epochs` was 3 and is now 9\ntrials: 0 kept, 2 new, 2 removed\n"
            );
        }
    }

    #[test]
    fn another_search_space_keeps_the_trials_that_are_the_same() {
        let (_root, folder) = folder(&[failed(false)]);
        let revision = revise(&folder, &samples::plan(3), &samples::plan(2)).unwrap();
        let text = describe(&revision);
        assert!(
            text.contains("trials: 2 kept, 0 new, 1 removed\nthe files of removed trials stay"),
            "{text}"
        );
        let back = revise(&folder, &revision.plan, &samples::plan(3)).unwrap();
        assert!(describe(&back).ends_with("trials: 2 kept, 0 new, 1 back again, 0 removed\n"));
        let same = revise(&folder, &back.plan, &samples::plan(3)).unwrap();
        assert_eq!(describe(&same), "");
    }

    #[test]
    fn only_the_first_few_differences_are_listed() {
        let difference = |number| Difference { text: format!("difference {number}"), changes_meaning: false };
        let text = listed(&(1..=6).map(difference).collect::<Vec<_>>());
        assert!(text.ends_with("difference 4\n  - and 2 more\n") && !text.contains("difference 5"));
    }
}
