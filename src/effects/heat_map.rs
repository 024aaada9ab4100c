//! The mean figure in each cell of two grid settings.

use serde::Serialize;

use super::{
    observed::Observed,
    sample::{Axis, level},
};
use crate::{numbers::count, settings::Value};

/// Most values of a setting that has cells of its own.
const CELLS_MAX: usize = 24;

/// The cells of two settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeatMap {
    /// The setting whose values are the rows.
    pub row_setting: String,
    /// Its values, in order.
    pub rows: Vec<Value>,
    /// The setting whose values are the columns.
    pub column_setting: String,
    /// Its values, in order.
    pub columns: Vec<Value>,
    /// A row of cells for each value of the row setting.
    pub cells: Vec<Vec<Cell>>,
}

/// The trials of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// How many there are.
    pub trials: usize,
    /// Their mean figure, over all values of the other settings; `None` without a trial.
    pub mean: Option<f64>,
}

impl HeatMap {
    /// The cells of the two first settings of `order` that are lists of at most 24 values.
    pub(super) fn of(observed: &Observed, order: &[usize]) -> Option<Self> {
        let is_list = |&&at: &&usize| match observed.settings[at].axis {
            Axis::Numbers => false,
            Axis::Levels { count, .. } => count <= CELLS_MAX,
        };
        let mut lists = order.iter().filter(is_list);
        let (first, second) = (*lists.next()?, *lists.next()?);
        // In the order of the spec, so that the picture stays as it is while trials end.
        let (row, column) = (first.min(second), first.max(second));
        let [rows, columns] = [row, column].map(|at| &observed.settings[at]);
        let mut cells = vec![vec![Cell::default(); columns.levels.len()]; rows.levels.len()];
        for trial in &observed.trials {
            let place = |at: usize| level(observed.settings[at].place(&trial.values[at]));
            let cell = &mut cells[place(row)][place(column)];
            cell.mean = Some(cell.mean.unwrap_or(0.0) + trial.figure);
            cell.trials += 1;
        }
        for cell in cells.iter_mut().flatten() {
            cell.mean = cell.mean.map(|sum| sum / count(cell.trials));
        }
        Some(Self {
            row_setting: rows.name.clone(),
            rows: rows.levels.clone(),
            column_setting: columns.name.clone(),
            columns: columns.levels.clone(),
            cells,
        })
    }
}
