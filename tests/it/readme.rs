//! The README against the program: specs, keys, commands, fields, files and exit codes.
//!
//! Tables are compared in both directions, so that neither a key without a row nor a row
//! without a key gets by.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sweep::{
    data::Source,
    event::{Event, Outcome, Record},
    fingerprint::Fingerprints,
    hub,
    leaderboard::{self, RankBy},
    metrics::{Average, Confusion, Scores},
    plan::Plan,
    policy::Policy,
    results::Results,
    settings::{KEYS, Key, Section, Settings, Value},
    spec::{self, Inspected, Origin, Spec, SpecError, Wanted},
    study::Study,
    train::CheckpointFacts,
    trial::{Params, Trial, TrialId},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The part under the heading that begins so, up to the next heading of its level or above.
fn section(heading: &str) -> String {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let mut code = false;
    let mut found = String::new();
    for line in readme().lines() {
        code ^= line.starts_with("```");
        let depth = line.chars().take_while(|c| *c == '#').count();
        let is_heading = !code && depth > 0;
        if found.is_empty() {
            if is_heading && line.starts_with(heading) {
                found = format!("{line}\n");
            }
        } else if is_heading && depth <= level {
            break;
        } else {
            found = found + line + "\n";
        }
    }
    assert!(!found.is_empty(), "the README has no heading {heading:?}");
    found
}

/// The tables' rows as cells, without headings.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("| ---"));
    let is_row = |at: usize| lines[at].starts_with('|') && !is_rule(at) && !is_rule(at + 1);
    (0..lines.len()).filter(|at| is_row(*at)).map(|at| cells(lines[at])).collect()
}

/// The names in backticks in the first column.
fn names(text: &str) -> BTreeSet<String> {
    let quoted = |cell: &String| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
    };
    rows(text).iter().flat_map(|row| quoted(&row[0])).collect()
}

/// The contents of every fenced block in this language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let fence = format!("```{language}\n");
    let after = text.split(&fence).skip(1);
    after.map(|rest| rest.split("\n```").next().unwrap().to_owned() + "\n").collect()
}

fn set<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|each| each.to_string()).collect()
}

fn parse(text: &str, overrides: &[String]) -> Result<Spec, SpecError> {
    let folder = root();
    spec::parse(&Origin { name: "a.toml", text, overrides, base: &folder, working: &folder })
}

const SMALLEST: &str = "name = \"a\"\n[data]\npath = \"builtin:reviews\"\n";

#[test]
fn every_toml_block_is_a_spec_or_the_end_of_one() {
    let blocks = blocks("toml");
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        let text = if block.contains("\nname = ") || block.starts_with("name = ") {
            block
        } else {
            SMALLEST.to_owned() + &block
        };
        if let Err(error) = parse(&text, &[]) {
            panic!("{}\n{text}", error.render(false));
        }
    }
}

/// Writes what a spec's data needs: two classes, named as the spec has them.
fn write_data(spec: &Spec) {
    let files = match &spec.data.source {
        Source::Files { train, validation, test } => vec![train, validation, test],
        Source::Single { path, .. } => vec![path],
        Source::Reviews { .. } => vec![],
    };
    let positive = spec.data.positive.as_deref().unwrap_or("yes");
    for path in files {
        let tab = if path.extension().unwrap() == "tsv" { '\t' } else { ',' };
        let row = |number: usize| {
            let label = [positive, "0"][number % 2];
            format!("{} {number}{tab}{label}\n", path.file_stem().unwrap().display())
        };
        let header = format!("{}{tab}{}\n", spec.data.text, spec.data.label);
        fs::write(path, header + &(0..40).map(row).collect::<String>()).unwrap();
    }
}

