//! From the `[data]` section of a spec to the documents that trials are trained on.
//!
//! The same spec and files give the same documents in the same order on every machine.

mod dataset;
mod duplicates;
mod error;
mod load;
mod records;
pub mod reviews;
mod spec;
mod split;
pub(crate) mod table;

pub use dataset::{Dataset, Document, Leaks};
pub use error::{DataError, DataFile, MissingColumn, RowFault, TableError};
pub use load::{examine, load};
pub use spec::{DataSpec, Duplicates, Limit, Shares, Source, SplitName};
pub use table::TableFormat;
