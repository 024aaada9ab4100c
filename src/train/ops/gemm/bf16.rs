//! Products of factors that are rounded to bf16, with f32 sums, by AVX-512's dot products of pairs.
//!
//! The product of `a`, `[rows, depth]`, and `b`, `[depth, columns]`, has sums over `depth` steps. Both
//! factors are rounded and laid out as panels, so that the innermost loop reads memory in order; a tile
//! of the result stays in registers until its sums are done (Goto and van de Geijn 2008, "Anatomy of
//! high-performance matrix multiplication"). A panel holds [`ROWS`] rows of `a`, or [`COLUMNS`] columns
//! of `b`, step by step. `VDPBF16PS` adds the products of two steps of a sum at once and takes denormals
//! for zeros (Intel SDM, volume 2), so panels hold pairs of steps. A sum is over the same steps in the
//! same order whatever the number of threads, and wherever in a matrix its row and its column stand: a
//! row of a batch does not depend on the rows beside it.

use std::{
    arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_setzero_ps},
    mem::{transmute, transmute_copy},
    ops::Range,
};

use half::bf16;
use rayon::prelude::*;

use super::view::View;

const LANES: usize = 16;
/// Rows and columns of a tile of the result. Its sums take 12 · 2 = 24 of the 32 registers; the others hold a row of
/// `b` and a value of `a`.
const ROWS: usize = 12;
const COLUMNS: usize = VECTORS * LANES;
const VECTORS: usize = 2;
/// Panels of the left factor that are multiplied with a panel of the right one before the next of the right one, and
/// panels of the right one that a thread rounds at a time.
const BLOCK: usize = 8;
/// Steps of the sums that are made before the next steps of all sums. Panels of this depth stay in the second-level
/// cache.
const DEPTH: usize = 2048;
/// Pairs of steps of a line that are rounded at a time.
const BAND: usize = 128;

/// Two steps of `LINES` rows of the left factor, or of `LINES` columns of the right one. The lower half of a number is
/// the first step in bf16, the upper half the second.
#[derive(Clone, Copy)]
struct StepPair<const LINES: usize>([u32; LINES]);

/// A factor by its lines: the rows of the left factor, or the columns of the right one.
#[derive(Clone, Copy)]
struct FactorLines<'a> {
    values: &'a [f32],
    count: usize,
    depth: usize,
    /// Whether the values of a line are neighbours in memory. Otherwise the values of a step are.
    is_along: bool,
}

/// Whether this processor has the instructions.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// Returns `a · b`, row-major. None of the three sizes is 0.
///
/// # Panics
/// When the processor lacks the instructions.
#[expect(unsafe_code, reason = "not every processor has the instructions")]
pub(super) fn product(a: View<'_>, b: View<'_>, is_shared: bool) -> Vec<f32> {
    assert!(is_supported(), "the caller checks the processor");
    let mut result = vec![0.0; a.rows * b.columns];
    // SAFETY: the processor has the instructions.
    unsafe { multiply(a, b, &mut result, is_shared) };
    result
}

impl<'a> FactorLines<'a> {
    fn rows(View { values, rows, columns, strides }: View<'a>) -> Self {
        Self { values, count: rows, depth: columns, is_along: strides[1] == 1 }
    }

    fn columns(view: View<'a>) -> Self {
        Self::rows(view.transposed())
    }
}

/// Adds `a · b` to `result`, which is zero at first.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn multiply(a: View<'_>, b: View<'_>, result: &mut [f32], is_shared: bool) {
    let (rows, columns, width) = (FactorLines::rows(a), FactorLines::columns(b), b.columns);
    let mut block = ROWS * BLOCK;
    if is_shared {
        let panels = a.rows.div_ceil(ROWS);
        block = block.min(panels.div_ceil(rayon::current_num_threads()) * ROWS);
    }
    for start in (0..a.columns).step_by(DEPTH) {
        let steps = start..a.columns.min(start + DEPTH);
        let pairs = steps.len().div_ceil(2);
        let mut right = vec![StepPair([0; COLUMNS]); width.div_ceil(COLUMNS) * pairs];
        let pack_right = |(index, panels): (usize, &mut [StepPair<COLUMNS>])| {
            let first = index * COLUMNS * BLOCK;
            pack(columns, first..width.min(first + COLUMNS * BLOCK), steps.clone(), panels);
        };
        if is_shared {
            right.par_chunks_mut(BLOCK * pairs).enumerate().for_each(pack_right);
        } else {
            right.chunks_mut(BLOCK * pairs).enumerate().for_each(pack_right);
        }
        let run = |left: &mut Vec<StepPair<ROWS>>, (index, result): (usize, &mut [f32])| {
            let first = index * block;
            let which = first..a.rows.min(first + block);
            left.resize(which.len().div_ceil(ROWS) * pairs, StepPair([0; ROWS]));
            pack(rows, which, steps.clone(), left);
            let sums = if start > 0 { Sums::Add } else { Sums::Set };
            tiles(Panels { left, right: &right, pairs }, result, width, sums);
        };
        if is_shared {
            result.par_chunks_mut(block * width).enumerate().for_each_init(Vec::new, run);
        } else {
            let mut left = Vec::new();
            result.chunks_mut(block * width).enumerate().for_each(|part| run(&mut left, part));
        }
    }
}

