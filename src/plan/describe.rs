//! A plan as text, for `sweep run --dry-run`: its trials, its data, its devices and its disk space.

use std::{fmt::Write, time::Duration};

use unicode_width::UnicodeWidthStr;

use super::{
    contents::Plan,
    notes::{counted, notes as data_notes},
    prefixes::prefixes,
};
use crate::{
    data::{Dataset, Source},
    display::plain,
    metrics::ClassCounts,
    policy::spell_time,
    search::{Budget, Confirm, SearchPlan},
};

/// Examples of documents that are alike.
const EXAMPLES_SHOWN: usize = 3;
/// Classes that are listed one by one; the others are counted.
const CLASSES_SHOWN: usize = 40;

/// The parts of a description.
#[derive(Clone, Copy, Debug)]
pub struct Overview<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its data.
    pub dataset: &'a Dataset,
    /// The devices that trials would run on, as text.
    pub devices: &'a str,
    /// The disk space that trials would take, as text.
    pub disk: &'a str,
    /// Further lines about the data, such as the number of texts that are longer than a chunk.
    pub notes: &'a [String],
}

/// Describes a plan: its size, its data, and every trial. Ends with a line break.
#[must_use]
pub fn describe(overview: &Overview<'_>) -> String {
    let Overview { plan, dataset, notes, .. } = *overview;
    let mut text = lines(&summary(overview));
    text.push('\n');
    text.push_str(&table(&data_rows(dataset), 1));
    for note in data_notes(&plan.data, dataset).iter().chain(notes) {
        text.push_str(&plain(note));
        text.push('\n');
    }
    if let Some(report) = &dataset.report {
        let table = table(&report.table(), 1);
        let _ = write!(text, "\n{table}{}", if table.is_empty() { "" } else { "\n" });
        for finding in report.findings(EXAMPLES_SHOWN) {
            let _ = writeln!(text, "{}", plain(&finding));
        }
    }
    text.push('\n');
    text.push_str(&table(&trial_rows(plan), 0));
    text
}

/// The rows of the summary: a name and a value each.
fn summary(overview: &Overview<'_>) -> Vec<(&'static str, String)> {
    let plan = overview.plan;
    let trials = plan.trials.len();
    let configurations = plan.trials.iter().filter(|trial| trial.is_first_of_configuration()).count();
    let folds = plan.data.folds.map_or(1, |folds| folds as usize);
    let seeds = trials / configurations.max(1) / folds.max(1);
    let each = match (seeds, folds) {
        (1, 1) => String::new(),
        (1, _) => format!(": {} with {folds} folds each", counted(configurations, "configuration")),
        (_, 1) => format!(": {} with {seeds} seeds each", counted(configurations, "configuration")),
        _ => format!(
            ": {} with {seeds} repeats of {folds} folds each",
            counted(configurations, "configuration")
        ),
    };
    let size = format!("{trials}{each}");
    let shared = prefixes(&plan.trials).len();
    let shared = (shared > 0).then(|| format!("{shared} of {trials} trials go on where another one ends"));
    let swept = if plan.swept.is_empty() { "nothing".to_owned() } else { plan.swept.join(", ") };
    let mut summary = vec![("sweep", format!("{}, seed {}", plan.sweep, plan.seed)), ("trials", size)];
    summary.extend(shared.map(|shared| ("shared", shared)));
    summary.extend(plan.search.iter().flat_map(|search| search_rows(plan, search)));
    summary.extend(plan.confirm.map(|confirm| ("confirm", confirm_row(plan, confirm))));
    summary.extend([
        ("swept", swept),
        ("data", source(&plan.data.source)),
        ("devices", overview.devices.to_owned()),
        ("disk", overview.disk.to_owned()),
    ]);
    summary
}

/// What a budget bounds. The first generation begins whatever it takes.
fn bound_by(plan: &Plan, budget: Budget) -> String {
    let first: u64 = plan.trials.iter().map(|trial| trial.settings.epochs as u64).sum();
    let epochs = |epochs: u64| counted(usize::try_from(epochs).unwrap_or(usize::MAX), "epoch");
    match budget {
        Budget::Epochs(budget) if budget < first => format!(
            "for {}, but at most {first} for the first generation, which comes whole: a smaller `generation` keeps closer \
             to the budget",
            epochs(budget)
        ),
        Budget::Epochs(budget) => format!("for at most {}", epochs(budget)),
        Budget::Seconds(seconds) => format!("for {}", spell_time(Duration::from_secs(seconds))),
    }
}

