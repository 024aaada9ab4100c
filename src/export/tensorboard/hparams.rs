//! What the HParams tab of TensorBoard shows: the settings in which trials differ, and their figures.
//!
//! The messages are those of `tensorboard/plugins/hparams/*.proto`: an experiment that says what there is, and the start and
//! the end of a session for each trial.

use super::{
    protobuf::Message,
    tags::{BEST_F1, BEST_LOSS, TEST_ACCURACY, TEST_F1, TEST_LOSS},
};
use crate::{
    export::{
        runs::{Run, Runs},
        times::{Milliseconds, seconds},
    },
    numbers::count_u64,
    settings::{SettingKey, Value},
    trial::State,
};

/// `DataType`
const STRING: u64 = 1;
const FLOAT64: u64 = 3;
/// `Status`
const UNKNOWN: u64 = 0;
const SUCCESS: u64 = 1;
const FAILURE: u64 = 2;
const RUNNING: u64 = 3;

/// A value of a summary for the tab.
fn value(tag: &str, data: &Message) -> Message {
    let plugin = Message::new().text(1, "hparams").message(2, data);
    let metadata = Message::new().message(1, &plugin);
    Message::new().text(1, tag).message(9, &metadata)
}

/// What a column shows of a trial.
#[derive(Clone, Copy)]
enum Shown {
    Setting(&'static SettingKey),
    /// Where configurations are repeated.
    Seed,
    /// Where there are folds.
    Fold,
    /// The verdict, or the state of a trial that has none.
    Verdict,
}

/// The columns of the table, before those of figures.
pub(super) struct Table(Vec<Column>);

struct Column {
    shown: Shown,
    /// The values that the trials have, each once, where they are texts: the tab filters by them.
    texts: Option<Vec<String>>,
}

impl Table {
    /// The settings in which the trials differ, and how the trials went.
    pub(super) fn new(runs: &Runs<'_>) -> Self {
        let settings = runs.different().map(Shown::Setting);
        let seed = runs.has_repeats().then_some(Shown::Seed);
        let fold = runs.has_folds().then_some(Shown::Fold);
        let shown = settings.chain(seed).chain(fold).chain([Shown::Verdict]);
        Self(shown.map(|shown| Column::new(shown, runs)).collect())
    }

    /// Which settings and figures there are.
    pub(super) fn experiment(&self, runs: &Runs<'_>) -> Message {
        let mut experiment = Message::new()
            .text(6, &runs.sweep)
            .text(1, "trials of sweep; without a test figure where a trial was not measured")
            .double(3, seconds(runs.begun));
        for column in &self.0 {
            experiment = experiment.message(4, &column.description());
        }
        for (tag, name, about) in [
            (BEST_F1, "validation F1", "F1 on the validation set, of the parameters that are kept"),
            (BEST_LOSS, "validation loss", "mean cross-entropy on the validation set, of these parameters"),
            (TEST_F1, "test F1", "F1 on the test set, measured once, of these parameters"),
            (TEST_ACCURACY, "test accuracy", "share of test documents that are classified rightly"),
            (TEST_LOSS, "test loss", "mean cross-entropy on the test set"),
        ] {
            let metric = Message::new().message(1, &Message::new().text(2, tag)).text(3, name).text(4, about);
            experiment = experiment.message(5, &metric);
        }
        value("_hparams_/experiment", &Message::new().message(2, &experiment))
    }

    /// The start of a trial, with its settings.
    pub(super) fn session_start(&self, run: &Run<'_>, begun: Milliseconds) -> Message {
        let start = self.0.iter().fold(Message::new(), |start, column| {
            start.message(1, &Message::new().text(1, column.name()).message(2, &column.cell(run)))
        });
        let start = start.text(4, &run.id().to_string()).double(5, seconds(begun));
        value("_hparams_/session_start_info", &Message::new().message(3, &start))
    }
}

impl Column {
    fn new(shown: Shown, runs: &Runs<'_>) -> Self {
        let values: Vec<Value> = runs.trials.iter().map(|run| of(shown, run)).collect();
        let are_texts = values.iter().any(|value| matches!(value, Value::Text(_)));
        let texts = are_texts.then(|| {
            let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
            texts.sort();
            texts.dedup();
            texts
        });
        Self { shown, texts }
    }

    const fn name(&self) -> &'static str {
        match self.shown {
            Shown::Setting(key) => key.name,
            Shown::Seed => "seed",
            Shown::Fold => "fold",
            Shown::Verdict => "verdict",
        }
    }

    fn description(&self) -> Message {
        let kind = if self.texts.is_some() { STRING } else { FLOAT64 };
        let info = Message::new().text(1, self.name()).number(4, kind).number(7, 1);
        match &self.texts {
            None => info,
            Some(texts) => {
                let list = texts
                    .iter()
                    .fold(Message::new(), |list, text| list.message(1, &Message::new().text(3, text)));
                info.message(5, &list)
            }
        }
    }

    /// The value of a trial, as a `google.protobuf.Value`. If one trial has a text, all have texts.
    fn cell(&self, run: &Run<'_>) -> Message {
        let value = of(self.shown, run);
        match value.as_f64().filter(|_| self.texts.is_none()) {
            Some(number) => Message::new().double(2, number),
            None => Message::new().text(3, &value.to_string()),
        }
    }
}

/// What a column shows of a trial.
fn of(shown: Shown, run: &Run<'_>) -> Value {
    match shown {
        Shown::Setting(key) => run.setting(key),
        Shown::Seed => Value::Float(count_u64(run.record.trial.seed)),
        Shown::Fold => Value::Float(run.record.trial.fold.map_or(0.0, f64::from)),
        Shown::Verdict => Value::Text(run.verdict_or_state().to_owned()),
    }
}

/// The end of a trial.
pub(super) fn session_end(run: &Run<'_>, ended: Milliseconds) -> Message {
    let status = match run.record.state {
        State::Complete => SUCCESS,
        State::Failed => FAILURE,
        State::Running | State::Paused => RUNNING,
        // A halted trial has neither succeeded nor failed.
        State::Halted | State::Waiting => UNKNOWN,
    };
    let end = Message::new().number(1, status).double(2, seconds(ended));
    value("_hparams_/session_end_info", &Message::new().message(4, &end))
}
