//! The README and `docs/` against the program: specs, keys, commands, fields, files and exit codes.
//!
//! Tables are compared in both directions, so that neither a key without a row nor a row
//! without a key gets by. Links and anchors are followed, so that no page is moved alone.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sweep::{
    checkpoint::CheckpointFacts,
    data::{Duplicates, Source},
    event::{Event, Outcome, Record},
    hub,
    leaderboard::{self, RankBy},
    metrics::{Average, Confusion, Scores},
    plan::Plan,
    policy::spell_time,
    report::Chart,
    results::Results,
    settings::{KEYS, Section, SettingKey, Settings, Value},
    slurm::SlurmOptions,
    spec::{self, ExecutorSpec, Inspected, Spec, SpecError, SpecText, Wanted},
    study::Study,
    train::{CONFIG_FIELDS, ConfigField},
    trial::{Params, Trial, TrialId},
};

use crate::common::plan::plan as made_up_plan;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const README: &str = "README.md";
const CHECKPOINTS: &str = "docs/checkpoints.md";
const COMMANDS: &str = "docs/commands.md";
const HUB: &str = "docs/hub.md";
const RESULTS: &str = "docs/results.md";
const SPEC: &str = "docs/spec.md";

/// The most bytes of the README: what a newcomer reads before the links.
const README_BYTES_MAX: usize = 12_288;

/// The text of a file, which is named from the repository's root.
fn text(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README and every page of `docs/`, named from the repository's root.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| Path::new("docs").join(name));
    let pages = names.filter(|name| name.extension().is_some_and(|extension| extension == "md"));
    std::iter::once(PathBuf::from(README)).chain(pages).collect()
}

/// The lines that stand in no fenced block, which alone have headings and links.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The part of a file under the heading that begins so, up to the next heading of its level or above.
fn section(file: &str, heading: &str) -> String {
    let level = heading.chars().take_while(|c| *c == '#').count();
    let mut code = false;
    let mut found = String::new();
    for line in text(file).lines() {
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
    assert!(!found.is_empty(), "{file} has no heading {heading:?}");
    found
}

/// The cells of a table's line.
fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

/// The tables' rows as cells, without headings.
fn rows(text: &str) -> Vec<Vec<String>> {
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

/// The contents of every page's fenced blocks in this language.
fn blocks(language: &str) -> Vec<String> {
    let text: String = pages().into_iter().map(text).collect();
    let fence = format!("```{language}\n");
    let after = text.split(&fence).skip(1);
    after.map(|rest| rest.split("\n```").next().unwrap().to_owned() + "\n").collect()
}

fn set<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|each| each.to_string()).collect()
}

fn parse(text: &str, overrides: &[String]) -> Result<Spec, SpecError> {
    let folder = root();
    spec::parse(&SpecText { name: "a.toml", text, overrides, base: &folder, working: &folder })
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
    let files = spec.data.source.files();
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
        let written = SpecText { name: "a.toml", text: &text, overrides: &[], base, working: base };
        let spec = spec::parse(&written).unwrap();
        write_data(&spec);
        if let Some(folder) = spec.settings.checkpoint.folder() {
            fs::create_dir_all(folder).unwrap();
        }
        let facts =
            CheckpointFacts { window: 512, layers: 12, parameters: 1, unused: Vec::new(), notes: Vec::new() };
        let inspect = |wanted: Wanted<'_>| {
            Ok(Inspected { checkpoint: wanted.checkpoint.clone(), facts: facts.clone() })
        };
        let reading = match spec::check(&written, &inspect) {
            Ok(reading) => reading,
            Err(error) => panic!("{}", error.render(false)),
        };
        assert!(reading.warnings.is_empty(), "{:?}", reading.warnings);
        if spec.name == "reviews" {
            let trials = Plan::new(&reading.spec, &reading.dataset).trials.len();
            assert!(
                section(SPEC, "# The spec").contains(&format!("draws in each: {trials} trials")),
                "{trials}"
            );
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
        let row = |key: &SettingKey| {
            let (default, values) = (written(&key.get(&defaults)), key.kind.describe());
            format!("| `{}` | `{default}` | {values} | {} |", key.name, key.about)
        };
        let expected: Vec<String> = KEYS.iter().filter(|key| key.section == table).map(row).collect();
        let text = section(SPEC, &format!("## [{}]", table.name()));
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(found, expected, "[{}] should have\n{}", table.name(), expected.join("\n"));
    }
}

#[test]
fn every_key_of_a_config_json_stands_in_its_table_with_what_it_does() {
    let row = |field: &ConfigField| {
        let keys: Vec<String> = field.keys.iter().map(|key| format!("`{key}`")).collect();
        format!("| {} | {} |", keys.join(", "), field.described())
    };
    let expected: Vec<String> = CONFIG_FIELDS.iter().map(row).collect();
    let text = section(CHECKPOINTS, "## config.json");
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(found, expected, "the table should be\n{}", expected.join("\n"));
}

