//! Products of both precisions against the definition, each other, and whatever stands beside a row.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use MatmulPrecision::{Bf16, F32};

fn with_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn a_product_is_that_of_the_definition_whichever_side_is_transposed() {
    for (rows, depth, columns) in
        [(1, 1, 1), (1, 7, 5), (6, 3, 1), (33, 40, 17), (25, 300, 70), (200, 2100, 300), (97, 4101, 290)]
    {
        let values = |count: usize, step: usize| -> Vec<f32> {
            (0..count).map(|index| f32::from(u8::try_from(index * step % 13).unwrap_or(0)) - 6.0).collect()
        };
        let (a, b) = (values(rows * depth, 5), values(depth * columns, 7));
        let transpose = |values: &[f32], columns: usize| -> Vec<f32> {
            let rows = values.len() / columns;
            (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
        };
        let expected: Vec<f32> = (0..rows * columns)
            .map(|place| {
                let (row, column) = (place / columns, place % columns);
                (0..depth).map(|step| a[row * depth + step] * b[step * columns + column]).sum()
            })
            .collect();
        let (a_transposed, b_transposed) = (transpose(&a, depth), transpose(&b, columns));
        let plain = View::new(&a, depth);
        let other = View::new(&b, columns);
        // Small whole numbers are what they are in bf16, and so are their sums in f32.
        for (precision, threads) in [(F32, 1), (Bf16, 1), (Bf16, 2), (Bf16, 7)] {
            let of = |a, b| with_threads(threads, || product(a, b, precision));
            assert!(of(plain, other) == expected, "{precision:?} {threads}");
            assert!(
                of(View::new(&a_transposed, rows).transposed(), other) == expected,
                "{precision:?} {threads}"
            );
            assert!(
                of(plain, View::new(&b_transposed, depth).transposed()) == expected,
                "{precision:?} {threads}"
            );
        }
    }
}

#[test]
fn a_product_without_steps_is_zero() {
    let none = View { values: &[], rows: 2, columns: 0, strides: [0, 1] };
    for precision in [F32, Bf16] {
        assert_eq!(product(none, none.transposed(), precision), [0.0; 4]);
    }
}

#[test]
fn a_product_without_rows_is_empty() {
    for precision in [F32, Bf16] {
        assert!(product(View::new(&[], 3), View::new(&[1.0; 6], 2), precision).is_empty());
    }
}

/// Numbers of both signs that bf16 cannot hold.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| draws.random_range(-2.0..2.0)).collect()
}

#[test]
fn a_product_of_bf16_is_that_of_the_rounded_factors() {
    let (rows, depth, columns) = (50, 2100, 45);
    let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
    let of = |a: &[f32], b: &[f32], precision| product(View::new(a, depth), View::new(b, columns), precision);
    let (found, expected) = (of(&a, &b, Bf16), of(&rounded(&a), &rounded(&b), F32));
    assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-3));
    let differs = |other: &[f32]| found.iter().zip(other).any(|(a, b)| (a - b).abs() > 1e-2);
    assert!(differs(&of(&a, &b, F32)), "nothing was rounded");
}

#[test]
fn a_row_of_a_product_of_bf16_depends_on_nothing_beside_it() {
    let (rows, depth, columns) = (301, 2200, 150);
    let (a, b) = (numbers(rows * depth, 3), numbers(depth * columns, 4));
    let b = View::new(&b, columns);
    let whole = with_threads(1, || product(View::new(&a, depth), b, Bf16));
    for threads in [2, 7, 26] {
        assert!(with_threads(threads, || product(View::new(&a, depth), b, Bf16)) == whole, "{threads}");
    }
    if !has_bf16() {
        return; // The other way makes single rows by themselves.
    }
    for row in [0, 7, 299, 300] {
        let alone = product(View::new(&a[row * depth..][..depth], depth), b, Bf16);
        assert_eq!(alone, whole[row * columns..][..columns]);
    }
}

#[test]
fn what_is_not_a_number_stays_so_in_bf16() {
    let a = [1.0, f32::NAN, f32::INFINITY, 2.0];
    let found = product(View::new(&a, 2), View::new(&[1.0, 0.0, 0.0, 1.0], 2), Bf16);
    assert!(found[0].is_nan() && found[1].is_nan() && !found[2].is_finite());
}
