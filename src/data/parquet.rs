//! Rows of a Parquet file. A program that was built without the feature `parquet` says how to build it.

#[cfg(not(feature = "parquet"))]
pub(super) use without_feature::table;

#[cfg(not(feature = "parquet"))]
mod without_feature {
    use std::path::Path;

    use crate::data::{
        cells::{Columns, Table},
        error::{TableError, Unreadable},
    };

    /// Says how to build a program that reads the file.
    pub(in crate::data) fn table(_: &Path, _: &Columns) -> Result<Table<'static>, TableError> {
        Err(TableError::Unreadable(Unreadable {
            what: "is a Parquet file, which this program was built without".to_owned(),
            help: "build it with: cargo build --release --features parquet; or write the table as CSV, in Python: \
                   pandas.read_parquet(\"data.parquet\").to_csv(\"data.csv\", index=False)"
                .to_owned(),
        }))
    }
}

#[cfg(feature = "parquet")]
pub(super) use with_feature::table;

#[cfg(feature = "parquet")]
mod with_feature {
    use std::{path::Path, sync::Arc};

    use parquet::{
        errors::ParquetError,
        file::reader::{FileReader as _, SerializedFileReader},
        record::{Field, Row},
        schema::types::Type,
    };

    use crate::{
        data::{
            cells::{Cells, Columns, GROUP_KEY, LABEL_KEY, TEXT_KEY, Table},
            error::TableError,
            header::Places,
            row_fault::{RowFault, RowPlace},
        },
        system::files::named,
    };

    /// Reads the columns of the file at `path`.
    pub(in crate::data) fn table(path: &Path, columns: &Columns) -> Result<Table<'static>, TableError> {
        let file = named::open(path).map_err(TableError::start)?;
        let reader = SerializedFileReader::new(file).map_err(damaged)?;
        let schema = reader.metadata().file_metadata().schema();
        let header: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let Places { text, label, group } = Places::find(&header, columns)?;
        let mut wanted: Vec<usize> = label.into_iter().chain([text]).chain(group).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let fields = wanted.iter().filter_map(|at| schema.get_fields().get(*at)).map(Arc::clone).collect();
        let projection =
            Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(damaged)?;
        let rows = reader.into_iter().project(Some(projection)).map_err(damaged)?;
        let columns = columns.clone();
        let rows = (1..).zip(rows).map(move |(number, row)| {
            let at = RowPlace::Row(number);
            cells(row.map_err(damaged)?, at, &columns).map_err(|fault| TableError::at(at, fault))
        });
        let taken = vec!["is read as a Parquet file".to_owned()];
        Ok(Table { rows: Box::new(rows), taken, shape: None })
    }

    /// The cells of a row.
    fn cells(row: Row, at: RowPlace, columns: &Columns) -> Result<Cells, RowFault> {
        let (mut text, mut label, mut group) = (None, None, None);
        for (name, field) in row.into_columns() {
            if Some(name.trim()) == columns.group.as_deref() {
                group = Some(field.clone());
            }
            if name.trim() == columns.text {
                text = Some(field);
            } else if Some(name.trim()) == columns.label.as_deref() {
                label = Some(field);
            }
        }
        let text = match text.unwrap_or(Field::Null) {
            Field::Str(text) => text,
            Field::Bytes(bytes) => bytes
                .as_utf8()
                .map_err(|_| RowFault::NotText {
                    key: TEXT_KEY,
                    column: columns.text.clone(),
                    found: "bytes that are not UTF-8",
                })?
                .to_owned(),
            other => {
                let (column, found) = (columns.text.clone(), kind(&other));
                return Err(RowFault::NotText { key: TEXT_KEY, column, found });
            }
        };
        let Some(column) = &columns.label else { return Cells::new(at, text, None) };
        let label = label.unwrap_or(Field::Null);
        match value(&label) {
            Some((label, is_number)) => {
                let cells = Cells { is_number, ..Cells::new(at, text, Some(&label))? };
                cells_of_group(cells, columns, &group.unwrap_or(Field::Null))
            }
            None => Err(RowFault::NotLabel { key: LABEL_KEY, column: column.clone(), found: kind(&label) }),
        }
    }

    /// `cells` in the group that the field names.
    fn cells_of_group(cells: Cells, columns: &Columns, group: &Field) -> Result<Cells, RowFault> {
        match (&columns.group, group) {
            (None, _) | (_, Field::Null) => Ok(cells),
            (Some(column), field) => {
                let (column, found) = (column.clone(), kind(field));
                let fault = RowFault::NotLabel { key: GROUP_KEY, column, found };
                value(field).map(|(group, _)| cells.of_group(&group)).ok_or(fault)
            }
        }
    }

    /// A label as text, with whether it is a number; `None` if it is no label.
    fn value(field: &Field) -> Option<(String, bool)> {
        Some(match field {
            Field::Str(text) => (text.clone(), false),
            Field::Bytes(bytes) => (bytes.as_utf8().ok()?.to_owned(), false),
            // The sum makes 0 of -0.
            Field::Float16(float) => ((float.to_f32() + 0.0).to_string(), true),
            Field::Float(float) => ((float + 0.0).to_string(), true),
            Field::Double(float) => ((float + 0.0).to_string(), true),
            Field::Null | Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => return None,
            other => (other.to_string(), is_number(other)),
        })
    }

    const fn is_number(field: &Field) -> bool {
        matches!(
            field,
            Field::Byte(_)
                | Field::Short(_)
                | Field::Int(_)
                | Field::Long(_)
                | Field::UByte(_)
                | Field::UShort(_)
                | Field::UInt(_)
                | Field::ULong(_)
                | Field::Float16(_)
                | Field::Float(_)
                | Field::Double(_)
                | Field::Decimal(_)
        )
    }

    /// The kind of a value, for messages.
    const fn kind(field: &Field) -> &'static str {
        match field {
            Field::Null => "null",
            Field::Bool(_) => "a truth value",
            Field::Str(_) => "a text",
            Field::Bytes(_) => "bytes",
            Field::Group(_) | Field::MapInternal(_) => "an object",
            Field::ListInternal(_) => "a list",
            number if is_number(number) => "a number",
            _ => "a time",
        }
    }

    fn damaged(error: ParquetError) -> TableError {
        TableError::Damaged { what: "Parquet file", source: error.into() }
    }
}
