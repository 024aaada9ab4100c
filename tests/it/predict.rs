//! `sweep predict` on every kind of input, with a model that a tiny sweep makes once.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
};

use serde_json::{Value, json};
use sweep::{
    system::device::Device,
    train::{Exported, Session},
};
use tempfile::TempDir;

use crate::common::{
    place::{Place, copy_folder},
    program::Written,
    texts::{csv, filler},
};

const SPEC: &str = r#"
name = "tiny"
[data]
path = "tiny.csv"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
learning_rate = 2e-3
"#;

/// Class names that a table, a CSV or a terminal could stumble over.
const LABELS: [&str; 3] = ["\u{1b}[31mred", "so, \"so\"", "很 好"];

/// Texts of three classes, some longer than a chunk.
fn text(index: usize) -> String {
    format!("{}，{}，第{index}次", filler(index), ["很差", "一般", "喜欢"][index % 3])
}

/// A place with an exported model in `model`.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("tiny", SPEC);
    place.write("tiny.csv", csv((0..120).map(|index| (text(index), LABELS[index % 3]))));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place.sweep(&["export-best", "--trial", "1", "--out", "model"]).succeeded();
    place
});

/// `sweep predict` with the model.
fn predict(arguments: &[&str]) -> Command {
    let mut command = PLACE.command(&["predict", "--model", "model"]);
    command.args(arguments);
    command
}

/// What `sweep predict` writes that has no input.
fn written(arguments: &[&str]) -> Written {
    Written::by(&mut predict(arguments))
}

/// `sweep predict` in the background, its streams being pipes.
fn start(arguments: &[&str]) -> Child {
    let mut command = predict(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What `sweep predict` writes for `input`.
fn answer(arguments: &[&str], input: &[u8]) -> Written {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().unwrap();
    // On a thread: answers come, and must be read, before the input ends. After a wrong row
    // nobody reads the rest of it.
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap().into()
    })
}

/// The objects of `--format jsonl`.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts_of(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["text"].as_str().unwrap()).collect()
}

#[test]
fn every_kind_of_input_has_the_same_answer() {
    let texts: Vec<String> = (0..7).map(text).chain(["a, \"b\"".to_owned()]).collect();
    let mut command = predict(&["--format", "jsonl"]);
    let expected = Written::by(command.args(&texts)).succeeded();
    let expected = objects(&expected.stdout);
    assert_eq!(texts_of(&expected), texts);

    let rows = |row: &dyn Fn(&String) -> String| texts.iter().map(row).collect::<String>();
    let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
    let lines = rows(&|text| format!("{text}\n"));
    let csv = format!("\u{feff}n,text\r\n{}", rows(&|text| format!("1,{}\r\n", quoted(text))));
    let named = csv.replace("n,text", "n,review");
    let tsv = format!("text\tn\n{}", rows(&|text| format!("{text}\t1\n")));
    let jsonl = rows(&|text| format!("{}\n\n", json!({ "n": 1, "text": text })));
    for (content, name, arguments) in [
        (&lines, "texts", &[][..]),
        (&lines, "texts.csv", &["--input-format", "lines"]),
        (&csv, "texts.csv", &["--input-format", "csv"]),
        (&named, "named.CSV", &["--column", "review"]),
        (&tsv, "texts.tsv", &["--input-format", "tsv", "--column", "text"]),
        (&jsonl, "texts.jsonl", &["--input-format", "jsonl"]),
        (&jsonl, "texts.ndjson", &["--input-format", "jsonl"]),
    ] {
        let arguments = [&["--format", "jsonl"], arguments].concat();
        let piped = answer(&arguments, content.as_bytes());
        assert_eq!(objects(&piped.stdout), expected, "{arguments:?} {}", piped.stderr);
        PLACE.write(name, content);
        let arguments = match name {
            "texts.csv" if content == &csv => vec!["--format", "jsonl", "--input", name],
            "texts.jsonl" | "texts.ndjson" | "texts.tsv" => vec!["--format", "jsonl", "--input", name],
            _ => [&arguments[..], &["--input", name]].concat(),
        };
        let read = written(&arguments);
        assert_eq!(objects(&read.stdout), expected, "{arguments:?} {}", read.stderr);
    }
}