#[test]
fn every_whole_spec_can_run_once_its_files_are_there() {
    let whole: Vec<String> = blocks("toml").into_iter().filter(|block| block.contains("[data]")).collect();
    assert!(whole.len() >= 2);
    for text in whole {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let origin = Origin { name: "a.toml", text: &text, overrides: &[], base, working: base };
        let spec = spec::parse(&origin).unwrap();
        write_data(&spec);
        if !spec.settings.checkpoint.starts_with("builtin:") {
            fs::create_dir_all(&spec.settings.checkpoint).unwrap();
        }
        let facts = CheckpointFacts { window: 512, layers: 12, parameters: 1, unused: Vec::new() };
        let inspect =
            |wanted: Wanted<'_>| Ok(Inspected { name: wanted.checkpoint.to_owned(), facts: facts.clone() });
        let reading = match spec::check(&origin, &inspect) {
            Ok(reading) => reading,
            Err(error) => panic!("{}", error.render(false)),
        };
        assert!(reading.warnings.is_empty(), "{:?}", reading.warnings);
        if spec.name == "reviews" {
            let trials = Plan::new(&reading.spec, &reading.dataset).trials.len();
            assert!(section("## The spec").contains(&format!("draws in each: {trials} trials")), "{trials}");
        }
    }
}

