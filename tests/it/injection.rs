//! Labels, names of files and columns, and texts that would be orders to a terminal, markup or formulas: they stay texts in
//! everything that the program writes.

use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use serde_json::Value;

use crate::common::{
    place::Place,
    program::Written,
    repository,
    results::files_under,
    texts::{csv, filler},
};

/// Class names. The first would be a formula, the second a picture, a link and an order to a terminal; the others look
/// like a word that they are not, and are ordinary words.
const LABELS: [&str; 5] = [
    "=HYPERLINK(\"https://a.example\")",
    "![x](https://a.example/x.png) [y](javascript:alert(1)) <script>\u{1b}]0;owned\u{7}",
    "\u{202e}doog",
    "go\u{200b}od",
    "خوب می\u{200c}شود",
];

const SPEC: &str = r#"
name = "hostile"
[data]
path = "da\u202eta.csv"
text = "te\u001b[31mxt"
label = "la[x](javascript:y)bel"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 6
batch_size = 8
learning_rate = 2e-3
[search.space]
dropout = { grid = [0.1, 0.2] }
"#;

fn text(index: usize) -> String {
    format!("{}第{index}次，{}", filler(index), ["很差", "一般", "喜欢", "满意", "失望"][index % 5])
}

/// The place of a sweep with such names, and what its run wrote.
static HOSTILE: LazyLock<(Place, Written)> = LazyLock::new(|| {
    let place = Place::shared("hostile", SPEC);
    let rows = csv((0..150).map(|index| (text(index), LABELS[index % 5])));
    let (_, rows) = rows.split_once('\n').unwrap();
    place.write("da\u{202e}ta.csv", format!("te\u{1b}[31mxt,la[x](javascript:y)bel\n{rows}"));
    let written = place.run(&["--devices", "cpu:1"]).succeeded();
    (place, written)
});

/// The first character that a terminal obeys or that nobody sees. The one of the Persian word is spelling.
fn first_unseen(text: &str) -> Option<char> {
    text.replace("می\u{200c}شود", "").chars().find(|c| match c {
        '\n' | '\t' => false,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => true,
        c => c.is_control(),
    })
}

#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    assert_eq!(first_unseen(text), None, "{what}: {}", text.escape_debug());
}

#[test]
fn no_command_writes_what_a_terminal_obeys_or_nobody_sees() {
    let (place, run) = &*HOSTILE;
    assert_harmless("run, stdout", &run.stdout);
    assert_harmless("run, stderr", &run.stderr);
    for command in [
        &["leaderboard"][..],
        &["leaderboard", "--format", "json"],
        &["leaderboard", "--format", "csv"],
        &["leaderboard", "--format", "markdown"],
        &["leaderboard", "--by", "configuration"],
        &["leaderboard", "--by", "configuration", "--format", "json"],
        &["leaderboard", "--by", "configuration", "--format", "csv"],
        &["leaderboard", "--by", "configuration", "--format", "markdown"],
        &["effects"],
        &["effects", "--format", "json"],
        &["effects", "--format", "csv"],
        &["status"],
        &["status", "--format", "json"],
        &["explain", "1"],
        &["explain", "1", "--format", "json"],
        &["compare", "1", "2"],
        &["compare", "1", "2", "--format", "json"],
        &["export", "csv", "--to", "no\u{202e}folder/\u{1b}[31m.csv"],
        &["list"],
        &["list", "--format", "json"],
        &["report"],
        &["run", "hostile.toml", "--dry-run"],
        &["run", "hostile.toml", "--set", "data.text=other\u{1b}[31m"],
        &["run", "no\u{1b}[31m\u{202e}spec.toml"],
        &["run", "hostile.toml", "--no\u{1b}[31m"],
        &["leaderboard", "no\u{202e}sweep"],
        &["predict", "--model", "no\u{1b}[31mmodel", "a"],
        &["list", "--results", "no\u{202e}folder"],
    ] {
        let written = place.sweep(command);
        assert_harmless(&format!("{command:?}, stdout"), &written.stdout);
        assert_harmless(&format!("{command:?}, stderr"), &written.stderr);
    }
}

#[test]
fn no_file_for_people_holds_what_a_terminal_obeys_or_nobody_sees() {
    let (place, _) = &*HOSTILE;
    for file in ["leaderboard.csv", "leaderboard.json", "leaderboard.md", "report.html"] {
        assert_harmless(file, &place.text(format!("results/hostile/{file}")));
    }
}

