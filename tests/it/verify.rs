//! Damaged files of complete trials: what notices them, what is said, and how they are mended.

use std::{fs, path::Path, sync::LazyLock};

use serde_json::Value;

use crate::common::{
    place::{Place, copy_folder},
    program::Written,
    results::{Files, trial_files},
    texts::{TINY_SPEC, csv_of_two_words},
};

/// Two trials.
static SPEC: LazyLock<String> =
    LazyLock::new(|| format!("{TINY_SPEC}[search.space]\nlearning_rate = {{ grid = [1e-3, 3e-3] }}\n"));

const RUN: [&str; 2] = ["--devices", "cpu:1"];

/// A complete sweep with an exported model, which no test changes.
static WHOLE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("tiny", &SPEC);
    place.write("tiny.csv", csv_of_two_words(["很好", "很差"], 80));
    place.run(&RUN).succeeded();
    place.sweep(&["export-best", "tiny"]).succeeded();
    place
});

/// A copy of [`WHOLE`].
fn place() -> Place {
    let place = Place::new("tiny", &SPEC);
    place.write("tiny.csv", csv_of_two_words(["很好", "很差"], 80));
    copy_folder(&WHOLE.path("results"), &place.path("results"));
    place
}

fn path(place: &Place, file: &str) -> std::path::PathBuf {
    place.path("results/tiny").join(file)
}

fn verify(place: &Place) -> Written {
    place.sweep(&["verify", "tiny"])
}

fn trials(place: &Place) -> Vec<Files> {
    [1, 2].map(|id| trial_files(place.results().trial(id).path())).to_vec()
}

/// How often trials were started.
fn starts(place: &Place) -> usize {
    place.results().starts().values().sum()
}

/// The words that tell of a damage, and what does it to a file.
type Damage = (&'static str, fn(&Path));

/// What can happen to a file.
const DAMAGES: [Damage; 4] = [
    ("has 0 bytes", |path| fs::write(path, "").unwrap()),
    ("contents are not those", |path| {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }),
    ("were written", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("is gone", |path| fs::remove_file(path).unwrap()),
];

#[test]
fn a_whole_sweep_is_whole() {
    let text = verify(&WHOLE).with_code(0).stdout;
    // Four files of each of two trials, and the exported model.
    assert!(
        text.starts_with("tiny: 2 complete trials, 9 files, ") && text.ends_with("read: all whole\n"),
        "{text}"
    );
}

#[test]
fn every_damage_of_a_result_is_found_and_mended_by_running_the_sweep_again() {
    for (file, remedy, further_starts) in [
        ("best/model.safetensors", "trains the trial again", 1),
        ("predictions.csv", "trains the trial again", 1),
        ("metrics.csv", "writes it again", 0),
    ] {
        for (words, damage) in DAMAGES {
            let place = place();
            damage(&path(&place, &format!("trials/0002/{file}")));
            let found = verify(&place).with_code(5).stdout;
            let line = found.lines().find(|line| line.starts_with("0002")).unwrap();
            assert!(line.contains(file) && line.contains(words) && line.contains(remedy), "{found}");
            let said = place.run(&RUN).succeeded().stderr;
            assert!(said.contains(&format!("trials/0002/{file} ")) && said.contains(words), "{said}");
            verify(&place).with_code(0);
            assert_eq!(starts(&place), starts(&WHOLE) + further_starts, "{file} {words}");
            assert!(trials(&place) == trials(&WHOLE), "{file} {words}");
        }
    }
}

#[test]
fn damage_of_the_last_parameters_is_found_and_mended_by_deleting_them() {
    let place = place();
    let last = path(&place, "trials/0001/last/model.safetensors");
    DAMAGES[1].1(&last);
    let found = verify(&place).with_code(5).stdout;
    assert!(found.contains("last/model.safetensors") && found.contains("delete it"), "{found}");
    fs::remove_file(last).unwrap();
    verify(&place).with_code(0);
}

#[test]
fn damage_of_the_exported_model_is_found_and_mended_by_exporting_it_again() {
    for (words, damage) in DAMAGES {
        let place = place();
        damage(&path(&place, "best-model/model.safetensors"));
        let found = verify(&place).with_code(5).stdout;
        assert!(found.contains("best-model/model.safetensors") && found.contains(words), "{found}");
        assert!(found.contains("`sweep export-best` writes it again"), "{found}");
        place.sweep(&["export-best", "tiny"]).succeeded();
        verify(&place).with_code(0);
    }
}

#[test]
fn damaged_parameters_are_not_exported_whatever_the_damage() {
    let best = place().results().leader();
    for (words, damage) in DAMAGES {
        let place = place();
        damage(&path(&place, &format!("trials/000{best}/best/model.safetensors")));
        let said = place.sweep(&["export-best", "tiny"]).with_code(5).stderr;
        assert!(said.contains(words) && said.contains("run the sweep again"), "{said}");
    }
}

#[test]
fn a_leaderboard_says_that_predictions_are_damaged() {
    let place = place();
    DAMAGES[1].1(&path(&place, "trials/0002/predictions.csv"));
    for format in ["table", "markdown"] {
        let text = place.sweep(&["leaderboard", "tiny", "--format", format]).succeeded().stdout;
        assert!(text.contains("predictions.csv is damaged; running the sweep again"), "{text}");
    }
}

#[test]
fn the_answer_is_a_table_unless_json_is_asked_for() {
    let place = place();
    DAMAGES[0].1(&path(&place, "trials/0002/predictions.csv"));
    let text = place.sweep(&["verify", "tiny", "--format", "json"]).with_code(5).stdout;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["damaged"][0]["trial"], 2);
    assert_eq!(answer["damaged"][0]["file"], "predictions.csv");
    assert_eq!(answer["files"], 9);
}

/// A copy of [`WHOLE`] as a version without digests would have left it.
fn of_an_earlier_version() -> Place {
    let place = place();
    let log = place.results().log();
    let lines = fs::read_to_string(&log).unwrap();
    let without_files = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["v"] = 2.into();
        if let Some(outcome) = record["event"].get_mut("finished") {
            outcome.as_object_mut().unwrap().remove("files").unwrap();
        }
        format!("{record}\n")
    };
    fs::write(&log, lines.lines().map(without_files).collect::<String>()).unwrap();
    place
}

