//! Files as people write them.

use std::fmt::Write as _;

use super::*;
use crate::{
    data::{
        row_fault::RowPlace,
        spec::{Shares, Source},
    },
    samples,
};

/// More than any file here needs.
const MEMORY: u64 = 1 << 20;

/// What a file holds, with the texts of its rows.
fn reading_within(
    name: &str,
    content: &[u8],
    encoding: Option<&str>,
    memory: u64,
) -> (FileReading, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let mut spec = samples::data_spec(Source::Single { path: path.clone(), split: Shares::default() });
    spec.encoding = encoding.map(ToOwned::to_owned);
    let file = DataFile { path, key: "data.path" };
    let reading = read(&file, &spec, memory);
    let table = open(&file, &spec, reading.quotes);
    let texts = table.map(|table| table.rows.filter_map(|cells| Some(cells.ok()?.text)).collect());
    (reading, texts.unwrap_or_default())
}

fn reading_of(name: &str, content: &[u8]) -> FileReading {
    reading_within(name, content, None, MEMORY).0
}

/// The text of a file's first row, and how its rows are written.
fn first_text(name: &str, content: &[u8]) -> (String, Shape) {
    let (reading, texts) = reading_within(name, content, None, MEMORY);
    (texts[0].clone(), reading.shape.unwrap())
}

/// The names of the columns, and each row's text and label.
type Rows = (Vec<String>, Vec<(String, String)>);

/// The texts and labels of a file, and how it is read.
fn rows_within(name: &str, content: &[u8], encoding: Option<&str>) -> Result<Rows, DataError> {
    let (mut reading, texts) = reading_within(name, content, encoding, MEMORY);
    if !reading.faults.is_empty() {
        return Err(reading.faults.remove(0));
    }
    let label = |row: &Row| reading.labels[row.label as usize].text.clone();
    Ok((reading.taken.clone(), texts.into_iter().zip(reading.rows.iter().map(label)).collect()))
}

fn rows_of(name: &str, content: &[u8]) -> Result<Vec<(String, String)>, DataError> {
    rows_within(name, content, None).map(|(_, rows)| rows)
}

fn line_of_fault(name: &str, content: &str) -> u64 {
    match rows_of(name, content.as_bytes()) {
        Err(DataError::Row { at: RowPlace::Line(line), .. }) => line,
        other => panic!("no fault of a row: {other:?}"),
    }
}

fn pairs(name: &str, content: &str) -> Vec<(String, String)> {
    rows_of(name, content.as_bytes()).unwrap()
}

fn pair(text: &str, label: &str) -> (String, String) {
    (text.to_owned(), label.to_owned())
}

#[test]
fn csv_fields_may_hold_commas_quotes_and_line_breaks() {
    let found = pairs("a.csv", "label,text\r\n1,\"好, \"\"很\"\"好\n真的\"\r\n0,差\r\n");
    assert_eq!(found, [pair("好, \"很\"好\n真的", "1"), pair("差", "0")]);
}

