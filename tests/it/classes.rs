//! A sweep of three classes from its spec to everything that shows its figures.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use serde_json::Value;
use sweep::{
    leaderboard::read_predictions,
    metrics::{Average, Confusion, Target},
};
use tempfile::TempDir;

const SPEC: &str = r#"
name = "three"
[data]
path = "three.csv"
average = "weighted"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
[early_stopping]
monitor = "val_f1"
[search.space]
learning_rate = { grid = [3e-4, 2e-3] }
"#;

/// Class names that a table, a page or a terminal could stumble over, in their order.
const LABELS: [&str; 3] = ["\u{1b}[31mred | <b>", "so, \"so\"", "很 好"];

/// A sweep that is complete.
struct Sweep(TempDir);

impl Sweep {
    /// 180 texts, the first class being the rarest; one in nine has the wrong class.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for index in 0..180 {
            let class = [0, 1, 2, 1, 2, 2][index % 6];
            let label = LABELS[if index % 9 == 4 { (class + 1) % 3 } else { class }];
            let word = ["很差", "一般", "喜欢"][class];
            writeln!(csv, "{word}，第{index}次,\"{}\"", label.replace('"', "\"\"")).unwrap();
        }
        fs::write(root.path().join("three.csv"), csv).unwrap();
        fs::write(root.path().join("three.toml"), SPEC).unwrap();
        let sweep = Self(root);
        let output = sweep.output(&["run", "three.toml", "--devices", "cpu:1"]);
        assert_eq!(output.status.code(), Some(0), "{}", lossy(&output.stderr));
        assert!(!lossy(&output.stdout).contains('\u{1b}') && !lossy(&output.stderr).contains('\u{1b}'));
        sweep
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }
}

static SWEEP: LazyLock<Sweep> = LazyLock::new(Sweep::new);

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The counts of a trial's `predictions.csv`.
fn counts(trial: &str) -> Confusion {
    let labels = LABELS.map(str::to_owned);
    let path = SWEEP.path(&format!("results/three/trials/{trial}/predictions.csv"));
    let mut counts = Confusion::new(3);
    for each in read_predictions(&path, &labels).unwrap() {
        counts.add(each.label, each.predicted);
    }
    counts
}

#[test]
fn the_plan_and_the_trials_say_which_average_counts() {
    let plan = SWEEP.json("results/three/plan.json");
    assert_eq!((&plan["average"], &plan["positive"]), (&"weighted".into(), &Value::Null));
    assert_eq!(plan["data"]["average"], "weighted");
    assert_eq!(SWEEP.json("results/three/trials/0001/trial.json")["data"]["average"], "weighted");
    let dry = SWEEP.output(&["run", "three.toml", "--dry-run"]);
    let said = lossy(&dry.stdout);
    assert!(said.contains("weighted by their documents (weighted F1)") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn the_figures_of_a_row_follow_from_its_predictions() {
    let rows = SWEEP.json("results/three/leaderboard.json");
    assert_eq!(rows.as_array().unwrap().len(), 2);
    for row in rows.as_array().unwrap() {
        let counts = counts(&format!("{:04}", row["trial"].as_u64().unwrap()));
        let test = &row["test"];
        let near = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
        let weighted = counts.rates(Target::Average(Average::Weighted));
        let (low, high) = counts.f1_interval(Target::Average(Average::Weighted));
        for (name, expected) in [
            ("f1", weighted.f1),
            ("precision", weighted.precision),
            ("recall", weighted.recall),
            ("f1_low", low),
            ("f1_high", high),
            ("weighted_f1", weighted.f1),
            ("macro_f1", counts.rates(Target::Average(Average::Macro)).f1),
            ("micro_f1", counts.accuracy()),
        ] {
            assert!(near(&test[name], expected), "{name}: {test}");
        }
        for (class, label) in LABELS.into_iter().enumerate() {
            let (found, rates) = (&test["classes"][class], counts.rates(Target::Class(class)));
            assert_eq!((&found["label"], &found["support"]), (&label.into(), &counts.support(class).into()));
            assert!(near(&found["precision"], rates.precision) && near(&found["recall"], rates.recall));
            assert!(near(&found["f1"], rates.f1));
        }
    }
}

#[test]
fn the_average_chooses_the_best_epoch_and_stands_in_the_log() {
    let log = SWEEP.text("results/three/events.jsonl");
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evaluations: Vec<&Value> =
        events.iter().map(|record| &record["event"]["evaluated"]).filter(|each| each.is_object()).collect();
    assert_eq!(evaluations.len(), 4);
    for evaluation in evaluations {
        let validation = &evaluation["validation"];
        assert_eq!(validation["average"], "weighted");
        let rows: Vec<Vec<u64>> = serde_json::from_value(validation["confusion"].clone()).unwrap();
        let mut counts = Confusion::new(3);
        for (truth, row) in rows.iter().enumerate() {
            for (predicted, &count) in row.iter().enumerate() {
                (0..count).for_each(|_| counts.add(truth, predicted));
            }
        }
        let f1 = counts.rates(Target::Average(Average::Weighted)).f1;
        assert!((validation["f1"].as_f64().unwrap() - f1).abs() < 1e-12);
    }
}

#[test]
fn everything_can_be_made_again_from_the_log() {
    let names = ["leaderboard.json", "leaderboard.csv", "leaderboard.md", "report.html"];
    let before = names.map(|name| SWEEP.text(&format!("results/three/{name}")));
    let copy = SWEEP.path("copy");
    copy_folder(&SWEEP.path("results"), &copy);
    for name in names {
        fs::remove_file(copy.join("three").join(name)).unwrap();
    }
    assert_eq!(SWEEP.output(&["report", "--results", "copy"]).status.code(), Some(0));
    assert_eq!(names.map(|name| SWEEP.text(&format!("copy/three/{name}"))), before);
    assert!(before[1].lines().next().unwrap().contains("test_macro_f1,test_micro_f1,test_weighted_f1"));
    // The class names: whole in the page, but no markup and no control character.
    let page = &before[3];
    assert!(page.contains("[31mred | &lt;b&gt;</td>") && page.contains("so, &quot;so&quot;</td>"), "{page}");
    assert!(page.contains("what ranks here is weighted F1") && !page.contains('\u{1b}'));

    let exported = SWEEP.output(&["export-best", "--out", "best"]);
    assert_eq!(exported.status.code(), Some(0), "{}", lossy(&exported.stderr));
    let card = SWEEP.text("best/README.md");
    assert!(card.contains("| Weighted F1 |") && card.contains("\n|  [31mred \\| &lt;b&gt; | "), "{card}");
    assert!(card.contains("\nMacro-F1 ") && card.contains("| so, \"so\" | "), "{card}");
}