/// The keys that the spec reader says it knows where it is given one that is like none.
fn known_keys(spec: &str) -> BTreeSet<String> {
    let error = parse(spec, &[]).unwrap_err().render(false);
    let help = error.split_once("the keys here are ").unwrap_or_else(|| panic!("{error}")).1;
    set(help.lines().next().unwrap().trim().split(", "))
}

/// A section from the table of its keys on.
fn keys(section: &str) -> String {
    let (_, table) = section.split_once("| key |").unwrap();
    format!("| key |{table}")
}

#[test]
fn the_other_tables_have_a_row_for_each_key_that_the_spec_reader_knows() {
    assert_eq!(
        names(&section(SPEC, "## Top of the file")),
        known_keys(&format!("zyxwvutsrq = 1\n{SMALLEST}"))
    );
    assert_eq!(names(&section(SPEC, "## [data]")), known_keys(&format!("{SMALLEST}zyxwvutsrq = 1\n")));
    let duplicates = format!("{SMALLEST}[data.duplicates]\nzyxwvutsrq = 1\n");
    assert_eq!(names(&keys(&section(SPEC, "## [data.duplicates]"))), known_keys(&duplicates));
    let search = format!("{SMALLEST}[search]\n");
    assert_eq!(names(&section(SPEC, "## [search]")), known_keys(&format!("{search}zyxwvutsrq = 1\n")));
    let confirm = format!("{search}[search.confirm]\nzyxwvutsrq = 1\n");
    assert_eq!(names(&keys(&section(SPEC, "## [search.confirm]"))), known_keys(&confirm));
    let run = format!("{SMALLEST}[run]\n");
    assert_eq!(names(&section(SPEC, "## [run]")), known_keys(&format!("{run}zyxwvutsrq = 1\n")));
    let retries = format!("{SMALLEST}[run.retries]\n");
    assert_eq!(names(&section(SPEC, "## [run.retries]")), known_keys(&format!("{retries}zyxwvutsrq = 1\n")));
    let executor = format!("{SMALLEST}[executor]\nzyxwvutsrq = 1\n");
    assert_eq!(names(&section(SPEC, "## [executor]")), known_keys(&executor));
    let form = format!("{search}space.dropout = {{ zyxwvutsrq = 1 }}\n");
    assert_eq!(names(&section(SPEC, "## [search.space]")), known_keys(&form));
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
    let json = |policy: Duplicates| serde_json::to_string(&policy).unwrap();
    let duplicates = json(spec.data.duplicates);
    for (heading, key, default) in [
        ("## Top of the file", "seed", spec.seed.to_string()),
        ("## [data]", "split", split),
        ("## [data]", "text", format!("{:?}", spec.data.text)),
        ("## [data]", "label", format!("{:?}", spec.data.label)),
        ("## [data]", "average", format!("{:?}", Average::default().as_str())),
        ("## [data]", "duplicates", duplicates.clone()),
        ("## [data.duplicates]", "exact", duplicates),
        ("## [data.duplicates]", "normalised", json(spec.data.alike.normalised)),
        ("## [data.duplicates]", "near", json(spec.data.alike.near.unwrap())),
        (
            "## [data.duplicates]",
            "near_threshold",
            (f64::from(spec.data.alike.near_threshold) / 1e3).to_string(),
        ),
        ("## [search]", "samples", spec.samples.to_string()),
        ("## [search]", "repeats", spec.repeats.to_string()),
    ] {
        let rows = rows(&keys(&section(SPEC, heading)));
        let row = rows.iter().find(|row| row[0] == format!("`{key}`")).unwrap();
        assert_eq!(row[1], format!("`{default}`"), "{key}");
    }
    let mut policy = serde_json::to_value(spec.policy).unwrap();
    // Plans do not write it where it is the default.
    policy["trials_per_gpu"] = serde_json::to_value(spec.policy.trials_per_gpu).unwrap();
    policy["fuse"] = serde_json::to_value(spec.policy.fuse).unwrap();
    for row in rows(&section(SPEC, "## [run]")).into_iter().filter(|row| row[0] != "`retries`") {
        assert_eq!(row[1], format!("`{}`", policy[row[0].trim_matches('`')]), "{}", row[0]);
    }
    let slurm = SlurmOptions::default();
    for (key, default) in [
        ("mode", format!("{:?}", slurm.mode.as_str())),
        ("cpus", slurm.cpus.to_string()),
        ("poll", format!("{:?}", spell_time(slurm.poll))),
        ("lost_after", format!("{:?}", spell_time(slurm.lost_after))),
        ("pending", slurm.pending_max.to_string()),
    ] {
        let rows = rows(&section(SPEC, "## [executor]"));
        let row = rows.iter().find(|row| row[0] == format!("`{key}`")).unwrap();
        assert_eq!(row[1], format!("`{default}`"), "{key}");
    }
    assert_eq!(spec.executor, ExecutorSpec::Local);
    for row in rows(&section(SPEC, "## [run.retries]")) {
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
    let headings: Vec<String> = section(COMMANDS, "# Commands")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("## `sweep ")?.to_owned()))
        .collect();
    assert_eq!(set(headings.iter().map(|line| line.split([' ', '`']).next().unwrap())), commands);
    for command in &commands {
        let help = help(&[command]);
        let text = section(COMMANDS, &format!("## `sweep {command}"));
        let global = set(["--help", "--results"]);
        let own: BTreeSet<String> = options(&help).difference(&global).cloned().collect();
        let described: BTreeSet<String> = rows(&text).iter().flat_map(|row| options(&row[0])).collect();
        assert_eq!(described, own, "sweep {command}");
        for choice in help.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next()) {
            assert!(text.contains(&format!("`{choice}`")), "sweep {command} lacks {choice}");
        }
        for default in help.split("[default: ").skip(1).filter_map(|rest| rest.split(']').next()) {
            let place = if default == "results" { section(COMMANDS, "# Commands") } else { text.clone() };
            assert!(place.contains(&format!("`{default}`")), "sweep {command} lacks the default {default}");
        }
    }
}