#[test]
fn a_quote_in_a_tsv_is_a_character_like_any_other() {
    let found = pairs("a.tsv", "label\ttext\n1\t\"好\n0\t差\"\"\n");
    assert_eq!(found, [pair("\"好", "1"), pair("差\"\"", "0")]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_column() {
    assert_eq!(pairs("a.csv", "\u{feff}text,label\n好,1\n"), [pair("好", "1")]);
    assert_eq!(pairs("a.jsonl", "\u{feff}{\"text\":\"好\",\"label\":1}\n"), [pair("好", "1")]);
}

#[test]
fn labels_in_json_lines_may_be_numbers() {
    let found = pairs("a.ndjson", "{\"text\":\"好\",\"label\":1}\n{\"text\":\"差\",\"label\":\"0\"}");
    assert_eq!(found, [pair("好", "1"), pair("差", "0")]);
}

#[test]
fn blank_lines_in_json_lines_are_skipped() {
    let found = pairs("a.ndjson", "{\"text\":\"好\",\"label\":1}\n\n{\"text\":\"差\",\"label\":\"0\"}");
    assert_eq!(found, [pair("好", "1"), pair("差", "0")]);
}

#[test]
fn the_line_of_a_fault_counts_line_breaks_in_quotes() {
    assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\nc\n"), 4);
}

#[test]
fn the_line_of_a_fault_counts_blank_lines() {
    assert_eq!(line_of_fault("a.csv", "text,label\n\"a\nb\",1\n\n\nc,\n"), 6);
    assert_eq!(line_of_fault("a.tsv", "text\tlabel\r\na\t1\r\n\r\n \t1\r\n"), 4);
    assert_eq!(line_of_fault("a.jsonl", "{\"text\":\"a\",\"label\":1}\n\n[1]\n"), 3);
}

#[test]
fn a_quote_that_is_never_closed_is_found_where_it_opens() {
    assert_eq!(line_of_fault("a.csv", "text,label\na,1\n\"b,0\nc,1\n"), 3);
}

#[test]
fn a_quote_within_a_plain_field_opens_nothing() {
    assert_eq!(pairs("a.csv", "text,label\n5\" disk,1\n"), [pair("5\" disk", "1")]);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_line() {
    let error = rows_of("a.csv", b"text,label\na,1\n\xc4\xe3,0\n").unwrap_err();
    assert!(matches!(error, DataError::NotUtf8 { line: 3, byte: 0xc4, .. }), "{error}");
}

/// How the file is read, and its rows.
fn taken(name: &str, content: &[u8]) -> (Vec<String>, Vec<(String, String)>) {
    rows_within(name, content, None).unwrap()
}

#[test]
fn backslashes_before_quotes_are_taken_where_nothing_else_reads_the_file() {
    let (taken, rows) = taken("a.csv", b"text,label\n\"15\\\"\",1\n\"b\",0\n");
    assert_eq!(rows, [pair("15\"", "1"), pair("b", "0")]);
    assert_eq!(taken, ["is read with a backslash before each quote that belongs to a text"]);
}

#[test]
fn text_behind_a_closing_quote_is_a_fault_of_the_line_where_it_opens() {
    assert_eq!(line_of_fault("a.csv", "text,label\na,1\n\"He said \"hello\" to me\",1\n"), 3);
}

#[test]
fn every_line_with_text_behind_a_quote_is_listed() {
    let reading = reading_of("a.csv", b"text,label\na,1\n\"b\" c,1\nd,0\n\"e\"f,0\n");
    let lines: Vec<_> = reading.faults.iter().map(ToString::to_string).collect();
    assert!(
        lines[0].contains("line 3: text follows") && lines[1].contains("line 5: text follows"),
        "{lines:?}"
    );
}

#[test]
fn a_parquet_file_is_known_whatever_its_name() {
    let error = rows_of("a.csv", b"PAR1 and so on").unwrap_err();
    if cfg!(feature = "parquet") {
        assert!(matches!(error, DataError::Damaged { what: "Parquet file", .. }));
    } else {
        assert!(
            error.help().contains("--features parquet") && error.help().contains("read_parquet"),
            "{error}"
        );
    }
}

#[cfg(feature = "parquet")]
#[test]
fn the_rows_of_a_parquet_file_are_read() {
    let file = include_bytes!("../../../tests/fixtures/rows.parquet");
    assert_eq!(taken("a.parquet", file).1, [pair("好", "1"), pair("差", "0")]);
}

#[test]
fn line_breaks_in_quotes_are_no_rows() {
    let (text, shape) = first_text("a.csv", b"text,label\n\"a, b\nc, d\",1\n\"e\",0\n");
    assert_eq!(shape.rows_within(&text, |label| label == "1"), 0);
}

#[test]
fn rows_within_quotes_are_counted() {
    let (text, shape) = first_text("a.csv", b"text,label\n\"stray,1\nb,0\nc,1\ntv 5\",0\n");
    assert_eq!(shape.rows_within(&text, |label| "01".contains(label)), 3);
}

#[test]
fn another_separator_is_taken_where_the_header_shows_it() {
    for (name, separator, word) in
        [("a.csv", ';', "semicolons"), ("a.csv", '\t', "tabs"), ("a.tsv", ',', "commas")]
    {
        let text = format!("text{separator}label\n\"a, b\"{separator}1\nc{separator}0\n");
        let (taken, rows) = taken(name, text.as_bytes());
        assert_eq!(rows, [pair("a, b", "1"), pair("c", "0")]);
        assert_eq!(taken, [format!("is read with {word} between columns, as its header has them")]);
    }
}

#[test]
fn texts_in_quotes_of_a_tsv_have_a_note() {
    let (taken, rows) = taken("a.tsv", b"text\tlabel\n\"a \"\"b\"\"\"\t1\n\"c\"\t0\nd\t0\n");
    assert_eq!(rows[1], pair("\"c\"", "0"));
    assert!(taken[0].starts_with("has 2 texts in quotes"), "{taken:?}");
}

#[test]
fn the_line_sep_of_excel_is_obeyed_and_counted() {
    let (taken, rows) = taken("a.csv", b"sep=;\r\ntext;label\r\na, b;1\r\n");
    assert_eq!((taken.len(), rows), (1, vec![pair("a, b", "1")]));
    assert_eq!(line_of_fault("a.csv", "sep=,\ntext,label\na,1\nb\n"), 4);
}

#[test]
fn utf16_is_read_with_and_without_a_mark() {
    let unit = |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    for text in ["text,label\n好,1\n", "\u{feff}text,label\n好,1\n"] {
        for to in [u16::to_le_bytes, u16::to_be_bytes] {
            let (taken, rows) = taken("a.csv", &unit(text, to));
            assert_eq!((taken.len(), rows), (1, vec![pair("好", "1")]));
        }
    }
}

#[test]
fn an_encoding_is_proposed_with_the_line_as_it_would_be_read() {
    let (bytes, ..) =
        encoding_rs::GBK.encode("text,label\n酒店的服务很好房间也很干净,1\n早餐不好吃网络太慢,0\n");
    let help = rows_of("a.csv", &bytes).unwrap_err().help();
    assert!(help.contains("酒店的服务很好") && help.contains("encoding = \"gb18030\""), "{help}");
}

#[test]
fn an_encoding_that_is_named_is_read() {
    let (bytes, ..) = encoding_rs::BIG5.encode("text,label\n服務很好,1\n");
    assert_eq!(rows_within("a.csv", &bytes, Some("big5")).unwrap().1, [pair("服務很好", "1")]);
}

#[test]
fn rows_beyond_the_memory_are_a_fault() {
    let text = "text,label\na,1\nb,0\nc,1\n";
    let (reading, _) = reading_within("a.csv", text.as_bytes(), None, 2 * ROW_BYTES);
    assert!(matches!(reading.faults[..], [DataError::Memory { rows: 2, .. }]), "{:?}", reading.faults);
    assert!(reading_within("a.csv", text.as_bytes(), None, 3 * ROW_BYTES).0.faults.is_empty());
}

#[test]
fn a_label_of_its_own_for_each_of_many_rows_ends_the_reading() {
    let rows: Vec<String> = (0..=LABELS_MAX).map(|row| format!("a,{row}\n")).collect();
    let text = format!("text,label\n{}b,\n", rows.concat());
    let (reading, _) = reading_within("a.csv", text.as_bytes(), None, u64::MAX);
    assert!(matches!(reading.faults[..], [DataError::TooManyClasses { classes: LABELS_MAX, .. }]));
}

#[test]
fn a_nul_character_is_a_fault() {
    assert_eq!(line_of_fault("a.csv", "text,label\na good text,1\nb\0c,0\n"), 3);
}

#[test]
fn several_rows_with_faults_are_listed_and_the_others_counted() {
    let other = (2..=11).map(|commas| "b".to_owned() + &",".repeat(commas) + "\n").collect::<String>();
    let text = "text,label\na,1\n".to_owned() + &"b,\n".repeat(20) + &other;
    let reading = reading_of("a.csv", text.as_bytes());
    assert_eq!(reading.faults.len(), FAULTS_SHOWN + 1);
    assert!(matches!(reading.faults[EQUAL_FAULTS_SHOWN], DataError::Row { at: RowPlace::Line(23), .. }));
    assert!(matches!(reading.faults.last(), Some(DataError::MoreRows { rows: 22, .. })));
}

#[test]
fn a_column_without_any_value_is_one_fault() {
    let reading = reading_of("a.csv", b"text,label\n,1\n,0\n");
    assert!(matches!(reading.faults[..], [DataError::EmptyColumn { key: "data.text", .. }]));
}

#[test]
fn both_missing_columns_are_reported_with_those_that_were_probably_meant() {
    let reading = reading_of("a.csv", b"id,review_text,sentiment\n1,a,x\n");
    let help: Vec<String> = reading.faults.iter().map(DataError::help).collect();
    assert_eq!(help, ["did you mean `text = \"review_text\"`?", "did you mean `label = \"sentiment\"`?"]);
}

#[test]
fn a_list_of_objects_is_read_from_json() {
    assert_eq!(pairs("a.json", "[{\"text\":\"好\",\"label\":true}]"), [pair("好", "true")]);
    assert_eq!(pairs("a.json", "{\"text\":\"好\",\"label\":1}\n"), [pair("好", "1")]);
}

#[test]
fn what_is_no_label_is_named() {
    for (label, what) in [("null", "not null"), ("[\"0\"]", "not a list"), ("{}", "not an object")] {
        let error =
            rows_of("a.jsonl", format!("{{\"text\":\"a\",\"label\":{label}}}\n").as_bytes()).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, content).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_packed_file_is_read_whatever_its_name() {
    for name in ["a.csv.gz", "a.csv"] {
        assert_eq!(taken(name, &gzip(b"text,label\na,1\n")).1, [pair("a", "1")]);
    }
}

#[test]
fn a_packed_file_that_was_cut_is_a_fault() {
    let packed = gzip("text,label\n好,1\n".repeat(99).as_bytes());
    let error = rows_of("a.csv.gz", &packed[..packed.len() - 5]).unwrap_err();
    assert!(error.help().contains("damaged"), "{error}: {}", error.help());
}

/// A workbook of sheets that hold these rows of XML.
fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &str| {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, content.as_bytes()).unwrap();
    };
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    add(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{office}/officeDocument\" \
             Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    let (mut names, mut links) = (String::new(), String::new());
    for (index, (name, rows)) in (1..).zip(sheets) {
        let _ = write!(names, "<sheet name=\"{name}\" sheetId=\"{index}\" r:id=\"r{index}\"/>");
        let _ = write!(
            links,
            "<Relationship Id=\"r{index}\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet{index}.xml\"/>"
        );
        let sheet = format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>");
        add(&format!("xl/worksheets/sheet{index}.xml"), &sheet);
    }
    let book = format!("<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{names}</sheets></workbook>");
    add("xl/workbook.xml", &book);
    let links = format!("<Relationships xmlns=\"{package}\">{links}</Relationships>");
    add("xl/_rels/workbook.xml.rels", &links);
    archive.finish().unwrap().into_inner()
}

/// A row of a sheet: texts, and numbers where a cell begins with `=`.
fn sheet_row(number: usize, cells: &[&str]) -> String {
    let cell = |(column, cell): (char, &&str)| match cell.strip_prefix('=') {
        Some(value) => format!("<c r=\"{column}{number}\"><v>{value}</v></c>"),
        None => format!("<c r=\"{column}{number}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>"),
    };
    let cells: String = ('A'..).zip(cells).map(cell).collect();
    format!("<row r=\"{number}\">{cells}</row>")
}

#[test]
fn the_first_sheet_of_a_workbook_is_read_whatever_the_name_of_the_file() {
    let rows =
        [sheet_row(1, &["label", "text"]), sheet_row(2, &["=1", "好"]), sheet_row(4, &["=0", "差"])].concat();
    let book = workbook(&[("one", &rows), ("two", "")]);
    for name in ["a.xlsx", "a.csv"] {
        let (taken, rows) = taken(name, &book);
        assert_eq!(rows, [pair("好", "1"), pair("差", "0")]);
        assert_eq!(taken, ["is read as an Excel workbook, from its sheet `one`; not read: `two`"]);
    }
}

#[test]
fn a_fault_in_a_workbook_names_its_row() {
    let rows =
        [sheet_row(1, &["label", "text"]), sheet_row(2, &["=1", "好"]), sheet_row(5, &["=0", ""])].concat();
    let error = rows_of("a.xlsx", &workbook(&[("one", &rows)])).unwrap_err();
    assert!(error.to_string().ends_with("row 5: the text is empty"), "{error}");
}

#[test]
fn a_workbook_that_was_cut_is_damaged() {
    let book = workbook(&[("one", &sheet_row(1, &["label", "text"]))]);
    assert!(matches!(rows_of("a.xlsx", &book[..book.len() / 2]), Err(DataError::Damaged { .. })));
}

#[test]
fn a_zip_archive_is_no_workbook() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("a.csv", zip::write::SimpleFileOptions::default()).unwrap();
    let error = rows_of("a.zip", &archive.finish().unwrap().into_inner()).unwrap_err();
    assert!(error.to_string().contains("zip archive"), "{error}");
}

#[test]
fn texts_of_a_tsv_whose_quote_stays_open_are_noted() {
    let taken = reading_of("a.tsv", "text\tlabel\n\"cut\t1\nhere\"\t0\nwhole\t1\n".as_bytes()).taken;
    assert!(
        taken.iter().any(|note| note.contains("1 texts that begin with a quote and do not end")),
        "{taken:?}"
    );
}

#[test]
fn a_whole_text_in_quotes_is_not_noted_as_cut() {
    let taken = reading_of("a.tsv", "text\tlabel\n\"whole\"\t1\nother\t0\n".as_bytes()).taken;
    assert!(!taken.iter().any(|note| note.contains("do not end")), "{taken:?}");
}
