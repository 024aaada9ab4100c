//! Files that mean harm, against the real program: a clear refusal, in bounded memory, and
//! nothing that speaks to the terminal.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::common::{checkpoint, place::Place, program::Written, repository};

/// Kilobytes of address space that the program gets.
const MEMORY: u32 = 1_500_000;

/// A folder with the spec `s.toml`.
pub(crate) fn place(spec: &str) -> Place {
    Place::new("s", spec)
}

/// A place with a copy of the committed results.
fn with_results() -> Place {
    let place = place("");
    for name in ["plan.json", "events.jsonl", "sweep.toml"] {
        let sample = fs::read(repository().join("results/sample").join(name)).unwrap();
        place.write(format!("results/sample/{name}"), sample);
    }
    place
}

/// What the program did in bounded memory; nothing that it wrote speaks to the terminal.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

pub(crate) fn run(place: &Place, arguments: &[&str]) -> Answer {
    let program = place.command(arguments);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh"]);
    limited.arg(program.get_program()).args(program.get_args());
    let written = Written::by(limited.current_dir(place.path("")).stdin(Stdio::null()));
    let text = written.stderr + &written.stdout;
    let speaks = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!text.contains(speaks), "{arguments:?}: {text:?}");
    assert!(text.len() < 20_000, "{arguments:?} wrote {} bytes", text.len());
    Answer { code: written.code, text }
}

pub(crate) fn dry_run(place: &Place) -> Answer {
    run(place, &["run", "s.toml", "--dry-run"])
}

impl Answer {
    /// Expects this exit code, and these words somewhere.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        assert!(self.text.contains(words), "no {words:?} in: {}", self.text);
    }
}

pub(crate) fn spec(name: &str, checkpoint: &str) -> String {
    format!(
        "name = \"{name}\"\n[data]\npath = \"builtin:reviews\"\n\
         split = {{ train = 0.7, validation = 0.15, test = 0.15 }}\n[model]\ncheckpoint = \"{checkpoint}\"\n"
    )
}

fn with_data(file: &str, content: &[u8]) -> Place {
    let place = place(&spec("data", "builtin:mini").replace("builtin:reviews", file));
    place.write(file, content);
    place
}

fn csv(last: &str) -> Vec<u8> {
    let rows: Vec<String> = (0..40).map(|row| format!("text number {row},{}\n", row % 2)).collect();
    format!("text,label\n{}{last}", rows.concat()).into_bytes()
}

#[test]
fn names_that_lead_elsewhere_or_do_not_end_are_refused() {
    for name in ["../x", "/etc/x", ".", "a\\u001b[31mb", "a\\u0000b", &"x".repeat(500_000)] {
        dry_run(&place(&spec(name, "builtin:mini"))).refused(2, "the name ");
    }
}

#[test]
fn specs_without_end_or_bottom_are_refused() {
    let good = spec("deep", "builtin:mini");
    dry_run(&place(&("# x\n".repeat(300_000) + &good))).refused(2, "longer than 1048576 bytes");
    for text in [
        "a = ".to_owned() + &"[".repeat(10_000),
        "a = ".to_owned() + &"{ a = ".repeat(10_000),
        "a.".repeat(100_000) + "a = 1",
        "}\n".repeat(500_000),
        (0..60_000).map(|key| format!("k{key} = 1\n")).collect::<Vec<_>>().concat(),
    ] {
        assert_eq!(dry_run(&place(&format!("{text}\n{good}"))).code, Some(2));
    }
    let dots = "a.".repeat(30_000) + "a=1";
    run(&place(&good), &["run", "s.toml", "--dry-run", "--set", &dots]).refused(2, "too many dots");
}

#[test]
fn tables_of_every_bad_kind_are_refused() {
    let columns: Vec<String> = (0..200_000).map(|column| format!("c{column}")).collect();
    dry_run(&with_data("d.csv", columns.join(",").as_bytes())).refused(2, "has no column `text`");
    dry_run(&with_data("d.csv", &vec![b'x'; 20_000_000])).refused(2, "longer than 16 MiB");
    dry_run(&with_data("d.csv", &csv(&format!("a,{}\n", "L".repeat(5_000_000))))).refused(2, "the label has");
    dry_run(&with_data("d.csv", &csv("\"never closed,1\n"))).refused(2, "never closed");
    dry_run(&with_data("d.csv", b"te\0xt\x1b[2J,label\na,1\n")).refused(2, "has no column `text`");
    let deep = format!("{{\"text\":\"a\",\"label\":{}}}\n", "[".repeat(10_000));
    dry_run(&with_data("d.jsonl", deep.as_bytes())).refused(2, "recursion limit");
}

