//! CSV that spreadsheets and programs read alike.

use super::figures;

/// Records as CSV, the headings among them. A text is written as [`figures::cell`] does: no cell is a formula.
#[must_use]
pub fn to_csv(records: &[Vec<String>]) -> String {
    let cells = |record: &Vec<String>| record.iter().map(|cell| figures::cell(cell)).collect();
    let records: Vec<Vec<String>> = records.iter().map(cells).collect();
    // A spreadsheet that separates cells otherwise would cut a cell there, unless it is in quotes.
    let is_ambiguous = records.iter().flatten().any(|cell| cell.contains([';', '\t']));
    let quotes = if is_ambiguous { csv::QuoteStyle::NonNumeric } else { csv::QuoteStyle::Necessary };
    let mut writer = csv::WriterBuilder::new().quote_style(quotes).from_writer(Vec::new());
    for record in records {
        if let Err(error) = writer.write_record(record) {
            unreachable!("writing to memory, each record with as many fields as the first: {error}");
        }
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