#[test]
fn every_variable_that_the_hub_reads_is_described() {
    assert_eq!(names(&section(HUB, "# Hub checkpoints")), set(hub::VARIABLES));
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = help(&[]);
    let list = help.split("Exit codes: ").nth(1).unwrap().trim();
    let table = rows(&section(COMMANDS, "## Exit codes"));
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
        labels: (0..classes).map(|class| class.to_string()).collect(),
        positive: (classes == 2).then_some(1),
        average: (classes > 2).then_some(Average::Macro),
        swept: vec!["dropout".to_owned()],
        ..made_up_plan("a", 0)
    };
    let params = Params(vec![("dropout".to_owned(), Value::Float(0.1))]);
    plan.trials.push(Trial {
        id: TrialId(1),
        params,
        repeat: 0,
        fold: None,
        seed: 1,
        settings: Settings::default(),
        origin: None,
        confirms: None,
    });
    let scores = Scores::new(Confusion::new(classes), 0.5, plan.target());
    let outcome = Outcome {
        best_epoch: 1.0,
        best_step: 1,
        epochs_run: 1.0,
        stopped_early: false,
        train_loss: 0.5,
        validation: scores.clone(),
        test: scores,
        training: None,
        seconds: 1.0,
        files: None,
    };
    let event = Event::Finished(outcome);
    let record = Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(1)), event };
    Study::replay(&plan, &[record]).unwrap()
}

const FIELDS: &str = "## The fields of the leaderboard";

#[test]
fn every_field_of_the_leaderboard_is_described_and_no_other() {
    let mut fields = BTreeSet::new();
    let described = rows(&section(RESULTS, FIELDS));
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
    assert_eq!(names(&section(RESULTS, FIELDS)), fields);
}

#[test]
fn every_field_of_a_configuration_is_described() {
    let board = leaderboard::build(&study(2), RankBy::TestF1, &|_| None);
    let rows: serde_json::Value =
        serde_json::from_str(&leaderboard::configurations(&board, &|_| None, &|_| None).to_json()).unwrap();
    let row = rows[0].as_object().unwrap();
    let text = section(RESULTS, "### Seeds as one row");
    for field in row.keys().chain(row["test_f1"].as_object().unwrap().keys()).filter(|name| *name != "params")
    {
        assert!(text.contains(field.as_str()), "{field}");
    }
}

#[test]
fn every_file_of_a_sweep_stands_in_the_results_layout() {
    let sweep = Results::new("results").sweep("a");
    let trial = sweep.trial(TrialId(3));
    let boards = ["csv", "json", "md"].map(|extension| sweep.leaderboard(extension));
    let pictures = [sweep.overview(), sweep.report(), trial.curve(), trial.confusion()];
    let charts = Chart::ALL.map(|chart| sweep.chart(chart.file()));
    let tables = [sweep.spec(), sweep.plan(), sweep.log(), trial.job(), trial.metrics(), trial.predictions()];
    let others = [trial.place().clone(), trial.best(), trial.last(), trial.worker_log(), sweep.cache()];
    let layout = section(RESULTS, "## The results folder").split("```").nth(1).unwrap().to_owned();
    for path in boards.iter().chain(&pictures).chain(&charts).chain(&tables).chain(&others) {
        let name = path.name();
        assert!(layout.contains(&name), "{name} is missing from the layout");
    }
}

