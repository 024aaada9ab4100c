//! From the `[data]` section of a spec to the documents that trials are trained on.
//!
//! The same spec and files give the same documents in the same order on every machine.

mod alike_index;
mod candidates;
mod cells;
mod conflicts;
mod dataset;
mod delimited;
mod dialect;
mod digest;
mod duplicates;
pub(crate) mod encoding;
mod error;
mod gate;
mod grouping;
mod header;
mod help;
mod json;
mod labels;
mod leak_report;
mod load;
mod minhash;
mod near;
mod ngrams;
mod normal_form;
mod open;
mod parquet;
mod punctuation;
mod read;
mod records;
pub mod reviews;
mod row;
mod row_fault;
mod row_set;
mod second_reading;
mod spec;
mod split;
pub(crate) mod table;
mod test_texts;
mod texts;
mod traces;
mod workbook;

pub(crate) use cells::TEXT_BYTES_MAX;
pub use dataset::{Dataset, Document, Leaks};
pub(crate) use dialect::Dialects;
pub(crate) use digest::DocumentsDigest;
pub use error::{DataError, DataFile, EncodingGuess, MissingColumn, TableError, Unreadable};
pub use leak_report::{AlikeDocuments, Conflicts, Fate, LeakReport, Likeness, NearEmpty, RowOf, RowPair};
pub use load::{examine, load};
pub use row_fault::{RowFault, RowPlace};
pub use row_set::RowSet;
pub use spec::{Alike, DataSpec, Duplicates, Limit, Shares, Source, SplitName};
pub use table::TableFormat;
pub use test_texts::{NoTexts, TestTexts, bytes};
pub(crate) use texts::{TextWindows, texts};
