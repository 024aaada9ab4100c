//! The figures of a sweep for TensorBoard, MLflow and notebooks: what is written where, and what is never replaced.

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use crate::common::{
    place::{Place, copy_folder},
    results::files_under,
    texts::{TINY_SPEC, WORDS, csv_of_two_words},
};

fn trained() -> Place {
    let place =
        Place::new("tiny", &format!("{TINY_SPEC}[search.space]\ndropout = {{ grid = [0.0, 0.2] }}\n"));
    place.write("tiny.csv", csv_of_two_words([WORDS[0].1[0], WORDS[1].1[0]], 80));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
}

static TRAINED: LazyLock<Place> = LazyLock::new(trained);

/// A copy of the trained sweep, for a test that changes it.
fn copy() -> Place {
    let place = Place::new("tiny", &TRAINED.text("tiny.toml"));
    place.write("tiny.csv", TRAINED.text("tiny.csv"));
    copy_folder(&TRAINED.path("results"), &place.path("results"));
    place
}

/// The files below a folder, by their paths.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files_under(folder).into_iter().map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

#[test]
fn a_format_has_a_place_of_its_own_in_the_sweeps_folder() {
    let place = copy();
    for (format, file) in [
        ("tensorboard", "results/tiny/tensorboard/sweep-export.json"),
        ("mlflow", "results/tiny/mlflow/sweep-export.json"),
        ("csv", "results/tiny/evaluations.csv"),
    ] {
        let written = place.sweep(&["export", format]).succeeded();
        assert!(place.path(file).is_file(), "{}", written.stdout);
    }
}

#[test]
fn the_same_results_give_the_same_files_again() {
    let place = copy();
    for format in ["tensorboard", "mlflow"] {
        let folder = place.path("out");
        let export = || place.sweep(&["export", format, "--to", "out"]).succeeded();
        export();
        let first = contents(&folder);
        export();
        assert!(first.len() > 2 && first == contents(&folder), "{format}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn the_command_that_opens_an_export_is_said() {
    let said = |format: &str| copy().sweep(&["export", format, "--to", "my export"]).succeeded().stdout;
    assert_eq!(said("tensorboard"), "my export: 2 trials\nto open it: tensorboard --logdir 'my export'\n");
    assert!(said("mlflow").ends_with("mlflow ui --backend-store-uri 'my export'\n"));
    assert_eq!(said("csv"), "my export: 4 rows\n");
}

#[test]
fn what_others_wrote_is_not_replaced() {
    let place = copy();
    place.write("folder/notes.txt", "a");
    place.write("table.csv", "text,label\n");
    for (format, to) in
        [("tensorboard", "folder"), ("mlflow", "folder"), ("csv", "folder"), ("csv", "table.csv")]
    {
        let written = place.sweep(&["export", format, "--to", to]).with_code(5);
        assert!(written.stderr.contains("--to"), "{}", written.stderr);
    }
    assert_eq!(
        (place.text("folder/notes.txt").as_str(), place.text("table.csv").as_str()),
        ("a", "text,label\n")
    );
}

#[test]
fn an_export_to_which_something_was_added_is_not_replaced() {
    let place = copy();
    place.sweep(&["export", "mlflow"]).succeeded();
    place.write("results/tiny/mlflow/notes.txt", "a");
    let written = place.sweep(&["export", "mlflow"]).with_code(5);
    assert!(written.stderr.contains("notes.txt"), "{}", written.stderr);
    assert_eq!(place.text("results/tiny/mlflow/notes.txt"), "a");
}

#[test]
fn the_table_holds_what_the_trials_own_tables_hold() {
    let place = copy();
    place.sweep(&["export", "csv", "--to", "all.csv"]).succeeded();
    let column = |table: &str, name: &str| -> Vec<String> {
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let at = reader.headers().unwrap().iter().position(|heading| heading == name).unwrap();
        reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
    };
    let tables = ["0001", "0002"].map(|trial| place.text(format!("results/tiny/trials/{trial}/metrics.csv")));
    for name in ["step", "train_loss", "val_loss", "val_f1"] {
        let own: Vec<String> = tables.iter().flat_map(|table| column(table, name)).collect();
        assert_eq!(column(&place.text("all.csv"), name), own, "{name}");
    }
}

#[test]
fn a_fresh_run_forgets_exports_unless_something_was_added() {
    let place = copy();
    for format in ["tensorboard", "mlflow", "csv"] {
        place.sweep(&["export", format]).succeeded();
    }
    place.write("results/tiny/mlflow/notes.txt", "a");
    place.run(&["--fresh", "--devices", "cpu:1"]).succeeded();
    let is_there = |name: &str| place.path("results/tiny").join(name).exists();
    assert_eq!(["tensorboard", "evaluations.csv", "mlflow"].map(is_there), [false, false, true]);
}