#[test]
fn every_override_that_is_shown_is_taken() {
    let blocks = blocks("sh").concat();
    let runs: Vec<&str> = blocks.lines().filter(|line| line.contains("--set")).collect();
    assert!(runs.len() >= 3);
    for run in runs {
        let overrides: Vec<String> = run
            .split("--set ")
            .skip(1)
            .map(|given| match given.strip_prefix('\'') {
                Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
                None => given.split_whitespace().next().unwrap().to_owned(),
            })
            .collect();
        let spec = run.split_whitespace().find(|word| word.contains(".toml")).unwrap();
        let text = fs::read_to_string(root().join(spec)).unwrap();
        if let Err(error) = parse(&text, &overrides) {
            panic!("{run}\n{}", error.render(false));
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}

#[test]
fn every_setting_stands_in_its_table_with_its_default_its_values_and_what_it_does() {
    let defaults = Settings::default();
    for table in [Section::Model, Section::Text, Section::Train, Section::EarlyStopping] {
        let row = |key: &Key| {
            let (default, values) = (written(&key.get(&defaults)), key.kind.describe());
            format!("| `{}` | `{default}` | {values} | {} |", key.name, key.about)
        };
        let expected: Vec<String> = KEYS.iter().filter(|key| key.section == table).map(row).collect();
        let text = section(&format!("### [{}]", table.name()));
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(found, expected, "[{}] should have\n{}", table.name(), expected.join("\n"));
    }
}

/// The keys that the spec reader says it knows where it is given one that is like none.
fn known_keys(spec: &str) -> BTreeSet<String> {
    let error = parse(spec, &[]).unwrap_err().render(false);
    let help = error.split_once("the keys here are ").unwrap_or_else(|| panic!("{error}")).1;
    set(help.lines().next().unwrap().trim().split(", "))
}

#[test]
fn the_other_tables_have_a_row_for_each_key_that_the_spec_reader_knows() {
    assert_eq!(names(&section("### Top of the file")), known_keys(&format!("zyxwvutsrq = 1\n{SMALLEST}")));
    assert_eq!(names(&section("### [data]")), known_keys(&format!("{SMALLEST}zyxwvutsrq = 1\n")));
    let search = format!("{SMALLEST}[search]\n");
    assert_eq!(names(&section("### [search]")), known_keys(&format!("{search}zyxwvutsrq = 1\n")));
    let run = format!("{SMALLEST}[run]\n");
    assert_eq!(names(&section("### [run]")), known_keys(&format!("{run}zyxwvutsrq = 1\n")));
    let retries = format!("{SMALLEST}[run.retries]\n");
    assert_eq!(names(&section("### [run.retries]")), known_keys(&format!("{retries}zyxwvutsrq = 1\n")));
    let form = format!("{search}space.dropout = {{ zyxwvutsrq = 1 }}\n");
    assert_eq!(names(&section("### [search.space]")), known_keys(&form));
}

#[test]
fn the_defaults_of_the_other_tables_are_those_of_the_smallest_spec() {
    let spec = parse(SMALLEST, &[]).unwrap();
    let Source::Reviews { split } = spec.data.source else { panic!("{:?}", spec.data.source) };
    let share = |part: u32| format!("{:.2}", f64::from(part) / 100_000.0);
    let split = format!(
        "{{ train = {}, validation = {}, test = {} }}",
        share(split.train),
        share(split.validation),
        share(split.test)
    );
    let duplicates = serde_json::to_string(&spec.data.duplicates).unwrap();
    for (heading, key, default) in [
        ("### Top of the file", "seed", spec.seed.to_string()),
        ("### [data]", "split", split),
        ("### [data]", "text", format!("{:?}", spec.data.text)),
        ("### [data]", "label", format!("{:?}", spec.data.label)),
        ("### [data]", "average", format!("{:?}", Average::default().as_str())),
        ("### [data]", "duplicates", duplicates),
        ("### [search]", "samples", spec.samples.to_string()),
        ("### [search]", "repeats", spec.repeats.to_string()),
    ] {
        let rows = rows(&section(heading));
        let row = rows.iter().find(|row| row[0] == format!("`{key}`")).unwrap();
        assert_eq!(row[1], format!("`{default}`"), "{key}");
    }
    let policy = serde_json::to_value(spec.policy).unwrap();
    for row in rows(&section("### [run]")).into_iter().filter(|row| row[0] != "`retries`") {
        assert_eq!(row[1], format!("`{}`", policy[row[0].trim_matches('`')]), "{}", row[0]);
    }
    for row in rows(&section("### [run.retries]")) {
        assert_eq!(row[1], format!("`{}`", policy["retries"][row[0].trim_matches('`')]), "{}", row[0]);
    }
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sweep")).args(arguments).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Every `--option` in a text.
fn options(text: &str) -> BTreeSet<String> {
    let name =
        |rest: &str| -> String { rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect() };
    let found = text.split("--").skip(1).map(name).filter(|name| !name.is_empty());
    set(found.map(|name| format!("--{name}")))
}

#[test]
fn every_command_is_described_with_its_options_their_choices_and_defaults() {
    let help_of_all = help(&[]);
    let list = help_of_all.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands =
        set(list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help"));
    let headings: Vec<String> = section("## Commands")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("### `sweep ")?.to_owned()))
        .collect();
    assert_eq!(set(headings.iter().map(|line| line.split([' ', '`']).next().unwrap())), commands);
    for command in &commands {
        let help = help(&[command]);
        let text = section(&format!("### `sweep {command}"));
        let global = set(["--help", "--results"]);
        let own: BTreeSet<String> = options(&help).difference(&global).cloned().collect();
        let described: BTreeSet<String> = rows(&text).iter().flat_map(|row| options(&row[0])).collect();
        assert_eq!(described, own, "sweep {command}");
        for choice in help.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next()) {
            assert!(text.contains(&format!("`{choice}`")), "sweep {command} lacks {choice}");
        }
        for default in help.split("[default: ").skip(1).filter_map(|rest| rest.split(']').next()) {
            let place = if default == "results" { section("## Commands") } else { text.clone() };
            assert!(place.contains(&format!("`{default}`")), "sweep {command} lacks the default {default}");
        }
    }
}

#[test]
fn every_variable_that_the_hub_reads_is_described() {
    assert_eq!(names(&section("## Hub checkpoints")), set(hub::VARIABLES));
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = help(&[]);
    let list = help.split("Exit codes: ").nth(1).unwrap().trim();
    let table = rows(&section("## Exit codes"));
    assert_eq!(table.len(), list.split("; ").count());
    for (row, item) in table.iter().zip(list.split("; ")) {
        let (code, meaning) = item.split_once(' ').unwrap();
        assert_eq!(row[0], format!("`{code}`"));
        assert!(row[1].starts_with(meaning), "{code}: {}", row[1]);
    }
}

/// A sweep of one complete trial.
fn study(classes: usize) -> Study {
    let mut plan = Plan {
        sweep: "a".to_owned(),
        seed: 0,
        labels: (0..classes).map(|class| class.to_string()).collect(),
        positive: (classes == 2).then_some(1),
        average: (classes > 2).then_some(Average::Macro),
        swept: vec!["dropout".to_owned()],
        scales: BTreeMap::new(),
        fingerprints: Fingerprints::default(),
        data: parse(SMALLEST, &[]).unwrap().data,
        hub: BTreeMap::new(),
        policy: Policy::default(),
        trials: vec![],
        removed: sweep::plan::Removed::default(),
    };
    let params = Params(vec![("dropout".to_owned(), Value::Float(0.1))]);
    plan.trials.push(Trial { id: TrialId(1), params, repeat: 0, seed: 1, settings: Settings::default() });
    let scores = Scores::new(Confusion::new(classes), 0.5, plan.target());
    let outcome = Outcome {
        best_epoch: 1.0,
        best_step: 1,
        epochs_run: 1.0,
        stopped_early: false,
        train_loss: 0.5,
        validation: scores.clone(),
        test: scores,
        seconds: 1.0,
    };
    let event = Event::Finished(outcome);
    let record = Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(1)), event };
    Study::replay(&plan, &[record]).unwrap()
}

