//! Why texts could not be classified.

use std::io;

use crate::{
    data::{RowFault, TableError, table},
    error_chain::chain,
    train::TrainError,
};

/// Why texts could not be classified.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The model failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The rest of the input cannot be read.
    #[error("{input}")]
    Input {
        /// The path of the file, or `standard input`.
        input: String,
        /// The fault of the input.
        source: InputFault,
    },
    /// An argument holds no text.
    #[error("text {number} is empty; give each text in quotes")]
    EmptyText {
        /// The argument's number, from 1.
        number: usize,
    },
    /// The results could not be written.
    #[error("writing the results")]
    Write(#[source] io::Error),
}

/// A fault of an input, where it is, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", chain(fault), help(fault))]
pub struct InputFault {
    fault: TableError,
}

impl From<TableError> for InputFault {
    fn from(fault: TableError) -> Self {
        Self { fault }
    }
}

/// The advice that follows the message of `error`, if there is any.
fn help(error: &TableError) -> String {
    let help = match error {
        TableError::Read { .. } => return String::new(),
        TableError::Unreadable(unreadable) => unreadable.help.clone(),
        TableError::Damaged { .. } => "copy or write the file again".to_owned(),
        TableError::NotUtf8 { byte, .. } => table::not_utf8_help(*byte),
        TableError::NoHeader => "its first line must name the columns".to_owned(),
        TableError::Column { missing, .. } => match (missing.found.as_slice(), &missing.nearest) {
            (_, Some(nearest)) => format!("did you mean --column {nearest:?}?"),
            ([only], None) if only.contains(['\t', ';', ',', '|']) => {
                "its columns seem to be separated otherwise: with --input-format csv by commas, with tsv by tabs"
                    .to_owned()
            }
            _ => "name the column of the texts with --column".to_owned(),
        },
        TableError::RepeatedColumn { .. } => "rename one of them".to_owned(),
        TableError::Row { fault, .. } => match &**fault {
            RowFault::NoKey { nested: Some(nested), .. } => format!("did you mean --column {nested:?}?"),
            RowFault::NoKey { .. } | RowFault::NotText { .. } => {
                "correct this line, or name another key with --column".to_owned()
            }
            _ => fault.help(),
        },
    };
    format!("; {help}")
}