/// How trials are searched: a name and a value for each row.
fn search_rows(plan: &Plan, search: &SearchPlan) -> Vec<(&'static str, String)> {
    let size = usize::try_from(search.generation).unwrap_or(usize::MAX);
    let generations = format!("generations of {size} configurations");
    let planned = plan.trials.iter().filter(|trial| trial.is_first_of_configuration()).count();
    let (mut most, mut budget) = (Some(planned), None);
    let mut rows = Vec::new();
    match &search.growth {
        None => rows.push(("search", generations)),
        Some(growth) => {
            most = growth.trials.and_then(|trials| usize::try_from(trials).ok());
            let bound = most.map(|trials| format!("at most {}", counted(trials, "configuration")));
            budget = growth.budget;
            let budget = budget.map(|budget| bound_by(plan, budget));
            let bounds: Vec<String> = bound.into_iter().chain(budget).collect();
            let begins = "the first trials are listed below, the others follow from results";
            rows.push(("search", format!("{}; {generations}; {begins}", bounds.join(", "))));
        }
    }
    if let (Some(halving), Some(first)) = (&search.halving, plan.trials.first()) {
        let repeats = plan.trials.len() / planned.max(1);
        let bound = |size| halving.epochs_max(size, &first.settings) * repeats as u64;
        let of = |most: usize| {
            let epochs = (most / size) as u64 * bound(size) + bound(most % size);
            format!(": at most {epochs} of {} epochs", most * repeats * first.settings.epochs)
        };
        // A budget of epochs is a bound of its own.
        let bound = most.filter(|_| !matches!(budget, Some(Budget::Epochs(_)))).map_or_else(String::new, of);
        let rungs: Vec<String> = halving.rungs.iter().map(ToString::to_string).collect();
        let (eta, by) = (halving.eta, halving.by.as_str());
        let epochs = if rungs.len() == 1 { "epoch" } else { "epochs" };
        rows.push((
            "halving",
            format!("after {epochs} {}, one of {eta} goes on by {by}{bound}", rungs.join(", ")),
        ));
    }
    rows
}

/// Which configurations are confirmed, and what that takes at most.
fn confirm_row(plan: &Plan, confirm: Confirm) -> String {
    let growth = plan.search.as_ref().and_then(|search| search.growth.as_ref());
    let planned = plan.trials.iter().filter(|trial| trial.repeat == 0).count();
    let configurations = match growth {
        None => planned,
        Some(growth) => {
            growth.trials.map_or(usize::MAX, |trials| usize::try_from(trials).unwrap_or(usize::MAX))
        }
    };
    let trials = confirm.trials_max(configurations);
    // A search that plans further trials may draw more epochs than the first ones have.
    let is_known = growth.is_none() || !plan.swept.iter().any(|name| name == "epochs");
    let longest = plan.trials.iter().map(|trial| trial.settings.epochs).max().filter(|_| is_known);
    let epochs = longest.map_or_else(String::new, |epochs| format!(", {} epochs", trials * epochs));
    let seeds = counted(usize::try_from(confirm.repeats).unwrap_or(usize::MAX), "further seed");
    format!(
        "the best {} by {} get {seeds} each, once the search is over: at most {}{epochs} on top",
        confirm.top,
        confirm.by.as_str(),
        counted(trials, "trial"),
    )
}

/// The files of the data.
fn source(source: &Source) -> String {
    match source {
        Source::Files { .. } => source.paths().join(", "),
        Source::Single { path, .. } => format!("{}, divided by us", path.display()),
        Source::Reviews { .. } => "builtin:reviews, divided by us".to_owned(),
    }
}

/// The table of documents by class and split, or by class and fold.
fn data_rows(dataset: &Dataset) -> Vec<Vec<String>> {
    let counts = dataset.counts();
    let columns = columns(&counts);
    let row = |name: String, count: &dyn Fn(&[usize]) -> usize| {
        let mut row = vec![name];
        row.extend(columns.iter().map(|(_, column)| count(column).to_string()));
        row
    };
    let mut rows = vec![vec!["class".to_owned()]];
    rows[0].extend(columns.iter().map(|(heading, _)| heading.clone()));
    for (class, label) in dataset.labels.iter().enumerate().take(CLASSES_SHOWN) {
        rows.push(row(plain(label), &|counts| counts.get(class).copied().unwrap_or(0)));
    }
    if let Some(more @ 1..) = dataset.labels.len().checked_sub(CLASSES_SHOWN) {
        rows.push(row(format!("{more} more"), &|counts| counts.iter().skip(CLASSES_SHOWN).sum()));
    }
    rows.push(row("all".to_owned(), &|counts| counts.iter().sum()));
    rows
}

/// The headings of the table of documents, each with the documents of each class.
fn columns(counts: &ClassCounts) -> Vec<(String, &[usize])> {
    let test = ("test".to_owned(), counts.test.as_slice());
    if counts.folds.is_empty() {
        let [train, validation] = [("train", &counts.train), ("validation", &counts.validation)]
            .map(|(heading, counts)| (heading.to_owned(), counts.as_slice()));
        return vec![train, validation, test];
    }
    let folds =
        (1..).zip(&counts.folds).map(|(fold, own): (usize, _)| (format!("fold {fold}"), own.as_slice()));
    folds.chain([("all folds".to_owned(), counts.train.as_slice()), test]).collect()
}