#[test]
fn every_field_of_the_leaderboard_is_described_and_no_other() {
    let mut fields = BTreeSet::new();
    let described = rows(&section("## Results"));
    for classes in [2, 3] {
        let board = leaderboard::build(&study(classes), RankBy::TestF1, &|_| None);
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        let row = rows[0].as_object().unwrap();
        fields.extend(row.keys().chain(row["test"].as_object().unwrap().keys()).cloned());
        let classes = described.iter().find(|row| row[0] == "`classes`").unwrap();
        for name in rows[0]["test"]["classes"][0].as_object().unwrap().keys() {
            assert!(classes[1].contains(&format!("`{name}`")), "{name}");
        }
    }
    assert_eq!(names(&section("## Results")), fields);
}

#[test]
fn every_file_of_a_sweep_stands_in_the_results_layout() {
    let sweep = Results::new("results").sweep("a");
    let trial = sweep.trial(TrialId(3));
    let boards = ["csv", "json", "md"].map(|extension| sweep.leaderboard(extension));
    let pictures = [sweep.overview(), sweep.report(), trial.curve(), trial.confusion()];
    let tables = [sweep.spec(), sweep.plan(), sweep.log(), trial.job(), trial.metrics(), trial.predictions()];
    let others = [trial.path().to_owned(), trial.best(), trial.last(), trial.worker_log(), sweep.cache()];
    let layout = section("## Results").split("```").nth(1).unwrap().to_owned();
    for path in boards.iter().chain(&pictures).chain(&tables).chain(&others) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(layout.contains(name), "{name} is missing from the layout");
    }
}

#[test]
fn links_lead_to_files_of_the_repository() {
    // The sample run is there whole or not at all.
    let is_due = |link: &&str| !link.starts_with("results/sample/") || root().join("results/sample").exists();
    let text = readme();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links: Vec<&str> = targets.filter(|link| !link.starts_with("https://")).filter(is_due).collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert!(root().join(link).is_file(), "{link} is not there");
    }
}

#[test]
fn the_leaderboard_that_is_shown_is_that_of_the_sample_run() {
    let shown = section("## What comes out");
    let sample = root().join(Path::new("results/sample/leaderboard.md"));
    let Ok(board) = fs::read_to_string(sample) else {
        assert!(shown.contains("<!-- measured: the table of"), "a leaderboard without a sample run");
        return;
    };
    for line in board.lines().filter(|line| line.starts_with('|')) {
        assert!(shown.contains(line), "the README lacks the row\n{line}");
    }
}
