//! The page of a sweep, made again whenever its log has grown. Nothing is written.
//!
//! Records are applied as they come; what costs more, the comparison of the predictions on the test set, is made anew only
//! when trials have ended, and the less often the longer it takes. Where anything does not fit, as when the sweep is begun
//! anew, the sweep is read from its beginning.

use std::time::{Duration, Instant, SystemTime};

use super::{inspecting::Inspector, open::read_plan, show};
use crate::{
    display::plain,
    journal::{Growth, Tail},
    leaderboard::{self, Configurations, Leaderboard, RankBy},
    plan::Plan,
    report::{self, PageInput, PageState},
    results::{Holder, SweepFolder},
    study::Study,
    trial::{State, TrialId},
};

/// Rest after a comparison, in multiples of the time it took.
const REST: u32 = 99;
/// The longest rest.
const REST_MAX: Duration = Duration::from_mins(1);

/// A sweep that is followed.
pub(super) struct Follower {
    folder: SweepFolder,
    followed: Option<Followed>,
    inspector: Inspector,
    compared: Option<Compared>,
    /// What was shown when the sweep could not be read.
    fault: Option<String>,
}

/// A sweep as far as its log was read.
struct Followed {
    plan: Plan,
    /// When the plan was written.
    planned: Option<(u64, SystemTime)>,
    tail: Tail,
    study: Study,
    spec: String,
    holder: Option<Holder>,
}

/// A leaderboard with its comparisons, and the complete trials that it is about.
struct Compared {
    board: Leaderboard,
    /// With folds, the configurations as they stood then.
    configurations: Option<Configurations>,
    complete: Vec<(TrialId, u32)>,
    next: Instant,
}

impl Follower {
    pub(super) fn new(folder: SweepFolder) -> Self {
        let inspector = Inspector::of_small_data(folder.clone());
        Self { folder, followed: None, inspector, compared: None, fault: None }
    }

    /// The page as it is now, if it may have changed since the last call.
    pub(super) fn look(&mut self) -> Option<PageState> {
        match self.read() {
            Ok(has_changed) => {
                let is_due = has_changed || self.fault.take().is_some() || self.owes_comparison();
                is_due.then(|| self.page()).flatten()
            }
            Err(fault) => {
                self.followed = None;
                let is_new = self.fault.as_ref() != Some(&fault);
                let page = report::unreadable(&self.folder.name(), &fault);
                self.fault = Some(fault);
                is_new.then_some(page)
            }
        }
    }

    /// Reads what has come. Returns whether anything has changed.
    fn read(&mut self) -> Result<bool, String> {
        let planned = self.folder.plan_stamp();
        let is_same = self.followed.as_ref().is_some_and(|it| it.planned == planned);
        if is_same && let Some(has_changed) = self.read_on()? {
            return Ok(has_changed);
        }
        self.begin(planned)?;
        self.read_on()?;
        Ok(true)
    }

    /// Reads on where the last call has ended; `None` if the log is not the same any more.
    fn read_on(&mut self) -> Result<Option<bool>, String> {
        let Some(Followed { tail, study, holder, .. }) = &mut self.followed else { return Ok(None) };
        let mut applied = Ok(());
        let growth = tail.read(&mut |record| applied = applied.clone().and_then(|()| study.apply(&record)));
        applied.map_err(|error| error.to_string())?;
        let now = self.folder.holder();
        let is_other = *holder != now;
        *holder = now;
        match growth.map_err(|error| crate::error_chain::chain(&error))? {
            Growth::Replaced => Ok(None),
            Growth::By(records) => Ok(Some(records > 0 || is_other)),
        }
    }

    /// Begins at the beginning of the log.
    fn begin(&mut self, planned: Option<(u64, SystemTime)>) -> Result<(), String> {
        let missing = || "it has no plan (yet)".to_owned();
        let plan = read_plan(&self.folder).map_err(|stop| stop.message)?.ok_or_else(missing)?;
        let study = Study::new(&plan);
        let spec = self.folder.spec().read_to_string().unwrap_or_default();
        let tail = Tail::new(self.folder.log());
        self.followed = Some(Followed { plan, planned, tail, study, spec, holder: None });
        self.inspector = Inspector::of_small_data(self.folder.clone());
        self.compared = None;
        Ok(())
    }

    /// Whether trials have ended that were not compared yet, and it is time to.
    fn owes_comparison(&self) -> bool {
        let Some(followed) = &self.followed else { return false };
        let is_behind = |compared: &Compared| {
            compared.complete != complete(&followed.study) && Instant::now() >= compared.next
        };
        self.compared.as_ref().is_none_or(is_behind)
    }

    /// The page of the sweep as far as it was read.
    fn page(&mut self) -> Option<PageState> {
        let is_compared = self.owes_comparison();
        let Followed { study, spec, holder, plan, .. } = self.followed.as_ref()?;
        let mut study = study.clone();
        if holder.is_none() {
            study.settle();
        }
        let board = if is_compared {
            let begun = Instant::now();
            let board = show::leaderboard(&self.folder, &study, RankBy::TestF1);
            let configurations = show::over_folds(&self.folder, &study);
            let rest = (begun.elapsed() * REST).min(REST_MAX);
            let (complete, next) = (complete(&study), begun + rest);
            self.compared = Some(Compared { board: board.clone(), configurations, complete, next });
            board
        } else {
            let mut board = leaderboard::build(&study, RankBy::TestF1, &|_| None);
            board.take_comparisons(self.compared.as_ref().map(|compared| &compared.board));
            board
        };
        let runner = match holder {
            Some(holder) => format!("Running: {holder}."),
            None if study.is_over() => "Not running: every trial is over.".to_owned(),
            None => format!("Not running: sweep run resumes {}.", plain(&plan.sweep)),
        };
        let pictured = report::pictured(&board);
        let inspection = self.inspector.inspect(&study, &board);
        let runner = Some(runner.as_str());
        Some(report::page(&PageInput {
            study: &study,
            board: &board,
            configurations: self.compared.as_ref().and_then(|compared| compared.configurations.as_ref()),
            spec,
            pictured: &pictured,
            inspection,
            runner,
        }))
    }
}

/// The complete trials, each with its attempt.
fn complete(study: &Study) -> Vec<(TrialId, u32)> {
    let complete = study.trials.iter().filter(|record| record.state == State::Complete);
    complete.map(|record| (record.trial.id, record.attempts)).collect()
}
