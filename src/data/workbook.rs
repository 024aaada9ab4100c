//! Rows of an Excel workbook: those of its first sheet, under a header.
//!
//! Cells are read one after another, so that a sheet with a cell in its last corner takes no more memory
//! than its texts.

use std::{
    io::{self, BufReader, Read as _},
    path::Path,
};

use calamine::{DataRef, Reader as _, SheetType, Xlsx, XlsxError};
use zip::ZipArchive;

use super::{
    cells::{Cells, Columns, Table},
    error::{TableError, Unreadable},
    header::Places,
    open::UNPACKED_BYTES_MAX,
    row_fault::{RowFault, RowPlace},
};
use crate::system::{files::named, machine};

/// What a damaged file is called.
const WHAT: &str = "Excel workbook";

/// Reads the first sheet of the workbook at `path`.
pub(super) fn table(path: &Path, columns: &Columns) -> Result<Table<'static>, TableError> {
    check(path)?;
    let open = || named::open(path).map(BufReader::new).map_err(TableError::start);
    let mut workbook = Xlsx::new(open()?).map_err(damaged)?;
    let is_sheet = |sheet: &&calamine::Sheet| sheet.typ == SheetType::WorkSheet;
    let mut sheets = workbook.sheets_metadata().iter().filter(is_sheet).map(|sheet| sheet.name.clone());
    let sheet = sheets.next().ok_or(TableError::NoHeader)?;
    let others: Vec<String> = sheets.map(|name| format!("`{name}`")).collect();
    let also = if others.is_empty() { String::new() } else { format!("; not read: {}", others.join(", ")) };
    let taken = vec![format!("is read as an Excel workbook, from its sheet `{sheet}`{also}")];
    let mut reader = workbook.worksheet_cells_reader(&sheet).map_err(damaged)?;
    let mut found: Option<Places> = None;
    let (mut rows, mut row, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        let cell = reader.next_cell().map_err(damaged)?;
        let position = cell.as_ref().map(calamine::Cell::get_position);
        if position.is_none_or(|(next, _)| next != number) {
            let row = std::mem::take(&mut row);
            match found {
                None => found = places(&row, columns)?,
                Some(places) => rows.extend(cells(row, places, number)),
            }
        }
        let (Some(cell), Some((next, column))) = (cell, position) else { break };
        number = next;
        row.push((column as usize, value(cell.get_value())));
    }
    found.ok_or(TableError::NoHeader)?;
    Ok(Table { rows: Box::new(rows.into_iter()), taken, shape: None })
}

/// The value of a cell, with whether it is a number.
fn value(value: &DataRef<'_>) -> (String, bool) {
    match value {
        DataRef::Int(int) => (int.to_string(), true),
        // Excel knows no whole numbers: 1 is 1.0. Adding 0 makes 0 of -0.
        DataRef::Float(float) => ((float + 0.0).to_string(), true),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            (text.clone(), false)
        }
        DataRef::SharedString(text) => ((*text).to_owned(), false),
        DataRef::Bool(truth) => (truth.to_string(), false),
        DataRef::DateTime(date) => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            let time = if (hour, minute, second) == (0, 0, 0) {
                String::new()
            } else {
                format!(" {hour:02}:{minute:02}:{second:02}")
            };
            (format!("{year:04}-{month:02}-{day:02}{time}"), false)
        }
        DataRef::Error(error) => (format!("{error}"), false),
        DataRef::Empty => (String::new(), false),
    }
}

/// The places of the columns, if `row` is the header: the first row with a value.
fn places(row: &[(usize, (String, bool))], columns: &Columns) -> Result<Option<Places>, TableError> {
    if row.iter().all(|(_, (text, _))| text.trim().is_empty()) {
        return Ok(None);
    }
    let width = row.iter().map(|(column, _)| column + 1).max().unwrap_or(0);
    let mut header = vec![String::new(); width];
    for (column, (name, _)) in row {
        header[*column].clone_from(name);
    }
    Places::find(&header, columns).map(Some)
}

/// The cells of a row; `None` if the row is empty. `number` counts from 0, as the file does.
fn cells(
    row: Vec<(usize, (String, bool))>,
    places: Places,
    number: u32,
) -> Option<Result<Cells, TableError>> {
    if row.iter().all(|(_, (text, _))| text.trim().is_empty()) {
        return None;
    }
    let at = RowPlace::Row(u64::from(number) + 1);
    let (mut text, mut label, mut group) = (String::new(), (String::new(), false), String::new());
    for (column, value) in row {
        if Some(column) == places.group {
            group.clone_from(&value.0);
        }
        if column == places.text {
            text = value.0;
        } else if Some(column) == places.label {
            label = value;
        }
    }
    let (label, is_number) = label;
    let is_error =
        |text: &str| matches!(text, "#N/A" | "#REF!" | "#NAME?" | "#VALUE!" | "#DIV/0!" | "#NUM!" | "#NULL!");
    let cells = if is_error(&text) || is_error(&label) {
        Err(RowFault::Formula)
    } else {
        let label = places.label.map(|_| label.as_str());
        Cells::new(at, text, label).map(|cells| Cells { is_number, ..cells }.of_group(&group))
    };
    Some(cells.map_err(|fault| TableError::at(at, fault)))
}

/// Refuses an archive that is no workbook, or that unpacks to more than the bound.
fn check(path: &Path) -> Result<(), TableError> {
    let file = named::open(path).map_err(TableError::start)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged_archive)?;
    if archive.index_for_name("xl/workbook.xml").is_none() {
        let is_binary = archive.index_for_name("xl/workbook.bin").is_some();
        let (what, help) = if is_binary {
            (
                "is a binary Excel workbook (.xlsb), which is not read here",
                "save it as .xlsx or as \"CSV UTF-8\"",
            )
        } else {
            ("is a zip archive and no Excel workbook", "unpack it, and name the file that was in it")
        };
        return Err(TableError::Unreadable(Unreadable { what: what.to_owned(), help: help.to_owned() }));
    }
    // The library reads the workbook whole, which takes about as much again as its parts.
    let memory = machine::memory_available().map_or(u64::MAX, |bytes| bytes / 2);
    let bound = memory.min(UNPACKED_BYTES_MAX);
    let mut left = bound;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(damaged_archive)?;
        // What an archive says of its parts' sizes may be wrong.
        let unpacked =
            io::copy(&mut part.take(left + 1), &mut io::sink()).map_err(|error| damage(error.into()))?;
        left = left.checked_sub(unpacked).ok_or_else(|| too_large(bound))?;
    }
    Ok(())
}

/// The error for a workbook that unpacks to more than `bound` bytes.
fn too_large(bound: u64) -> TableError {
    TableError::Unreadable(Unreadable {
        what: format!("is an Excel workbook that unpacks to more than {} MB", bound / 1_000_000),
        help: "save the table as \"CSV UTF-8\", which is read a row at a time".to_owned(),
    })
}

fn damaged(error: XlsxError) -> TableError {
    damage(error.into())
}

fn damaged_archive(error: zip::result::ZipError) -> TableError {
    damage(error.into())
}

fn damage(source: Box<dyn std::error::Error + Send + Sync>) -> TableError {
    TableError::Damaged { what: WHAT, source }
}
