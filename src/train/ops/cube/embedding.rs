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
    rows: &Array<u32>,
    firsts: &Array<u32>,
    tokens: &Array<u32>,
    table: &mut Array<f32>,
    width: u32,
    #[comptime] units: u32,
) {
    let place = CUBE_POS;
    if place < rows.len() {
        let first = firsts[place];
        let end = firsts[place + 1];
        let row = rows[place];
        let mut column = UNIT_POS;
        while column < width {
            let mut sum = f32::new(0.0);
            let mut index = first;
            while index < end {
                sum += gradient[(tokens[index as usize] * width + column) as usize];
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
    gradient: CubeTensor<R>,
    ids: &[u32],
    [entries, width]: [usize; 2],
) -> CubeTensor<R> {
    let mut readers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (token, &id) in ids.iter().enumerate() {
        readers.entry(id).or_default().push(word(token));
    }
    let table = zeros(gradient.device.clone(), [entries, width].into(), gradient.dtype);
    let rows: Vec<u32> = readers.keys().copied().collect();
    let mut firsts = vec![0];
    let mut tokens = Vec::with_capacity(ids.len());
    for list in readers.into_values() {
        tokens.extend(list);
        firsts.push(word(tokens.len()));
    }
    let table = flat(table);
    let [rows_arg, firsts, tokens] =
        [&rows, &firsts, &tokens].map(|values| upload(&gradient, values).into_array_arg());
    rows_kernel::launch(
        &table.client,
        cubes(rows.len()),
        units(),
        flat(gradient).into_array_arg(),
        rows_arg,
        firsts,
        tokens,
        table.clone().into_array_arg(),
        word(width),
        UNITS,
    );
    table
}