#[test]
fn the_readme_is_short_enough_to_be_read_at_once() {
    let bytes = text(README).len();
    assert!(bytes <= README_BYTES_MAX, "the README has {bytes} bytes: move reference text to docs/");
}

/// A relative link: the page that has it, and what it says.
struct Link {
    page: PathBuf,
    target: String,
}

impl Link {
    /// The file or folder that is meant, from the repository's root on.
    fn path(&self) -> PathBuf {
        match self.target.split('#').next().unwrap() {
            "" => root().join(&self.page),
            path => root().join(self.page.parent().unwrap()).join(path),
        }
    }

    fn anchor(&self) -> Option<&str> {
        Some(self.target.split_once('#')?.1)
    }

    /// The sample run is there whole or not at all.
    fn is_due(&self) -> bool {
        !self.target.contains("results/sample/") || root().join("results/sample").exists()
    }
}

/// Every relative link of every page.
fn links() -> Vec<Link> {
    let of_page = |page: PathBuf| -> Vec<Link> {
        let text: String = prose(&text(&page)).flat_map(|line| [line, "\n"]).collect();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let relative = targets.filter(|target| !target.contains("://"));
        relative.map(|target| Link { page: page.clone(), target: target.to_owned() }).collect()
    };
    let links: Vec<Link> = pages().into_iter().flat_map(of_page).filter(Link::is_due).collect();
    assert!(links.len() >= 20, "only {} links are found", links.len());
    links
}

/// The links for which `is_broken` holds, to be read in a failure.
fn broken(is_broken: impl Fn(&Link) -> bool) -> Vec<String> {
    let broken = links().into_iter().filter(|link| is_broken(link));
    broken.map(|link| format!("{} in {}", link.target, link.page.display())).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_or_a_folder() {
    assert_eq!(broken(|link| !link.path().exists()), [""; 0]);
}

/// The anchors that a Markdown file's headings have on GitHub.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let letters = heading.trim_start_matches('#').trim().chars().filter(kept);
        letters.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_anchor_of_a_link_is_that_of_a_heading() {
    let is_broken = |link: &Link| {
        let Some(anchor) = link.anchor() else { return false };
        // A file that is missing is the finding of another test.
        link.path().is_file() && !anchors(&text(link.path())).contains(anchor)
    };
    assert_eq!(broken(is_broken), [""; 0]);
}

#[test]
fn the_readme_links_every_page_of_the_documentation() {
    let readme = text(README);
    for page in pages().into_iter().filter(|page| page != Path::new(README)) {
        let name = page.display();
        assert!(readme.contains(&format!("]({name})")), "the README does not link {name}");
    }
}

/// Every line of the table of trials in a text, the heading first, without the rule below it.
fn table_of_trials(text: &str) -> Vec<&str> {
    let table = text.lines().skip_while(|line| !line.starts_with("| rank |"));
    let lines = table.take_while(|line| line.starts_with('|'));
    lines.enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line).collect()
}

/// The sample run's leaderboard, or `None` where the repository has no sample run, which the text
/// that should show it must then say.
fn sample(shown: &str) -> Option<String> {
    let board = fs::read_to_string(root().join("results/sample/leaderboard.md")).ok();
    let is_said = shown.contains("<!-- measured: the table of");
    assert!(board.is_some() || is_said, "a leaderboard without a sample run");
    board
}

#[test]
fn the_leaderboard_of_the_results_page_is_that_of_the_sample_run() {
    let shown = section(RESULTS, "## The sample run");
    let Some(board) = sample(&shown) else { return };
    assert!(table_of_trials(&board).len() > 1, "no trials in\n{board}");
    assert_eq!(table_of_trials(&shown), table_of_trials(&board));
}

#[test]
fn the_short_leaderboard_of_the_readme_has_the_first_rows_of_the_sample_run() {
    let shown = text(README);
    let Some(board) = sample(&shown) else { return };
    let (short, whole) = (table_of_trials(&shown), table_of_trials(&board));
    let headings = cells(whole[0]);
    let column = |heading: &String| headings.iter().position(|other| other == heading);
    let columns: Vec<usize> = cells(short[0]).iter().map(|heading| column(heading).unwrap()).collect();
    assert!(short.len() > 5, "{} rows", short.len());
    for (short, whole) in short.iter().zip(&whole) {
        let whole = cells(whole);
        let expected: Vec<&String> = columns.iter().map(|at| &whole[*at]).collect();
        assert_eq!(cells(short).iter().collect::<Vec<_>>(), expected);
    }
}