/// The answer for four texts in a format.
fn four(format: &str) -> String {
    answer(&["--format", format], (0..4).map(|index| text(index) + "\n").collect::<String>().as_bytes())
        .stdout
}

#[test]
fn json_says_what_jsonl_says() {
    assert_eq!(serde_json::from_str::<Vec<Value>>(&four("json")).unwrap(), objects(&four("jsonl")));
}

#[test]
fn json_has_the_names_of_the_classes_as_they_are() {
    let object = objects(&four("jsonl")).remove(0);
    let names: Vec<&String> = object["probabilities"].as_object().unwrap().keys().collect();
    assert_eq!(names, LABELS);
}

#[test]
fn probabilities_sum_to_one() {
    let object = objects(&four("jsonl")).remove(0);
    let probabilities = object["probabilities"].as_object().unwrap().values();
    assert!((probabilities.map(|p| p.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-6);
}

#[test]
fn csv_says_what_jsonl_says() {
    let csv = four("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    for (row, object) in reader.records().map(Result::unwrap).zip(objects(&four("jsonl"))) {
        assert_eq!((&row[0], &row[1]), (object["text"].as_str().unwrap(), object["label"].as_str().unwrap()));
        assert_eq!(row[2].parse::<f64>().unwrap(), object["probabilities"][LABELS[0]].as_f64().unwrap());
    }
}

#[test]
fn csv_has_the_names_of_the_classes_as_they_are() {
    let csv = four("csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..2], ["text", "label"]);
    assert!(header[2..].iter().zip(LABELS).all(|(found, label)| *found == format!("p_{label}")));
}

#[test]
fn a_table_has_a_line_for_each_text() {
    let table = four("table");
    assert_eq!(table.lines().count(), 4);
    assert!(table.lines().all(|line| line.contains('第')), "{table}");
}

#[test]
fn a_table_never_speaks_to_the_terminal() {
    let table = four("table");
    assert!(!table.contains('\u{1b}'), "{table}");
}

/// Texts over the sum of the windows that are smaller than the largest, and what is answered.
static MANY: LazyLock<(Vec<String>, Vec<Value>)> = LazyLock::new(|| {
    let texts: Vec<String> = (0..2_500).map(|index| text(index * index % 77)).collect();
    let objects = objects(&answer(&["--format", "jsonl"], texts.join("\n").as_bytes()).stdout);
    (texts, objects)
});

#[test]
fn many_windows_keep_the_order() {
    let (texts, objects) = &*MANY;
    assert_eq!(texts_of(objects), *texts);
}

#[test]
fn a_text_among_many_gets_what_it_gets_alone() {
    let (texts, found) = &*MANY;
    let alone = objects(&written(&["--format", "jsonl", &texts[2_400]]).stdout);
    for label in LABELS {
        let p = |object: &Value| object["probabilities"][label].as_f64().unwrap();
        assert!((p(&alone[0]) - p(&found[2_400])).abs() < 1e-5);
    }
}

#[test]
fn a_pipe_shows_results_before_its_input_ends() {
    let mut child = start(&["--format", "jsonl", "--input-format", "csv"]);
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(output).lines();
    writeln!(input, "text").unwrap();
    for index in 0..32 {
        writeln!(input, "\"{}\"", text(index)).unwrap();
    }
    for index in 0..32 {
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["text"], text(index));
    }
    writeln!(input, "\"one\nmore\"").unwrap();
    drop(input);
    let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
    assert_eq!(answer["text"], "one\nmore");
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    PLACE.write("many.txt", (0..3_000).map(|index| text(index) + "\n").collect::<String>());
    for format in ["table", "json", "jsonl", "csv"] {
        let mut child = start(&["--format", format, "--input", "many.txt"]);
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let written = Written::from(child.wait_with_output().unwrap());
        assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn a_wrong_line_is_named_after_the_results_before_it() {
    let row = |index: usize| text(index) + "\n";
    // In the second window.
    let lines: String = (0..40).map(row).chain(["  \n".to_owned(), row(1)]).collect();
    let answer = answer(&["--format", "json"], lines.as_bytes()).with_code(2);
    let error = "error: standard input: line 41: the text is empty; fill it in, or delete the line\n";
    assert_eq!(answer.stderr, error);
    let before: Vec<Value> = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(texts_of(&before), (0..40).map(text).collect::<Vec<_>>());
}

#[test]
fn a_wrong_row_of_a_file_is_named_after_the_results_before_it() {
    for (name, content, message) in [
        ("a.csv", &b"text,n\na,1\nb\n"[..], "a.csv: line 3: 1 field, but the header has 2"),
        ("b.csv", b"text\na\n\"b\nc\n", "b.csv: line 3: a quote is opened here and never closed"),
        (
            "c.jsonl",
            b"{\"text\":\"a\"}\n{\"text\":null}\n",
            "c.jsonl: line 2: `text` must be a text, not null",
        ),
        ("d.tsv", b"text\na\n\xba\xc3\n", "d.tsv: line 3: byte 0xba is not UTF-8"),
    ] {
        PLACE.write(name, content);
        let Written { stdout, stderr, .. } = written(&["--format", "jsonl", "--input", name]).with_code(2);
        assert!(stderr.contains(message) && stderr.contains("; "), "{stderr}");
        assert_eq!(texts_of(&objects(&stdout)), ["a"], "{name}");
    }
}

#[test]
fn an_input_that_cannot_be_read_at_all_leaves_nothing_on_standard_output() {
    PLACE.write("other.csv", "\u{1b}[31m,texts\na,b\n");
    for (arguments, message) in [
        (&["--input", "none.csv"][..], "cannot read none.csv"),
        (
            &["--input", "other.csv"],
            "no column `text`; there are ` [31m`, `texts`; did you mean --column \"texts\"?",
        ),
        (&["--input", "tiny.toml", "--column", "a"], "lines have no columns"),
        (&["--input-format", "csv"], "there is no header"),
        (&["--", ""], "text 1 is empty"),
    ] {
        let written = written(&[&["--format", "json"], arguments].concat()).with_code(2);
        let error = &written.stderr;
        assert!(error.contains(message) && !error.contains('\u{1b}'), "{error}");
        let empty = if arguments == ["--", ""] { "[]\n" } else { "" };
        assert_eq!(written.stdout, empty, "{arguments:?}");
    }
}

#[test]
fn texts_beside_an_input_are_refused() {
    written(&["--input", "tiny.csv", "a text"]).with_code(2);
}

#[test]
fn without_a_text_there_is_an_empty_answer() {
    for (format, expected) in [("json", "[]\n"), ("jsonl", ""), ("table", "")] {
        let written = answer(&["--format", format], b"");
        assert_eq!((written.code, written.stdout.as_str()), (Some(0), expected));
    }
}

const TWO: [&str; 2] = ["房间里的灯，一般，第1次", "房间里的灯房间里的灯，喜欢，第2次"];

/// A session that has predicted two texts with a model whose parameters are gone since.
struct ParametersGone {
    model: Exported,
    session: Session,
    answer: Vec<Vec<f64>>,
    _folder: TempDir,
}

fn session() -> Session {
    Session::open(Device::Cpu { slot: 0, threads: 1 }).unwrap()
}

fn parameters_gone() -> ParametersGone {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&PLACE.path("model"), folder.path());
    let model = Exported::read(folder.path()).unwrap();
    let mut session = session();
    let answer = session.predict(&model, &TWO).unwrap();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    ParametersGone { model, session, answer, _folder: folder }
}

#[test]
fn the_model_is_read_once_for_all_windows() {
    let mut gone = parameters_gone();
    assert_eq!(gone.session.predict(&gone.model, &TWO).unwrap(), gone.answer);
}

#[test]
fn a_model_whose_parameters_are_gone_cannot_be_read() {
    assert!(session().predict(&parameters_gone().model, &TWO).is_err());
}

#[test]
fn a_line_of_fifty_megabytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    fs::write(&path, "a".repeat(50 << 20)).unwrap();
    let from_file = Written::by(predict(&["--input"]).arg(&path));
    let from_stdin = Written::by(predict(&[]).stdin(fs::File::open(&path).unwrap()));
    for (written, name) in [(from_file, "long.txt"), (from_stdin, "standard input")] {
        let shown = written.with_code(2).stderr;
        assert!(shown.contains(name) && shown.contains("line 1: it is longer than 16 MiB"), "{shown}");
    }
}