#[test]
fn rows_without_an_end_are_refused() {
    dry_run(&with_data("d.csv", &csv(&",".repeat(2_000_000)))).refused(2, "more than 1,048,576 columns");
    let list = format!("[{{\"text\":\"a\",\"label\":1,\"rest\":\"{}\"}}]", "x".repeat(150_000_000));
    dry_run(&with_data("d.json", list.as_bytes())).refused(2, "longer than 64 MiB");
    let deep = format!("[{{\"text\":\"a\",\"label\":{}", "[".repeat(1_000_000));
    dry_run(&with_data("d.json", deep.as_bytes())).refused(2, "recursion limit");
}

#[test]
fn a_workbook_that_unpacks_without_an_end_is_refused() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (part, bytes) in [("xl/workbook.xml", 1), ("xl/a", 1_100_000_000), ("xl/b", 1_100_000_000)] {
        archive.start_file(part, options).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), bytes), &mut archive).unwrap();
    }
    let bomb = archive.finish().unwrap().into_inner();
    dry_run(&with_data("d.xlsx", &bomb)).refused(2, "unpacks to more than");
}

#[test]
fn a_plan_of_a_terabyte_is_refused() {
    let place = with_results();
    let plan = fs::File::options().write(true).open(place.path("results/sample/plan.json")).unwrap();
    plan.set_len(1 << 40).unwrap();
    run(&place, &["status", "sample"]).refused(5, "larger than any such file");
}

#[test]
fn labels_that_speak_to_the_terminal_are_shown_without_that() {
    let hostile = csv("a,\u{1b}]0;x\u{7}\u{202e}\nb,\u{1b}]0;x\u{7}\u{202e}\nc,\u{1b}]0;x\u{7}\u{202e}\n");
    assert_eq!(dry_run(&with_data("d.csv", &hostile)).code, Some(0));
}

/// A spec of a checkpoint whose parameters are these bytes.
fn with_parameters(file: &str, bytes: &[u8]) -> Place {
    let place = place(&spec("weights", "model"));
    place.write("model/config.json", checkpoint::fixture("tiny-bert", "config.json"));
    place.write("model/vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n");
    place.write(format!("model/{file}"), bytes);
    place
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let tensor = |from: u64, to: u64, shape: &str, dtype: &str| json!({ "dtype": dtype, "shape": serde_json::from_str::<Value>(shape).unwrap(), "data_offsets": [from, to] });
    let file = |tensors: Value, data| safetensors(&tensors.to_string(), data);
    let many: serde_json::Map<String, Value> =
        (0..200_000).map(|i| (format!("tensor {i}"), tensor(4 * i, 4 * i + 4, "[1]", "F32"))).collect();
    let half = 1 << 63;
    for bytes in [
        (1_u64 << 63).to_le_bytes().to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
        safetensors(&"[".repeat(10_000), 0),
        file(json!({ "a": tensor(half, half + 8, "[2]", "F32") }), 8),
        file(json!({ "a": tensor(0, 8, "[2]", "F32"), "b": tensor(4, 12, "[2]", "F32") }), 12),
        file(json!({ "a": tensor(8, 0, "[2]", "F32") }), 8),
        file(json!({ "a": tensor(0, 80, "[20]", "F32") }), 8),
        file(json!({ "a": tensor(0, 0, "[4294967296, 4294967296]", "F32") }), 0),
        file(
            json!({
                "a": tensor(0, half, "[9223372036854775808]", "I8"),
                "b": tensor(half, u64::MAX - 8, "[9223372036854775799]", "I8"),
            }),
            8,
        ),
        file(Value::Object(many), 800_000),
    ] {
        dry_run(&with_parameters("model.safetensors", &bytes)).refused(2, "is not a whole safetensors file");
    }
}

