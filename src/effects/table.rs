//! The effects as tables: for terminals, and as CSV.

use super::{
    judge::Band,
    summary::{Best, Effects, Importance, Kind, MeanAt, SettingEffect},
};
use crate::leaderboard::figures;

/// Values of a range that a table shows, at even distances.
const SHOWN_OF_RANGE: usize = 5;
/// Values of a list that a table shows.
const SHOWN_OF_LIST: usize = 12;
/// Largest width of a value, in terminal columns.
const VALUE_COLUMNS_MAX: usize = 32;

/// What a table says of an effect that is not more than chance.
const UNCLEAR: &str = "not beyond chance";

impl Best {
    /// The values: `1e-4 to 3e-4`, or `cls, mean`.
    #[must_use]
    pub fn describe(&self, kind: Kind) -> String {
        let values: Vec<String> = self
            .values
            .iter()
            .map(|value| figures::shorten(&figures::value(value), VALUE_COLUMNS_MAX))
            .collect();
        let end = if self.is_at_end { " (at an end)" } else { "" };
        match (kind, values.as_slice()) {
            (Kind::Linear | Kind::Log, [from, to]) => format!("{from} to {to}{end}"),
            (Kind::Linear | Kind::Log | Kind::Numbers | Kind::Categories, _) => {
                format!("{}{end}", values.join(", "))
            }
        }
    }
}

impl Importance {
    /// The share with its interval: `.62 [.31, .88]`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} {}", percent(self.share), interval(self.low, self.high))
    }
}

/// A share of the variance in whole percent: more digits would be noise.
fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn interval(low: f64, high: f64) -> String {
    format!("[{:.0}, {:.0}]", 100.0 * low, 100.0 * high)
}

impl Effects {
    /// The name of the figure, with the epoch until which it counts.
    #[must_use]
    pub fn figure_name(&self) -> String {
        let name = self.figure.describe();
        self.until_epoch.map_or_else(|| name.to_owned(), |epoch| format!("{name} until epoch {epoch}"))
    }

    /// A row for each setting, the most important first, below a row of headings.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let headings = ["setting", "importance [95 %]", "p", "best values"];
        let mut rows = vec![headings.map(ToOwned::to_owned).to_vec()];
        for at in self.by_importance() {
            let setting = &self.settings[at];
            let Some(importance) = setting.importance else { continue };
            let share = if importance.is_clear { importance.describe() } else { UNCLEAR.to_owned() };
            let best = setting.best.as_ref().map(|best| best.describe(setting.kind));
            rows.push(vec![
                setting.name.clone(),
                share,
                figures::share(importance.p_value),
                best.unwrap_or_else(|| figures::NOTHING.to_owned()),
            ]);
        }
        if let Some(interaction) = self.notable_interaction() {
            let importance = interaction.importance;
            rows.push(vec![
                interaction.settings.join(" × "),
                importance.describe(),
                figures::share(importance.p_value),
                figures::NOTHING.to_owned(),
            ]);
        }
        rows
    }

    /// A row for some values of each setting, with the mean figure there, below a row of headings. Only settings whose
    /// effect is more than chance have rows.
    #[must_use]
    pub fn rows_of_means(&self) -> Vec<Vec<String>> {
        let headings = ["setting", "value", &format!("mean {} [95 %]", self.figure_name())];
        let mut rows = vec![headings.map(ToOwned::to_owned).to_vec()];
        for at in self.by_importance() {
            let setting = &self.settings[at];
            for (row, slot) in shown(setting).into_iter().enumerate().filter(|_| setting.is_clear()) {
                let mean = &setting.means[slot];
                let Band { mean: figure, low, high } = mean.band;
                rows.push(vec![
                    if row == 0 { setting.name.clone() } else { String::new() },
                    figures::shorten(&figures::value(&mean.value), VALUE_COLUMNS_MAX),
                    format!("{} {}", figures::share(figure), figures::interval(low, high)),
                ]);
            }
        }
        rows
    }

    /// As CSV for spreadsheets: a row for each value of each setting, or one for a setting of which nothing is said.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let headings = [
            "setting",
            "kind",
            "importance",
            "importance_low",
            "importance_high",
            "p_value",
            "is_clear",
            "value",
            "mean",
            "mean_low",
            "mean_high",
        ];
        let mut records = vec![headings.map(ToOwned::to_owned).to_vec()];
        records.extend(self.settings.iter().flat_map(records_of));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for record in records {
            let record: Vec<String> = record.iter().map(|cell| figures::cell(cell)).collect();
            if let Err(error) = writer.write_record(record) {
                unreachable!("writing to memory, each record with as many fields as the first: {error}");
            }
        }
        String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
    }
}

/// The rows of a setting: one for each value, or one where nothing is said.
fn records_of(setting: &SettingEffect) -> Vec<Vec<String>> {
    let importance = setting.importance.map_or_else(
        || vec![String::new(); 5],
        |it| {
            let figures = [it.share, it.low, it.high, it.p_value].map(|figure| figure.to_string());
            [figures.to_vec(), vec![it.is_clear.to_string()]].concat()
        },
    );
    let head = [vec![setting.name.clone(), setting.kind.as_str().to_owned()], importance].concat();
    if setting.means.is_empty() {
        return vec![[head, vec![String::new(); 4]].concat()];
    }
    let record = |mean: &MeanAt| {
        let Band { mean: figure, low, high } = mean.band;
        let figures = [figure, low, high].map(|figure| figure.to_string());
        [head.clone(), vec![mean.value.to_string()], figures.to_vec()].concat()
    };
    setting.means.iter().map(record).collect()
}

/// The places of the values that a table shows.
fn shown(setting: &SettingEffect) -> Vec<usize> {
    let slots = setting.means.len();
    match setting.kind {
        Kind::Numbers | Kind::Categories => (0..slots.min(SHOWN_OF_LIST)).collect(),
        Kind::Linear | Kind::Log => {
            let step = |number: usize| number * slots.saturating_sub(1) / (SHOWN_OF_RANGE - 1);
            (0..SHOWN_OF_RANGE.min(slots)).map(step).collect()
        }
    }
}

impl Kind {
    /// Its spelling in JSON and CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::Numbers => "numbers",
            Self::Categories => "categories",
        }
    }
}
