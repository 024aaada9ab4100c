//! The summary at the end of a run.

use std::io::{self, Write};

use super::line::counted;
use crate::{
    display::{self, plain},
    leaderboard::verdict::{Verdict, judge},
    results::SweepFolder,
    study::{Study, TrialRecord},
    system::files::Place,
    trial::State,
};

/// Writes the summary of a run: counts, failures, the given top of the leaderboard, the paths of the
/// results, and the commands that are likely to come next.
///
/// # Errors
/// When `out` cannot be written.
pub fn summary(
    out: &mut dyn Write,
    study: &Study,
    leaderboard: &str,
    folder: &SweepFolder,
) -> io::Result<()> {
    let counts = study.counts();
    let mut parts = vec![format!("{} of {} complete", counts.complete, counted(study.trials.len(), "trial"))];
    if counts.halted > 0 {
        parts.push(format!("{} halted (up to {} epochs saved)", counts.halted, study.epochs_saved()));
    }
    if counts.failed > 0 {
        parts.push(format!("{} failed", counts.failed));
    }
    let waiting = counts.waiting + counts.running + counts.paused;
    if waiting > 0 {
        parts.push(format!("{waiting} wait{}", if waiting == 1 { "s" } else { "" }));
    }
    writeln!(out, "{}: {}", plain(&study.sweep), parts.join(", "))?;
    let is_failed = |record: &&TrialRecord| record.state == State::Failed;
    for record in study.trials.iter().filter(is_failed) {
        let message = record.failure.as_ref().map_or("", |failure| &failure.message);
        let params = record.trial.described();
        let params = if params.is_empty() { params } else { format!(" ({params})") };
        writeln!(out, "  {}", plain(&format!("trial {}{params} failed: {message}", record.trial.id)))?;
    }
    if counts.failed > 0 {
        let (trials, them) =
            if counts.failed == 1 { ("a failed trial stays", "it") } else { ("failed trials stay", "them") };
        writeln!(out, "  {trials} failed; to try {them} again, add --retry-failed to the same command")?;
    }
    search(out, study)?;
    if !leaderboard.is_empty() {
        writeln!(out, "\n{}\n", leaderboard.trim_end())?;
    }
    let mut path_line = |what: &str, place: &Place| -> io::Result<()> {
        if place.exists() { writeln!(out, "{what:<9} {}", display::path(place.path())) } else { Ok(()) }
    };
    path_line("overview", &folder.overview())?;
    path_line("report", &folder.report())?;
    path_line("results", folder.place())?;
    next(out, study.trials.iter().any(is_fit), folder)
}

/// Says why the search has no more trials, and none that confirm its best.
fn search(out: &mut dyn Write, study: &Study) -> io::Result<()> {
    if let Some(why) = &study.search_ended {
        writeln!(out, "  the search planned no further trial: {}", plain(why))?;
    }
    if study.confirms_nothing() {
        writeln!(out, "  no configuration is confirmed: none has a complete trial that is fit for use")?;
    }
    Ok(())
}

/// Whether the trial is complete and can be exported without being named.
fn is_fit(record: &TrialRecord) -> bool {
    let is_unfit = judge(record).is_some_and(Verdict::is_unfit);
    record.state == State::Complete && !is_unfit && !record.parameters_removed
}

/// Writes the commands that are likely to come next.
fn next(out: &mut dyn Write, is_any_fit: bool, folder: &SweepFolder) -> io::Result<()> {
    let sweep = plain(&folder.arguments());
    writeln!(out, "{:<9} sweep leaderboard {sweep}", "next")?;
    if is_any_fit { writeln!(out, "{:<9} sweep export-best {sweep}", "") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Record},
        results::Results,
        samples::plan,
        search::{Confirm, RungFigure},
        trial::{Failure, FailureKind, TrialId},
    };

    /// A study of this many trials, the first of which failed with this message.
    fn with_failure(trials: u32, message: &str) -> Study {
        let mut study = Study::new(&plan(trials));
        let failure = Failure { kind: FailureKind::Data, message: message.to_owned() };
        let event = Event::Failed { failure, retry: false };
        study.apply(&Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(1)), event }).unwrap();
        study
    }

    #[test]
    fn a_message_cannot_control_the_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let study = with_failure(1, "label \u{1b}[31m");
        let mut out = Vec::new();
        summary(&mut out, &study, "", &Results::new(folder.path()).sweep("test")).unwrap();
        assert!(!out.contains(&0x1b), "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn the_summary_names_failures_and_only_pictures_that_exist() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = Results::new(folder.path()).sweep("test");
        std::fs::create_dir(sweep.path()).unwrap();
        std::fs::write(sweep.overview(), "").unwrap();
        let study = with_failure(2, "no such file");
        let mut out = Vec::new();
        summary(&mut out, &study, "rank\n1\n", &sweep).unwrap();
        let text = String::from_utf8(out).unwrap().replace(&folder.path().display().to_string(), "results");
        assert_eq!(
            text,
            "test: 0 of 2 trials complete, 1 failed, 1 waits\n  trial 0001 failed: no such file\n  \
             a failed trial stays failed; to try it again, add --retry-failed to the same command\n\n\
             rank\n1\n\noverview  results/test/overview.png\nresults   results/test\n\
             next      sweep leaderboard test --results results\n"
        );
    }

    #[test]
    fn the_summary_says_that_no_configuration_is_fit_to_be_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let mut study = crate::samples::study(vec![crate::samples::collapsed(1, 0.9)]);
        study.confirm = Some(Confirm { top: 1, repeats: 1, by: RungFigure::ValF1, after: 1 });
        let mut out = Vec::new();
        summary(&mut out, &study, "", &Results::new(folder.path()).sweep("test")).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("\n  no configuration is confirmed: none has a complete trial that is fit"),
            "{text}"
        );
    }
}