/// A zip archive with one stored file, as `torch.save` lays it out.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 4])] {
        archive.start_file(name, stored).unwrap();
        std::io::Write::write_all(&mut archive, bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn pickles_that_would_grow_are_refused() {
    let long = |size: i64| [b"\x8a\x08", &size.to_le_bytes()[..]].concat();
    let tensor = [
        &b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"[..],
        b"X\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0(",
        &long(1 << 20),
        &long(1 << 20),
        b"t(K\0K\0t\x89)tRs.",
    ]
    .concat();
    dry_run(&with_parameters("pytorch_model.bin", &archive(&tensor))).refused(2, "goes beyond its");
    let many = [b"\x80\x02".to_vec(), vec![b'N'; 30_000_000], b".".to_vec()].concat();
    let text = [&b"\x80\x02\x8d"[..], &u64::MAX.to_le_bytes(), b"a."].concat();
    let copies = [
        &b"\x80\x02ctorch._utils\n_rebuild_parameter\nq\x01("[..],
        &vec![b'N'; 100_000],
        b"tq\0",
        &b"h\x01h\0R".repeat(100_000),
        b".",
    ]
    .concat();
    for pickle in [many, text, copies] {
        let ran = dry_run(&with_parameters("pytorch_model.bin", &archive(&pickle)));
        ran.refused(2, "is not a PyTorch file of tensors alone");
    }
}

const READERS: [&str; 4] = ["leaderboard", "status", "report", "export-best"];

#[test]
fn results_that_are_not_what_they_should_be_are_refused() {
    for name in ["plan.json", "events.jsonl"] {
        for harm in 0..4 {
            let place = with_results();
            let path = place.path("results/sample").join(name);
            fs::remove_file(&path).unwrap();
            match harm {
                0 => symlink(name, &path).unwrap(),
                1 => fs::create_dir(&path).unwrap(),
                2 => fs::write(&path, "[".repeat(10_000) + "\n\n").unwrap(),
                _ => fs::write(&path, b"\xff\xfe\0\n{}\n").unwrap(),
            }
            for command in READERS {
                let ran = run(&place, &[command]);
                assert_eq!(ran.code, Some(5), "{name} {harm} {command}: {}", ran.text);
            }
        }
    }
    let place = place(&spec("x", "builtin:mini"));
    place.write("results", b"a file");
    for command in READERS {
        assert_eq!(run(&place, &[command]).code, Some(5));
    }
    assert_eq!(run(&place, &["run", "s.toml"]).code, Some(5));
}

#[test]
fn counts_that_are_no_confusion_are_refused() {
    for counts in ["[[1],[2,3]]", "[[9223372036854775808,9223372036854775808],[1,1]]"] {
        let place = with_results();
        let counts: Value = serde_json::from_str(counts).unwrap();
        let log: String = place
            .text("results/sample/events.jsonl")
            .lines()
            .map(|line| {
                let mut record: Value = serde_json::from_str(line).unwrap();
                if let Some(confusion) = record.pointer_mut("/event/finished/test/confusion") {
                    *confusion = counts.clone();
                }
                record.to_string() + "\n"
            })
            .collect();
        place.write("results/sample/events.jsonl", log);
        for command in READERS {
            run(&place, &[command]).refused(5, ": the confusion ");
        }
    }
}

/// Results whose sweep, settings and labels have names that mean harm.
fn with_hostile_names() -> Place {
    let place = with_results();
    let mut plan = place.json("results/sample/plan.json");
    plan["sweep"] = json!("<b>\u{1b}]0;x\u{7}");
    plan["labels"] = json!(["<script>\u{1b}[31m", "=1+1\n\""]);
    plan["swept"] = json!(["\u{1b}[31m<i>x"]);
    for trial in plan["trials"].as_array_mut().unwrap() {
        trial["params"] = json!({ "\u{1b}[31m<i>x": "=HYPERLINK(\"x\")\n\u{1b}[2J<script>" });
    }
    place.write("results/sample/plan.json", plan.to_string());
    place
}

#[test]
fn names_in_results_never_speak_to_the_terminal() {
    let place = with_hostile_names();
    for command in [&["leaderboard"][..], &["leaderboard", "--format", "markdown"], &["status"], &["report"]]
    {
        assert_eq!(run(&place, command).code, Some(0));
    }
    assert!(!place.text("results/sample/report.html").contains('\u{1b}'));
}

#[test]
fn names_in_results_never_become_markup() {
    let place = with_hostile_names();
    run(&place, &["report"]);
    let page = place.text("results/sample/report.html");
    // The only elements of this kind are the page's own.
    assert_eq!(page.matches("<script").count(), 2, "{page}");
    assert!(!page.contains("<i>") && !page.contains("<b>\u{1b}"), "{page}");
}

#[test]
fn what_a_command_line_names_is_shown_without_what_speaks_to_the_terminal() {
    let place = place(&spec("x", "builtin:mini"));
    let evil = "\u{1b}[31m\u{202e}x";
    for arguments in [
        &["leaderboard", evil][..],
        &["leaderboard", "--results", evil],
        &["run", evil],
        &["run", "s.toml", "--set", evil],
        &["run", "s.toml", "--devices", evil],
        &["run", "s.toml", "--dry-run", "--set", "checkpoint=a/\u{1b}[31mb"],
        &["predict", "--model", evil, "text"],
    ] {
        let ran = run(&place, arguments);
        assert!(matches!(ran.code, Some(2 | 5)), "{arguments:?}: {:?} {}", ran.code, ran.text);
    }
}