/// Panels of both factors, each of `pairs` pairs of steps.
#[derive(Clone, Copy)]
struct Panels<'a> {
    left: &'a [StepPair<ROWS>],
    right: &'a [StepPair<COLUMNS>],
    pairs: usize,
}

/// What becomes of the values that a result has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sums {
    /// The sums replace them.
    Set,
    /// The sums are added to them.
    Add,
}

/// Computes the tiles of some rows of the result, which are `width` values long.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn tiles(Panels { left, right, pairs }: Panels<'_>, result: &mut [f32], width: usize, then: Sums) {
    let adds = then == Sums::Add;
    for (right, column) in right.chunks_exact(pairs).zip((0..).step_by(COLUMNS)) {
        for (left, rows) in left.chunks_exact(pairs).zip(result.chunks_mut(ROWS * width)) {
            for (row, sums) in rows.chunks_exact_mut(width).zip(sums(left, right)) {
                let (row, sums) = (&mut row[column..], floats(sums));
                // Whole tiles have arms of their own, and stand first: then their sums never leave the registers.
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

/// Computes the sums of one tile over all pairs of steps of its two panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn sums(left: &[StepPair<ROWS>], right: &[StepPair<COLUMNS>]) -> [[__m512; VECTORS]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for (StepPair(left), StepPair(right)) in left.iter().zip(right) {
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
    const { assert!(FROM == TO * LANES, "arrays and vectors have the same number of bits") };
    // SAFETY: both have the same number of bits, and every bit pattern is a valid vector.
    unsafe { transmute_copy(&pairs) }
}

#[expect(unsafe_code, reason = "arrays from vectors")]
#[inline(always)]
fn floats(vectors: [__m512; VECTORS]) -> [f32; COLUMNS] {
    // SAFETY: both have the same number of bits, and every bit pattern is a valid float.
    unsafe { transmute(vectors) }
}

/// Rounds the steps `steps` of the lines `which` and lays them out, panel by panel. Where the last panel has more lines
/// than there are, their values mean nothing: the sums of such lines are dropped.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pack<const LINES: usize>(
    lines: FactorLines<'_>,
    which: Range<usize>,
    steps: Range<usize>,
    panels: &mut [StepPair<LINES>],
) {
    let FactorLines { values, depth, is_along, .. } = lines;
    let pairs = steps.len().div_ceil(2);
    if !is_along {
        pack_across(lines, which, steps, panels);
        return;
    }
    let mut band = [[0; BAND]; LINES];
    for (panel, first) in panels.chunks_exact_mut(pairs).zip(which.clone().step_by(LINES)) {
        for (part, from) in panel.chunks_mut(BAND).zip(steps.clone().step_by(2 * BAND)) {
            for (line, packed) in (first..which.end).zip(&mut band) {
                let values = &values[line * depth..][from..steps.end.min(from + 2 * BAND)];
                let (whole, rest) = values.as_chunks::<2>();
                packed.iter_mut().zip(whole).for_each(|(packed, [low, high])| *packed = joined(*low, *high));
                if let [low] = rest {
                    packed[whole.len()] = joined(*low, 0.0);
                }
            }
            for (pair, StepPair(lines)) in part.iter_mut().enumerate() {
                lines.iter_mut().zip(&band).for_each(|(value, packed)| *value = packed[pair]);
            }
        }
    }
}

/// As [`pack`], for a factor in which the values of a step are neighbours in memory.
// Step by step: line by line, each value would be read from another part of memory.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pack_across<const LINES: usize>(
    lines: FactorLines<'_>,
    which: Range<usize>,
    steps: Range<usize>,
    panels: &mut [StepPair<LINES>],
) {
    let FactorLines { values, count, .. } = lines;
    let pairs = steps.len().div_ceil(2);
    let mut packed = vec![0; which.len().next_multiple_of(LINES)];
    let zeros = vec![0.0; which.len()];
    for (pair, first) in steps.clone().step_by(2).enumerate() {
        let row = |step: usize| &values[step * count..][which.clone()];
        let second = if first + 1 < steps.end { row(first + 1) } else { &zeros };
        for ((packed, &low), &high) in packed.iter_mut().zip(row(first)).zip(second) {
            *packed = joined(low, high);
        }
        let (whole, _) = packed.as_chunks::<LINES>();
        for (panel, lines) in panels.chunks_exact_mut(pairs).zip(whole) {
            panel[pair].0 = *lines;
        }
    }
}

/// Rounds two steps to bf16, and joins them into one number.
#[inline(always)]
fn joined(low: f32, high: f32) -> u32 {
    u32::from(bf16::from_f32(low).to_bits()) | u32::from(bf16::from_f32(high).to_bits()) << 16
}
