//! Data as people have it, from the file to everything that shows its figures.

use std::{io::Write as _, sync::LazyLock};

use sweep::event::Event;

use crate::common::{place::Place, program::Written, texts::csv};

const SPEC: &str = r#"
name = "guess"
[data]
train = "train.csv"
validation = "dev.csv"
test = "test.csv"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 1
batch_size = 8
"#;

/// What everything that shows the F1 of the sweep says about the positive class.
const GUESS: &str = "F1 is that of class 差评: a guess, since it sorts last";
/// What is said about the class that the test set lacks.
const ABSENT: &str = "est has no document of class `差评`: F1 of 差评 is 0 there, whatever is predicted";

fn row(index: usize) -> (String, &'static str) {
    (format!("{}，第{index}次", ["不错", "很差"][index % 2]), ["好评", "差评"][index % 2])
}

/// A complete sweep whose spec names no positive class, and whose test set lacks a class.
static COMPLETE: LazyLock<(Place, Written)> = LazyLock::new(|| {
    let place = Place::shared("guess", SPEC);
    place.write("train.csv", csv((0..24).map(row)));
    place.write("dev.csv", csv((24..36).map(row)));
    place.write("test.csv", csv((36..60).filter(|index| index % 2 == 0).map(row)));
    let run = place.run(&["--devices", "cpu:1"]).succeeded();
    (place, run)
});

#[test]
fn a_dry_run_says_which_class_is_positive_and_what_a_split_lacks() {
    let (place, _) = &*COMPLETE;
    let shown = place.run(&["--dry-run"]).succeeded().stdout;
    assert!(shown.contains(GUESS) && shown.contains(ABSENT), "{shown}");
    assert!(shown.contains("write positive = \"差评\" or positive = \"好评\""), "{shown}");
}

#[test]
fn a_run_says_when_it_starts_which_class_is_positive_and_what_a_split_lacks() {
    let (_, run) = &*COMPLETE;
    let (before, _) = run.stderr.split_once("trial 0001 starts").unwrap();
    assert!(before.contains(GUESS) && before.contains(ABSENT), "{before}");
}

#[test]
fn the_log_keeps_what_was_said_about_the_data() {
    let (place, _) = &*COMPLETE;
    let begun = place.results().records().remove(0);
    let Event::SweepStarted { notes, .. } = &begun.event else { panic!("{begun:?}") };
    assert!(notes[0].starts_with(GUESS) && notes[1].contains(ABSENT), "{notes:?}");
}

#[test]
fn the_plan_has_the_documents_of_each_class() {
    let (place, _) = &*COMPLETE;
    let classes = &place.json("results/guess/plan.json")["classes"];
    assert_eq!(classes, &serde_json::json!({"train": [12, 12], "validation": [6, 6], "test": [12, 0]}));
}

#[test]
fn everything_that_ranks_says_which_class_is_positive_and_what_a_split_lacks() {
    let (place, run) = &*COMPLETE;
    let shown = [
        run.stdout.clone(),
        place.sweep(&["leaderboard"]).succeeded().stdout,
        place.text("results/guess/leaderboard.md").replace('\\', ""),
        place.text("results/guess/report.html"),
    ];
    for text in shown {
        let text = text.replace("&quot;", "\"");
        assert!(text.contains(GUESS) && text.contains(ABSENT), "{text}");
    }
}

#[test]
fn programs_find_the_positive_class_in_each_row() {
    let (place, _) = &*COMPLETE;
    assert_eq!(place.json("results/guess/leaderboard.json")[0]["positive"], "差评");
}

#[test]
fn a_positive_class_that_is_named_is_no_guess() {
    let (place, _) = &*COMPLETE;
    let shown = place.run(&["--dry-run", "--fresh", "--set", "data.positive=好评"]).succeeded().stdout;
    assert!(shown.contains("F1 is that of class 好评\n"), "{shown}");
}

#[test]
fn a_sweep_goes_on_after_its_data_were_packed() {
    let place = Place::new("packed", &SPEC.replace("guess", "packed"));
    for (name, rows) in [("train.csv", 0..24), ("dev.csv", 24..36), ("test.csv", 36..48)] {
        place.write(name, csv(rows.map(row)));
    }
    place.run(&["--devices", "cpu:1"]).succeeded();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(place.text("train.csv").as_bytes()).unwrap();
    place.write("train.csv.gz", packer.finish().unwrap());
    place.run(&["--devices", "cpu:1", "--set", "data.train=train.csv.gz"]).succeeded();
    assert_eq!(place.results().starts()[&1], 1, "the trial was not run again");
}

/// A spec with a single file.
const SINGLE: &str = "name = \"single\"\n[data]\npath = \"single.csv\"\n";

/// Bytes of a file that would fill any memory. It is sparse: it has no block on the disk.
const HUGE: u64 = 100 << 30;

#[test]
fn a_sparse_file_of_a_hundred_gigabytes_is_refused_where_its_hole_begins() {
    for (start, line) in [("", "line 1"), ("text,label\na,1\nb,0\n", "line 4")] {
        let place = Place::new("single", SINGLE);
        place.write("single.csv", start);
        let file = std::fs::File::options().write(true).open(place.path("single.csv")).unwrap();
        file.set_len(HUGE).unwrap();
        let shown = place.run(&["--dry-run"]).with_code(2).stderr;
        assert!(shown.contains(line) && shown.contains("longer than 16 MiB"), "{shown}");
    }
}

#[test]
fn a_small_file_that_unpacks_without_an_end_is_refused() {
    let place = Place::new("single", SINGLE);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(b"text,label\n\"").unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b'a'), 64 << 20), &mut packer).unwrap();
    place.write("single.csv", packer.finish().unwrap());
    let shown = place.run(&["--dry-run"]).with_code(2).stderr;
    assert!(shown.contains("line 2") && shown.contains("longer than 16 MiB"), "{shown}");
}

/// Everything that the trials of a sweep over `text` leave, and how many entries of documents its cache has.
fn left(text: &str, cache: &str) -> (Vec<Vec<u8>>, usize) {
    let spec = "name = \"single\"\n[data]\npath = \"single.csv\"\n[text]\nchunk_length = 16\nchunk_stride = 4\n[train]\n\
                epochs = 1\nbatch_size = 8\n[search.space]\nlearning_rate = { grid = [1e-3, 2e-3, 3e-3] }\n";
    let place = Place::new("single", &format!("{spec}[run]\ncache = \"{cache}\"\n"));
    place.write("single.csv", text);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let files = (1..=3).flat_map(|trial| {
        ["metrics.csv", "predictions.csv", "best/model.safetensors"].map(|file| {
            std::fs::read(place.path(format!("results/single/trials/{trial:04}/{file}"))).unwrap()
        })
    });
    let listed = sweep::cache::list(&sweep::system::files::Place::of(place.path("results/.cache")))
        .unwrap_or_default();
    let documents = |entry: &sweep::cache::Listed| {
        entry.what.as_ref().is_some_and(|(kind, _)| *kind == sweep::cache::Kind::Documents)
    };
    (files.collect(), listed.iter().filter(|entry| documents(entry)).count())
}

#[test]
fn trials_are_the_same_with_the_documents_in_the_cache_and_without() {
    let text = csv((0..90).map(row));
    let (with, entries) = left(&text, "1GB");
    let (without, no_entries) = left(&text, "none");
    assert_eq!((entries, no_entries), (1, 0));
    assert_eq!(with, without);
}