#[test]
fn results_of_an_earlier_version_are_checked_by_their_form() {
    let place = of_an_earlier_version();
    let text = verify(&place).with_code(0).stdout;
    assert!(text.contains("2 trials, the first of them 0001, ended under an earlier version"), "{text}");
    place.run(&RUN).succeeded();
    assert_eq!(starts(&place), starts(&WHOLE), "nothing runs again");
    DAMAGES[0].1(&path(&place, "trials/0002/best/model.safetensors"));
    let text = verify(&place).with_code(5).stdout;
    assert!(text.contains("it is not what the log tells of"), "{text}");
    place.run(&RUN).succeeded();
    assert!(trials(&place) == trials(&WHOLE));
}

#[test]
fn data_that_changed_are_noted_and_damage_no_results() {
    let place = place();
    // The plan then names the data of this place.
    place.run(&RUN).succeeded();
    place.write("tiny.csv", csv_of_two_words(["很好", "失望"], 80));
    let text = verify(&place).with_code(0).stdout;
    assert!(
        text.contains("note: ") && text.contains("tiny.csv changed since the trials were planned"),
        "{text}"
    );
}

#[test]
fn a_folder_that_has_lost_its_plan_gets_one_answer_from_every_command() {
    let place = place();
    fs::remove_file(path(&place, "plan.json")).unwrap();
    let words = "results/tiny has lost its plan.json, so that nothing is known of its trials; put the file back, or \
                 forget what is left of the sweep: sweep run SPEC --fresh";
    for command in ["status", "leaderboard", "report", "export-best", "verify"] {
        for arguments in [&[command, "tiny"][..], &[command]] {
            let said = place.sweep(arguments).with_code(5).stderr;
            assert!(said.contains(words), "{arguments:?}: {said}");
        }
    }
    for arguments in [&RUN[..], &["--dry-run"]] {
        let said = place.run(arguments).with_code(5).stderr;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let listed = place.sweep(&["list"]).succeeded().stdout;
    assert!(listed.contains("damaged") && listed.contains("has lost its plan.json"), "{listed}");
}

#[test]
fn a_sweep_that_has_lost_its_plan_can_be_run_afresh() {
    let place = place();
    fs::remove_file(path(&place, "plan.json")).unwrap();
    place.write("results/tiny/notes.txt", "mine");
    place.run(&["--devices", "cpu:1", "--fresh"]).succeeded();
    assert!(trials(&place) == trials(&WHOLE));
    assert_eq!(place.text("results/tiny/notes.txt"), "mine");
    verify(&place).with_code(0);
}

#[test]
fn a_folder_with_a_log_of_another_program_is_left_alone() {
    for log in ["", "no log\n", "{\"seq\":1}\n", "[{\"v\":1,\"seq\":1,\"at\":\"\",\"event\":{}}]\n"] {
        let place = Place::new("tiny", &SPEC);
        place.write("tiny.csv", csv_of_two_words(["很好", "很差"], 80));
        place.write("results/tiny/events.jsonl", log);
        place.write("results/tiny/trials/mine", "mine");
        let said = place.run(&["--devices", "cpu:1", "--fresh"]).with_code(5).stderr;
        assert!(said.contains("is not a sweep's folder"), "{said}");
        assert_eq!(place.text("results/tiny/events.jsonl"), log);
        assert_eq!(place.text("results/tiny/trials/mine"), "mine");
    }
}
