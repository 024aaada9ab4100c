//! The gradient of rows that were read from a table.

use std::collections::BTreeMap;

use burn_cubecl::{CubeRuntime, ops::numeric::zeros, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{
    launch::{UNITS, cubes, flat, units, word},
    packing::upload,
};

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

/// The gradient by a table of this shape, of which the rows `ids` were read, from the one by these rows,
/// `[tokens, width]`.
// A row that several tokens read is added up by one cube, in the order of the tokens: no atomic additions, so that the
// result is the same in each run.
pub(super) fn rows_gradient<R: CubeRuntime>(
    gradient: &CubeTensor<R>,
    ids: &[u32],
    [entries, width]: [usize; 2],
) -> CubeTensor<R> {
    let mut readers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (token, &id) in ids.iter().enumerate() {
        readers.entry(id).or_default().push(word(token));
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
