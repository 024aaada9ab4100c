//! `sweep predict` on every kind of input, with a model that a tiny sweep makes once.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
    thread,
};

use serde_json::{Value, json};
use sweep::{
    system::device::Device,
    train::{Exported, Session},
};
use tempfile::TempDir;

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
    let filler = "房间里的灯".repeat(index % 5);
    format!("{filler}，{}，第{index}次", ["很差", "一般", "喜欢"][index % 3])
}

/// The folder of an exported model.
struct Model(TempDir);

impl Model {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut csv = String::from("text,label\n");
        for index in 0..120 {
            writeln!(csv, "{},\"{}\"", text(index), LABELS[index % 3].replace('"', "\"\"")).unwrap();
        }
        fs::write(root.path().join("tiny.csv"), csv).unwrap();
        fs::write(root.path().join("tiny.toml"), SPEC).unwrap();
        let model = Self(root);
        for arguments in [&["run", "tiny.toml", "--devices", "cpu:1"][..], &["export-best", "--out", "model"]]
        {
            let output = model.sweep(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", lossy(&output.stderr));
        }
        model
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sweep(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn predict(&self, arguments: &[&str]) -> Command {
        let mut command = self.sweep(&["predict", "--model", "model"]);
        command.args(arguments);
        command
    }

    /// `sweep predict` in the background, its streams being pipes.
    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.predict(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What `sweep predict` says to `input`.
    fn answer(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().unwrap();
        // On a thread: answers come, and must be read, before the input ends. After a wrong row
        // nobody reads the rest of it.
        thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).ok());
            child.wait_with_output().unwrap()
        })
    }
}

static MODEL: LazyLock<Model> = LazyLock::new(Model::new);

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The objects of `--format jsonl`.
fn objects(bytes: &[u8]) -> Vec<Value> {
    lossy(bytes).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts_of(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["text"].as_str().unwrap()).collect()
}

#[test]
fn every_kind_of_input_has_the_same_answer() {
    let texts: Vec<String> = (0..7).map(text).chain(["a, \"b\"".to_owned()]).collect();
    let mut command = MODEL.predict(&["--format", "jsonl"]);
    let expected = command.args(&texts).output().unwrap();
    assert_eq!(expected.status.code(), Some(0), "{}", lossy(&expected.stderr));
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
        let piped = MODEL.answer(&arguments, content.as_bytes());
        assert_eq!(objects(&piped.stdout), expected, "{arguments:?} {}", lossy(&piped.stderr));
        fs::write(MODEL.path(name), content).unwrap();
        let arguments = match name {
            "texts.csv" if content == &csv => vec!["--format", "jsonl", "--input", name],
            "texts.jsonl" | "texts.ndjson" | "texts.tsv" => vec!["--format", "jsonl", "--input", name],
            _ => [&arguments[..], &["--input", name]].concat(),
        };
        let read = MODEL.predict(&arguments).output().unwrap();
        assert_eq!(objects(&read.stdout), expected, "{arguments:?} {}", lossy(&read.stderr));
    }
}

#[test]
fn every_format_says_the_same_with_the_names_of_the_classes_as_they_are() {
    let input = (0..4).map(|index| text(index) + "\n").collect::<String>();
    let answer = |format| MODEL.answer(&["--format", format], input.as_bytes()).stdout;
    let lines = objects(&answer("jsonl"));
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&answer("json")).unwrap(), lines);
    let names: Vec<&String> = lines[0]["probabilities"].as_object().unwrap().keys().collect();
    assert_eq!(names, LABELS);
    let sum: f64 = lines[0]["probabilities"].as_object().unwrap().values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6);

    let csv = answer("csv");
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..2], ["text", "label"]);
    assert!(header[2..].iter().zip(LABELS).all(|(found, label)| *found == format!("p_{label}")));
    for (row, object) in reader.records().map(Result::unwrap).zip(&lines) {
        assert_eq!((&row[0], &row[1]), (object["text"].as_str().unwrap(), object["label"].as_str().unwrap()));
        assert_eq!(row[2].parse::<f64>().unwrap(), object["probabilities"][LABELS[0]].as_f64().unwrap());
    }
    let table = lossy(&answer("table"));
    assert_eq!(table.lines().count(), 4);
    assert!(!table.contains('\u{1b}') && table.lines().all(|line| line.contains('第')), "{table}");
}