/// The table of trials.
fn trial_rows(plan: &Plan) -> Vec<Vec<String>> {
    let repeats = plan.trials.iter().any(|trial| trial.repeat > 0);
    let folds = plan.trials.iter().any(|trial| trial.fold.is_some());
    let mut header = vec!["trial".to_owned()];
    header.extend(plan.swept.iter().cloned());
    header.extend(repeats.then(|| "repeat".to_owned()));
    header.extend(folds.then(|| "fold".to_owned()));
    header.push("seed".to_owned());
    let mut rows = vec![header];
    for trial in &plan.trials {
        let mut row = vec![trial.id.to_string()];
        row.extend(trial.params.0.iter().map(|(_, value)| value.to_string()));
        row.extend(repeats.then(|| (trial.repeat + 1).to_string()));
        row.extend(folds.then(|| trial.fold.map_or_else(String::new, |fold| fold.to_string())));
        row.push(trial.seed.to_string());
        rows.push(row);
    }
    rows
}

/// A line for each name and value.
fn lines(pairs: &[(&str, String)]) -> String {
    pairs.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<8} {}", plain(value));
        text
    })
}

/// The rows as lines, columns two spaces apart. The first `left` columns are flush left and the others flush
/// right; with 0 all are flush left.
fn table(rows: &[Vec<String>], left: usize) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.width());
            let (before, after) =
                if left == 0 || column < left { ("", space.as_str()) } else { (space.as_str(), "") };
            let _ = write!(line, "{before}{cell}{after}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::{Document, Leaks, Shares},
        metrics::Target,
        samples,
        settings::{Settings, Value},
        trial::{Params, Trial, TrialId},
    };

    fn documents(labels: &[u32]) -> Vec<Document> {
        labels.iter().map(|&label| Document { id: 1, label }).collect()
    }

    fn dataset(labels: [&str; 2]) -> Dataset {
        Dataset {
            labels: labels.map(str::to_owned).to_vec(),
            target: Target::Class(1),
            train: documents(&[0; 1200]).into_iter().chain(documents(&[1; 900])).collect(),
            validation: documents(&[0, 1, 1]),
            test: documents(&[0, 1]),
            folds: Vec::new(),
            leaks: Leaks { train_test: 2, train_dropped: 2, ..Leaks::default() },
            report: None,
            notes: Vec::new(),
            digests: Default::default(),
            dialects: crate::data::Dialects::default(),
        }
    }

    fn plan(repeats: u32) -> Plan {
        let trials = (0..2 * repeats).map(|index| Trial {
            id: TrialId(index + 1),
            params: Params(vec![
                ("learning_rate".to_owned(), Value::Float(if index < repeats { 3e-5 } else { 1.25e-4 })),
                ("pooling".to_owned(), Value::Text("cls".to_owned())),
            ]),
            repeat: index % repeats,
            fold: None,
            seed: 1000 * u64::from(index),
            settings: Settings::default(),
            origin: None,
            confirms: None,
        });
        Plan {
            sweep: "first".to_owned(),
            seed: 42,
            labels: Vec::new(),
            swept: vec!["learning_rate".to_owned(), "pooling".to_owned()],
            data: samples::data_spec(Source::Reviews { split: Shares::default() }),
            trials: trials.collect(),
            ..samples::plan(0)
        }
    }

    fn described(plan: &Plan, notes: &[String]) -> String {
        let dataset = dataset(["差评", "positive"]);
        let (devices, disk) = ("2 x cpu, 1 thread each", "about 1.8 GB");
        describe(&Overview { plan, dataset: &dataset, devices, disk, notes })
    }

    #[test]
    fn a_plan_is_described_with_its_size_its_data_and_its_trials() {
        insta::assert_snapshot!(described(
            &plan(1),
            &["31 training texts are longer than a chunk".to_owned()]
        ));
    }

    #[test]
    fn a_label_cannot_control_the_terminal() {
        let dataset = dataset(["\u{1b}[2Jbad", "\u{1b}]0;good\u{7}"]);
        let plan = plan(1);
        let overview = Overview { plan: &plan, dataset: &dataset, devices: "", disk: "", notes: &[] };
        let text = describe(&overview);
        assert!(text.contains("[2Jbad") && !text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn the_number_of_trials_that_share_steps_is_shown() {
        let mut plan = plan(1);
        plan.trials.iter_mut().for_each(|trial| trial.seed = 1);
        plan.trials.iter_mut().for_each(|trial| trial.params = Params::default());
        plan.trials[1].settings.patience += 1;
        let described = described(&plan, &[]);
        assert!(described.contains("\nshared   1 of 2 trials go on where another one ends\n"), "{described}");
    }

    #[test]
    fn repeats_have_a_column() {
        insta::assert_snapshot!(described(&plan(2), &[]));
    }
}
