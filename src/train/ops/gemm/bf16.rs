//! Products of factors that are rounded to bf16, with f32 sums, by AVX-512's dot products of pairs.
//!
//! Both factors are rounded and laid out as panels, so that the innermost loop reads memory in order; a
//! tile of the result stays in registers until its sums are done (Goto and van de Geijn 2008, "Anatomy
//! of high-performance matrix multiplication"). `VDPBF16PS` adds the products of two steps of a sum at
//! once and takes denormals for zeros. A sum is over the same steps in the same order whatever the
//! number of threads, and wherever in a matrix its row and its column stand.

use std::{
    arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_setzero_ps},
    mem::{transmute, transmute_copy},
    ops::Range,
};

use half::bf16;
use rayon::prelude::*;

use super::View;

const LANES: usize = 16;
/// Rows and columns of a tile of the result: 24 of the 32 registers are its sums.
const ROWS: usize = 12;
const COLUMNS: usize = VECTORS * LANES;
const VECTORS: usize = 2;
/// Panels of the left factor that meet a panel of the right one before the next comes, and panels of the
/// right one that a thread rounds at a time.
const BLOCK: usize = 8;
/// Steps of the sums that are made at a time: of so many, panels stay in the second-level cache.
const DEPTH: usize = 2048;
/// Pairs of a line that are rounded at a time.
const BAND: usize = 128;

/// Two steps of `LINES` rows of the left factor, or columns of the right one: the first of the two is
/// the lower half.
#[derive(Clone, Copy)]
struct Pairs<const LINES: usize>([u32; LINES]);

/// A factor by its lines: rows of the left one, columns of the right one.
#[derive(Clone, Copy)]
struct Lines<'a> {
    values: &'a [f32],
    count: usize,
    depth: usize,
    /// Whether a line's values are neighbours; otherwise those of one step are.
    is_along: bool,
}

/// Whether this processor has the instructions.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// `a · b`, row-major, on a processor that has the instructions. No side is 0.
///
/// # Panics
/// When it has not.
#[expect(unsafe_code, reason = "the instructions are not those of every processor")]
pub(super) fn product(a: View<'_>, b: View<'_>, is_shared: bool) -> Vec<f32> {
    assert!(is_supported(), "the caller has asked");
    let mut result = vec![0.0; a.rows * b.columns];
    // SAFETY: the processor has them.
    unsafe { multiply(a, b, &mut result, is_shared) };
    result
}

impl<'a> Lines<'a> {
    fn rows(View { values, rows, columns, strides }: View<'a>) -> Self {
        Self { values, count: rows, depth: columns, is_along: strides[1] == 1 }
    }

    fn columns(view: View<'a>) -> Self {
        Self::rows(view.turned())
    }
}

/// `a · b` into `result`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn multiply(a: View<'_>, b: View<'_>, result: &mut [f32], is_shared: bool) {
    let (rows, columns, width) = (Lines::rows(a), Lines::columns(b), b.columns);
    let mut block = ROWS * BLOCK;
    if is_shared {
        let panels = a.rows.div_ceil(ROWS);
        block = block.min(panels.div_ceil(rayon::current_num_threads()) * ROWS);
    }
    for start in (0..a.columns).step_by(DEPTH) {
        let steps = start..a.columns.min(start + DEPTH);
        let pairs = steps.len().div_ceil(2);
        let mut right = vec![Pairs([0; COLUMNS]); width.div_ceil(COLUMNS) * pairs];
        let pack_right = |(index, panels): (usize, &mut [Pairs<COLUMNS>])| {
            let first = index * COLUMNS * BLOCK;
            pack(columns, first..width.min(first + COLUMNS * BLOCK), steps.clone(), panels);
        };
        if is_shared {
            right.par_chunks_mut(BLOCK * pairs).enumerate().for_each(pack_right);
        } else {
            right.chunks_mut(BLOCK * pairs).enumerate().for_each(pack_right);
        }
        let run = |left: &mut Vec<Pairs<ROWS>>, (index, result): (usize, &mut [f32])| {
            let first = index * block;
            let which = first..a.rows.min(first + block);
            left.resize(which.len().div_ceil(ROWS) * pairs, Pairs([0; ROWS]));
            pack(rows, which, steps.clone(), left);
            tiles(left, &right, pairs, result, (width, start > 0));
        };
        if is_shared {
            result.par_chunks_mut(block * width).enumerate().for_each_init(Vec::new, run);
        } else {
            let mut left = Vec::new();
            result.chunks_mut(block * width).enumerate().for_each(|part| run(&mut left, part));
        }
    }
}