#[test]
fn many_windows_keep_the_order_and_say_of_a_text_what_it_gets_alone() {
    // Over the sum of the windows that are smaller than the largest.
    let texts: Vec<String> = (0..2_500).map(|index| text(index * index % 77)).collect();
    let output = MODEL.answer(&["--format", "jsonl"], texts.join("\n").as_bytes());
    let found = objects(&output.stdout);
    assert_eq!(texts_of(&found), texts);
    let alone = objects(&MODEL.predict(&["--format", "jsonl", &texts[2_400]]).output().unwrap().stdout);
    for label in LABELS {
        let p = |object: &Value| object["probabilities"][label].as_f64().unwrap();
        assert!((p(&alone[0]) - p(&found[2_400])).abs() < 1e-5);
    }
}

#[test]
fn a_pipe_shows_results_before_its_input_ends() {
    let mut child = MODEL.start(&["--format", "jsonl", "--input-format", "csv"]);
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
    let many: String = (0..3_000).map(|index| text(index) + "\n").collect();
    fs::write(MODEL.path("many.txt"), many).unwrap();
    for format in ["table", "json", "jsonl", "csv"] {
        let mut child = MODEL.start(&["--format", format, "--input", "many.txt"]);
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), lossy(&output.stderr).as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn a_wrong_row_is_named_after_the_results_before_it() {
    let row = |index: usize| text(index) + "\n";
    // In the second window.
    let lines: String = (0..40).map(row).chain(["  \n".to_owned(), row(1)]).collect();
    let output = MODEL.answer(&["--format", "json"], lines.as_bytes());
    assert_eq!(output.status.code(), Some(2));
    let error = "error: standard input: line 41: the text is empty; fill it in, or delete the line\n";
    assert_eq!(lossy(&output.stderr), error);
    let before: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(texts_of(&before), (0..40).map(text).collect::<Vec<_>>());

    for (name, content, said) in [
        ("a.csv", &b"text,n\na,1\nb\n"[..], "a.csv: line 3: 1 fields, but the header has 2"),
        ("b.csv", b"text\na\n\"b\nc\n", "b.csv: line 3: a quote is opened here and never closed"),
        (
            "c.jsonl",
            b"{\"text\":\"a\"}\n{\"text\":null}\n",
            "c.jsonl: line 2: `text` must be a text, not null",
        ),
        ("d.tsv", b"text\na\n\xba\xc3\n", "d.tsv: line 3: byte 0xba is not UTF-8"),
    ] {
        fs::write(MODEL.path(name), content).unwrap();
        let output = MODEL.predict(&["--format", "jsonl", "--input", name]).output().unwrap();
        let error = lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(error.contains(said) && error.contains("; "), "{error}");
        assert_eq!(texts_of(&objects(&output.stdout)), ["a"], "{name}");
    }
}

#[test]
fn an_input_that_cannot_be_read_at_all_leaves_nothing_on_standard_output() {
    fs::write(MODEL.path("other.csv"), "\u{1b}[31m,texts\na,b\n").unwrap();
    for (arguments, said) in [
        (&["--input", "none.csv"][..], "cannot read none.csv"),
        (
            &["--input", "other.csv"],
            "no column `text`; there are ` [31m`, `texts`; did you mean --column \"texts\"?",
        ),
        (&["--input", "tiny.toml", "--column", "a"], "lines have no columns"),
        (&["--input-format", "csv"], "there is no header"),
        (&["--", ""], "text 1 is empty"),
    ] {
        let output = MODEL.predict(&[&["--format", "json"], arguments].concat()).output().unwrap();
        let error = lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error.contains(said) && !error.contains('\u{1b}'), "{error}");
        let empty = if arguments == ["--", ""] { "[]\n" } else { "" };
        assert_eq!(lossy(&output.stdout), empty, "{arguments:?}");
    }
    let both = MODEL.predict(&["--input", "other.csv", "a text"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn without_a_text_there_is_an_empty_answer() {
    for (format, expected) in [("json", "[]\n"), ("jsonl", ""), ("table", "")] {
        let output = MODEL.answer(&["--format", format], b"");
        assert_eq!((output.status.code(), lossy(&output.stdout).as_str()), (Some(0), expected));
    }
}

#[test]
fn the_model_is_read_once_for_all_windows() {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(MODEL.path("model")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let model = Exported::read(copy.path()).unwrap();
    let mut session = Session::open(Device::Cpu { slot: 0, threads: 1 }).unwrap();
    let texts = [text(1), text(2)];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let first = session.predict(&model, &texts).unwrap();
    fs::remove_file(copy.path().join("model.safetensors")).unwrap();
    assert_eq!(session.predict(&model, &texts).unwrap(), first);
    let mut other = Session::open(Device::Cpu { slot: 0, threads: 1 }).unwrap();
    assert!(other.predict(&model, &texts).is_err());
}