#[test]
fn the_predictions_of_a_trial_are_exact() {
    let (place, _) = &*HOSTILE;
    let table = place.text("results/hostile/trials/0001/predictions.csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let classes: Vec<&str> = headings.iter().filter_map(|heading| heading.strip_prefix("p_")).collect();
    assert!(LABELS.iter().all(|label| classes.contains(label)), "{classes:?}");
}

#[test]
fn the_page_shows_labels_as_texts() {
    let page = HOSTILE.0.text("results/hostile/report.html");
    // The only elements of this kind are the page's own: what its script knows, and the script.
    assert_eq!(page.matches("<script").count(), 2, "{page}");
    assert!(!page.contains("<img"), "{page}");
    for shown in ["‹U+202E›doog", "go‹U+200B›od", "<bdi>خوب می\u{200c}شود</bdi>", "&lt;script&gt;"]
    {
        assert!(page.contains(shown), "{shown} in {page}");
    }
}

#[test]
fn figures_for_other_programs_hold_nothing_that_a_terminal_obeys_or_nobody_sees() {
    let (place, _) = &*HOSTILE;
    for (format, to) in [("csv", "figures/table.csv"), ("mlflow", "figures/store")] {
        let written = place.sweep(&["export", format, "--to", to]).succeeded();
        assert_harmless(format, &(written.stdout + &written.stderr));
    }
    for file in files_under(&place.path("figures")) {
        assert_harmless(&file.display().to_string(), &fs::read_to_string(&file).unwrap());
    }
}

/// The exported model's folder.
static MODEL: LazyLock<&str> = LazyLock::new(|| {
    let written = HOSTILE.0.sweep(&["export-best", "--trial", "1", "--out", "model"]).succeeded();
    assert_harmless("export-best", &(written.stdout + &written.stderr));
    "model"
});

#[test]
fn the_model_card_shows_labels_names_and_columns_as_texts() {
    let card = HOSTILE.0.text(format!("{}/README.md", *MODEL));
    assert_harmless("README.md", &card);
    for shown in [
        r"\!\[x\](https\://a.example/x.png) \[y\](javascript:alert(1)) &lt;script&gt;",
        "`da‹U+202E›ta.csv`",
        "`la[x](javascript:y)bel`",
        "| ‹U+202E›doog |",
    ] {
        assert!(card.contains(shown), "{shown} in {card}");
    }
}

fn predicted(arguments: &[&str]) -> String {
    let place = &HOSTILE.0;
    let texts = ["=1+1", "a;=1\u{1b}[31m\u{9b}", "很好\u{202e}"];
    place.sweep(&[&["predict", "--model", *MODEL][..], arguments, &texts].concat()).succeeded().stdout
}

#[test]
fn predictions_for_people_and_as_json_hold_nothing_that_a_terminal_obeys() {
    for format in ["table", "json", "jsonl"] {
        assert_harmless(format, &predicted(&["--format", format]));
    }
    let rows: Vec<Value> = serde_json::from_str(&predicted(&["--format", "json"])).unwrap();
    assert_eq!(rows[1]["text"], "a;=1\u{1b}[31m\u{9b}");
    assert!(LABELS.iter().all(|label| rows[0]["probabilities"][label].is_number()), "{rows:?}");
}

#[test]
fn predictions_for_a_spreadsheet_hold_no_formula() {
    let table = predicted(&["--format", "csv", "--safe-csv"]);
    assert_harmless("--safe-csv", &table);
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let texts: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(texts, ["'=1+1", "a;=1 [31m ", "很好‹U+202E›"]);
    assert!(table.lines().all(|line| line.starts_with('"')), "{table}");
}

#[test]
fn predictions_for_programs_are_exact() {
    let table = predicted(&["--format", "csv"]);
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let texts: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(texts, ["=1+1", "a;=1\u{1b}[31m\u{9b}", "很好\u{202e}"]);
}

#[test]
fn safe_csv_without_csv_is_refused() {
    let written = HOSTILE.0.sweep(&["predict", "--model", *MODEL, "--safe-csv", "a"]).with_code(2);
    assert!(written.stderr.contains("--format csv"), "{}", written.stderr);
}

/// Files that write to standard output or standard error, or use them otherwise. What they write of texts from outside comes
/// from `display`.
const WRITERS: [&str; 19] = [
    "cache.rs",
    "cli/jobs.rs",
    "cli/listing.rs",
    "cli/predict.rs",
    "cli/run.rs",
    "cli/terminal.rs",
    "hub.rs",
    "hub/cache.rs",
    "hub/meter.rs",
    "progress.rs",
    "progress/bars.rs",
    "progress/terminal.rs",
    "system/machine.rs",
    "train/ops/cube/tests.rs",
    "train/ops/cube/tiling.rs",
    "train/parity_tests/gpu.rs",
    "train/recipe/fusion/tests/gpu.rs",
    "train/parity_tests/real.rs",
    "worker.rs",
];

#[test]
fn no_other_file_writes_to_a_terminal() {
    let src = repository().join("src");
    let writes = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        ["io::stdout()", "io::stderr()", "println!", "ProgressDrawTarget::"]
            .iter()
            .any(|call| text.contains(call))
    };
    let found: BTreeSet<String> = files_under(&src)
        .into_iter()
        .filter(|path| writes(path))
        .map(|path| path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        found,
        WRITERS.map(str::to_owned).into(),
        "show texts from outside with `display`, then name the file here"
    );
}