/// The tiles of some rows of the result, `width` apart, which are added to what stands there if `adds`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn tiles(
    left: &[Pairs<ROWS>],
    right: &[Pairs<COLUMNS>],
    pairs: usize,
    result: &mut [f32],
    (width, adds): (usize, bool),
) {
    for (right, column) in right.chunks_exact(pairs).zip((0..).step_by(COLUMNS)) {
        for (left, rows) in left.chunks_exact(pairs).zip(result.chunks_mut(ROWS * width)) {
            for (row, sums) in rows.chunks_exact_mut(width).zip(sums(left, right)) {
                let (row, sums) = (&mut row[column..], floats(sums));
                // Whole tiles first, by themselves: then their sums never leave the registers.
                match row.first_chunk_mut::<COLUMNS>() {
                    Some(row) if adds => row.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum),
                    Some(row) => *row = sums,
                    None if adds => row.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum),
                    None => row.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum),
                }
            }
        }
    }
}

/// The sums of one tile.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn sums(left: &[Pairs<ROWS>], right: &[Pairs<COLUMNS>]) -> [[__m512; VECTORS]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (Pairs(left), Pairs(right)) in left.iter().zip(right) {
        let right: [_; VECTORS] = halves(*right);
        for (sums, &value) in sums.iter_mut().zip(left) {
            let [value] = halves([value; LANES]);
            for (sum, &vector) in sums.iter_mut().zip(&right) {
                *sum = _mm512_dpbf16_ps(*sum, value, vector);
            }
        }
    }
    sums
}

#[expect(unsafe_code, reason = "vectors from arrays")]
#[inline(always)]
fn halves<const FROM: usize, const TO: usize>(pairs: [u32; FROM]) -> [__m512bh; TO] {
    const { assert!(FROM == TO * LANES, "as many bits") };
    // SAFETY: as many bits, and any will do.
    unsafe { transmute_copy(&pairs) }
}

#[expect(unsafe_code, reason = "arrays from vectors")]
#[inline(always)]
fn floats(vectors: [__m512; VECTORS]) -> [f32; COLUMNS] {
    // SAFETY: as many bits, and any will do.
    unsafe { transmute(vectors) }
}

/// Rounds some steps of some lines and lays them out, panel by panel; lines that a last panel lacks are
/// whatever they are.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pack<const LINES: usize>(
    lines: Lines<'_>,
    which: Range<usize>,
    steps: Range<usize>,
    panels: &mut [Pairs<LINES>],
) {
    let Lines { values, count, depth, is_along } = lines;
    let pairs = steps.len().div_ceil(2);
    if !is_along {
        // Line by line would read a few values of one row, then of the next, far away.
        let mut mixed = vec![0; which.len().next_multiple_of(LINES)];
        let nothing = vec![0.0; which.len()];
        for (pair, first) in steps.clone().step_by(2).enumerate() {
            let row = |step: usize| &values[step * count..][which.clone()];
            let second = if first + 1 < steps.end { row(first + 1) } else { &nothing };
            for ((mixed, &low), &high) in mixed.iter_mut().zip(row(first)).zip(second) {
                *mixed = joined(low, high);
            }
            let (whole, _) = mixed.as_chunks::<LINES>();
            for (panel, lines) in panels.chunks_exact_mut(pairs).zip(whole) {
                panel[pair].0 = *lines;
            }
        }
        return;
    }
    let mut band = [[0; BAND]; LINES];
    for (panel, first) in panels.chunks_exact_mut(pairs).zip(which.clone().step_by(LINES)) {
        for (part, from) in panel.chunks_mut(BAND).zip(steps.clone().step_by(2 * BAND)) {
            for (line, mixed) in (first..which.end).zip(&mut band) {
                let values = &values[line * depth..][from..steps.end.min(from + 2 * BAND)];
                let (whole, rest) = values.as_chunks::<2>();
                mixed.iter_mut().zip(whole).for_each(|(mixed, [low, high])| *mixed = joined(*low, *high));
                if let [low] = rest {
                    mixed[whole.len()] = joined(*low, 0.0);
                }
            }
            for (pair, Pairs(lines)) in part.iter_mut().enumerate() {
                lines.iter_mut().zip(&band).for_each(|(value, mixed)| *value = mixed[pair]);
            }
        }
    }
}

#[inline(always)]
fn joined(low: f32, high: f32) -> u32 {
    u32::from(bf16::from_f32(low).to_bits()) | u32::from(bf16::from_f32(high).to_bits()) << 16
}
