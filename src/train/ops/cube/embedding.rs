//! Rows that are read from a table, and their gradient.
//!
//! Several tables may stand one after another, each of which is read by as many tokens as the others.

use std::collections::BTreeMap;

use burn_cubecl::{CubeRuntime, ops::numeric::zeros, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, elements, empty, flat, matrix, units, word},
    packing::upload,
};
use crate::train::ops::inputs::NO_ROW;

/// A unit has one element of the result.
#[cube(launch)]
fn read_kernel(
    table: &Array<f32>,
    ids: &Array<i32>,
    output: &mut Array<f32>,
    width: u32,
    own_tokens: u32,
    own_entries: u32,
) {
    let index = ABSOLUTE_POS;
    if index < output.len() {
        let (token, column) = (index as u32 / width, index as u32 % width);
        let id = ids[token as usize];
        let mut value = f32::new(0.0);
        if id >= 0i32 {
            let row = token / own_tokens * own_entries + u32::cast_from(id);
            value = table[(row * width + column) as usize];
        }
        output[index] = value;
    }
}

/// The rows `ids`, `[tokens]`, of `tables` tables.
pub(super) fn read<R: CubeRuntime>(table: CubeTensor<R>, ids: CubeTensor<R>, tables: usize) -> CubeTensor<R> {
    let ([entries, width], tokens) = (matrix(&table), ids.meta.num_elements());
    let output = empty(&table, [tokens, width]);
    let [table, ids] = [table, ids].map(|input| flat(input).into_array_arg());
    read_kernel::launch(
        &output.client,
        elements(tokens * width),
        units(),
        table,
        ids,
        output.clone().into_array_arg(),
        word(width),
        word(tokens / tables),
        word(entries / tables),
    );
    output
}

/// A cube has one row of the table, and adds up the gradients of the tokens that read it.
#[cube(launch)]
fn rows_kernel(
    gradient: &Array<f32>,
    readers: &Array<u32>,
    table: &mut Array<f32>,
    rows: u32,
    width: u32,
    #[comptime] units: u32,
) {
    let place = CUBE_POS as u32;
    if place < rows {
        let row = readers[place as usize];
        let first = readers[(rows + place) as usize];
        let end = readers[(rows + place + 1u32) as usize];
        // The tokens stand behind the rows and the first places.
        let tokens = 2u32 * rows + 1u32;
        let mut column = UNIT_POS;
        while column < width {
            let mut sum = f32::new(0.0);
            let mut index = first;
            while index < end {
                sum += gradient[(readers[(tokens + index) as usize] * width + column) as usize];
                index += 1u32;
            }
            table[(row * width + column) as usize] = sum;
            column += units;
        }
    }
}

/// The gradient by `tables` tables of this shape together, of which the rows `ids` were read, from the one by these rows,
/// `[tokens, width]`.
// A row that several tokens read is added up by one cube, in the order of the tokens: no atomic additions, so that the
// result is the same in each run.
pub(super) fn rows_gradient<R: CubeRuntime>(
    gradient: &CubeTensor<R>,
    ids: &[u32],
    [entries, width]: [usize; 2],
    tables: usize,
) -> CubeTensor<R> {
    let (own_tokens, own_entries) = ((ids.len() / tables).max(1), entries / tables);
    let mut readers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (token, &id) in ids.iter().enumerate().filter(|(_, id)| **id != NO_ROW) {
        let row = word(token / own_tokens * own_entries) + id;
        readers.entry(row).or_default().push(word(token));
    }
    let table = zeros(gradient.device.clone(), [entries, width].into(), gradient.dtype);
    let rows = readers.len();
    // One upload: the rows, where the tokens of each begin and the last ones end, and the tokens.
    let mut all: Vec<u32> = readers.keys().copied().collect();
    let mut first = 0;
    all.push(first);
    all.extend(readers.values().map(|tokens| {
        first += word(tokens.len());
        first
    }));
    all.extend(readers.into_values().flatten());
    let table = flat(table);
    rows_kernel::launch(
        &table.client,
        cubes(rows),
        units(),
        flat(gradient.clone()).into_array_arg(),
        upload(gradient, &all).into_array_arg(),
        table.clone().into_array_arg(),
        word(rows),
        word(width),
        UNITS,
    );
    table
}
