//! Whole numbers as `f64`, for ratios, means and figures that people read.
//!
//! An `f64` has 53 bits of precision: every whole number up to 2^53 in magnitude is exact, and a larger
//! one is rounded to the nearest `f64`, which is off by at most one part in 2^53. Counts of documents,
//! tokens, steps and trials are far below 2^53; bytes and settings may be above it, and are only shown.

/// The count `n`; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no count in memory reaches")]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

/// The count `n`; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, else rounded to the nearest f64")]
pub(crate) const fn count_u64(n: u64) -> f64 {
    n as f64
}

/// The whole number `n`; exact up to 2^53 in magnitude.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, else rounded to the nearest f64")]
pub(crate) const fn whole(n: i64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_up_to_2_to_53_is_exact() {
        assert_eq!(count_u64((1 << 53) - 1), 9_007_199_254_740_991.0);
        assert_eq!(count_u64(1 << 53), 9_007_199_254_740_992.0);
    }

    #[test]
    fn a_count_above_2_to_53_is_rounded() {
        assert_eq!(count_u64((1 << 53) + 1), count_u64(1 << 53));
    }
}
