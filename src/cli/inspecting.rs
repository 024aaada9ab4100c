//! A look at what the best trial predicts: its surest mistakes, with their texts, and its calibration.
//!
//! The texts stay in the data files, and are read again for the few documents that are shown. A run does so only where the
//! files are small: a picture is not worth reading gigabytes beside trials that train.

use std::collections::BTreeSet;

use super::open::read_plan;
use crate::{
    data::{self, TestTexts},
    error_chain::chain,
    integrity,
    leaderboard::Leaderboard,
    report::Inspection,
    results::SweepFolder,
    study::Study,
    trial::TrialId,
};

/// Bytes of data files at most that are read again while a run or a server draws: a second or two of reading.
const SMALL_DATA_MAX: u64 = 64 << 20;

/// Looks at the predictions of leaders, and remembers the latest look and the data.
pub(super) struct Inspector {
    folder: SweepFolder,
    data_bytes_max: u64,
    /// The data, once it was asked for; or why there are no texts.
    texts: Option<Result<TestTexts, String>>,
    latest: Option<((TrialId, u32), Inspection)>,
}

impl Inspector {
    /// Reads data of any size.
    pub(super) fn new(folder: SweepFolder) -> Self {
        Self { folder, data_bytes_max: u64::MAX, texts: None, latest: None }
    }

    /// Reads no data of more than [`SMALL_DATA_MAX`].
    pub(super) fn of_small_data(folder: SweepFolder) -> Self {
        Self { data_bytes_max: SMALL_DATA_MAX, ..Self::new(folder) }
    }

    /// What the leader's predictions show; `None` without a leader, or without its whole predictions.
    pub(super) fn inspect(&mut self, study: &Study, board: &Leaderboard) -> Option<&Inspection> {
        let leader = board.leader()?.trial;
        let record = study.trial(leader)?;
        let key = (leader, record.attempts);
        if self.latest.as_ref().is_none_or(|(known, _)| *known != key) {
            let classified = integrity::classified(&self.folder.trial(leader), record, &study.labels)?;
            let mut inspection = Inspection::new(leader, &classified);
            if let Err(why) = self.add_texts(&mut inspection) {
                inspection.no_texts = Some(why);
            }
            self.latest = Some((key, inspection));
        }
        self.latest.as_ref().map(|(_, inspection)| inspection)
    }

    /// Adds the text of each mistake.
    fn add_texts(&mut self, inspection: &mut Inspection) -> Result<(), String> {
        let ids: BTreeSet<u64> = inspection.mistakes.iter().map(|it| it.classified.prediction.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let texts = self.texts.get_or_insert_with(|| open_texts(&self.folder, self.data_bytes_max));
        let mut found = texts.as_ref().map_err(Clone::clone)?.of(&ids).map_err(|error| chain(&error))?;
        for mistake in &mut inspection.mistakes {
            mistake.text = found.remove(&mistake.classified.prediction.id);
        }
        let is_whole = inspection.mistakes.iter().all(|mistake| mistake.text.is_some());
        is_whole
            .then_some(())
            .ok_or_else(|| "the test set has no documents with some of these numbers".to_owned())
    }
}

/// The test set of the sweep in `folder`, or why it cannot be read.
fn open_texts(folder: &SweepFolder, bytes_max: u64) -> Result<TestTexts, String> {
    let plan = read_plan(folder).ok().flatten().ok_or("the plan cannot be read")?;
    if data::bytes(&plan.data) > bytes_max {
        return Err(format!("the data files are large; `sweep report {}` reads them", folder.arguments()));
    }
    let digest = plan.fingerprints.data.as_ref().map(|digests| digests.test.as_str());
    TestTexts::open(&plan.data, digest).map_err(|error| chain(&error))
}
