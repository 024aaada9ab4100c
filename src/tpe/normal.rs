//! The normal distribution between two bounds: logarithms of its mass, and its quantiles.
//!
//! Φ is the distribution function of the standard normal distribution. Far from the middle, Φ is too small for an `f64`
//! long before its logarithm is, so logarithms are what is computed with. The cases are those of `scipy.stats.truncnorm`,
//! which Optuna 5.0 has too.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln √(2π).
pub(super) const LOG_SQRT_2_PI: f64 = 0.918_938_533_204_672_8;

/// Φ(x).
fn phi(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// ln Φ(x).
pub(super) fn log_phi(x: f64) -> f64 {
    if x > 0.0 {
        // Φ rounds to 1 long before its logarithm rounds to 0.
        libm::log1p(-phi(-x))
    } else if x > -20.0 {
        libm::log(phi(x))
    } else {
        // Φ(x) = φ(x) / −x · (1 − 1/x² + 1·3/x⁴ − …) (Abramowitz and Stegun 26.2.12); nine terms reach the precision
        // of an f64 at −20 already.
        let inverse_square = 1.0 / (x * x);
        let factors = [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0];
        let series = factors.iter().rev().fold(1.0, |rest, factor| 1.0 - factor * inverse_square * rest);
        -0.5 * x * x - libm::log(-x) - LOG_SQRT_2_PI + libm::log(series)
    }
}

/// ln(Φ(b) − Φ(a)), for a ≤ b.
pub(super) fn log_mass(a: f64, b: f64) -> f64 {
    // In the right tail, differences of Φ cancel: by symmetry, it is computed in the left one.
    if b <= 0.0 {
        log_difference(log_phi(b), log_phi(a))
    } else if a > 0.0 {
        log_difference(log_phi(-a), log_phi(-b))
    } else {
        libm::log1p(-phi(a) - phi(-b))
    }
}

/// ln(Φ(x + h / 2) − Φ(x − h / 2)).
pub(super) fn log_mass_around(x: f64, h: f64) -> f64 {
    if h > 0.25 || h * x.abs() > 0.5 {
        return log_mass(x - 0.5 * h, x + 0.5 * h);
    }
    // The Taylor series of the integral, h φ(x) · Σ h²ᵏ He₂ₖ(x) / (4ᵏ (2k + 1)!) with Hermite polynomials He, up to
    // k = 3; the next term is below 1e-10. No error function, and nothing cancels however narrow h is.
    let (squared, step) = (x * x, h * h);
    let sixth = ((squared - 15.0) * squared + 45.0) * squared - 15.0;
    let fourth = (squared - 6.0) * squared + 3.0;
    let series = step * ((squared - 1.0) / 24.0 + step * (fourth / 1_920.0 + step * sixth / 322_560.0));
    libm::log(h) - 0.5 * squared - LOG_SQRT_2_PI + libm::log1p(series)
}

/// ln(eᵖ − e^q), for q ≤ p.
fn log_difference(p: f64, q: f64) -> f64 {
    p + libm::log1p(-libm::exp(q - p))
}

/// ln(eᵖ + e^q).
fn log_sum(p: f64, q: f64) -> f64 {
    let (high, low) = if p > q { (p, q) } else { (q, p) };
    if low == f64::NEG_INFINITY { high } else { high + libm::log1p(libm::exp(low - high)) }
}

/// The `share`-quantile of the standard normal distribution between `a` and `b`, for a < b: the x of
/// Φ(x) = Φ(a) + share · (Φ(b) − Φ(a)).
pub(super) fn quantile(share: f64, a: f64, b: f64) -> f64 {
    if a >= 0.0 {
        return -quantile(1.0 - share, -b, -a);
    }
    let x = if share <= 0.0 {
        a
    } else if share >= 1.0 {
        b
    } else {
        inverse_log_phi(log_sum(log_phi(a), libm::log(share) + log_mass(a, b)))
    };
    x.clamp(a, b)
}

/// The x of ln Φ(x) = `y`, by Newton's method; ln Φ is concave, so it converges from the left.
fn inverse_log_phi(y: f64) -> f64 {
    // Near 0, ln Φ is flat: 1 − Φ(x) = Φ(−x) is not.
    if y > -1e-2 {
        return -newton(libm::log(-libm::expm1(y)));
    }
    newton(y)
}

/// The x of ln Φ(x) = `y`, for a `y` that is not near 0.
fn newton(y: f64) -> f64 {
    let mut x = if y < -5.0 {
        // ln Φ(x) = −x² / 2 − ln √(2π), but for a logarithm of x.
        -(-2.0 * (y + LOG_SQRT_2_PI)).sqrt()
    } else {
        // Φ is nearly a logistic curve of the same variance.
        -3.0_f64.sqrt() / PI * libm::log(libm::expm1(-y))
    };
    for _ in 0..100 {
        let log_phi = log_phi(x);
        let log_density = -0.5 * x * x - LOG_SQRT_2_PI;
        let step = (log_phi - y) * libm::exp(log_phi - log_density);
        x -= step;
        if step.abs() < 1e-8 * x.abs() {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_of_the_distribution_are_those_of_scipy() {
        // scipy.special.log_ndtr
        let expected = [
            (-40.0, -804.608_442_013_753_9),
            (-20.5, -214.066_728_963_263_87),
            (-19.5, -194.016_965_777_497_52),
            (-1.0, -1.841_021_645_009_263_4),
            (0.0, -std::f64::consts::LN_2),
            (2.0, -0.023_012_909_328_963_493),
            (7.0, -1.279_812_543_886_654e-12),
        ];
        for (x, log) in expected {
            let found = log_phi(x);
            assert!((found - log).abs() <= 1e-13 * log.abs(), "at {x}: {found}");
        }
    }

    #[test]
    fn the_series_of_a_narrow_mass_is_the_difference() {
        for h in [0.25, 0.1, 0.02] {
            for x in [0.0, 0.7, -1.9, 2.0, 4.9, -24.0] {
                let (series, difference) = (log_mass_around(x, h), log_mass(x - 0.5 * h, x + 0.5 * h));
                assert!((series - difference).abs() < 1e-9, "{series} and {difference} at {x}, {h}");
            }
        }
    }

    #[test]
    fn a_quantile_has_its_share_below_it() {
        for (a, b) in [(-1.0, 2.0), (-0.01, 0.02), (-9.0, -7.0), (3.0, 30.0), (-50.0, 0.5), (0.0, 1.0)] {
            let mut last = a;
            for share in [0.0, 0.001, 0.3, 0.5, 0.77, 0.999] {
                let x = quantile(share, a, b);
                assert!((last..=b).contains(&x), "{x} of {share} between {a} and {b}");
                last = x;
                let below = if x > a { libm::exp(log_mass(a, x) - log_mass(a, b)) } else { 0.0 };
                assert!((below - share).abs() < 1e-7, "{below} instead of {share} between {a} and {b}");
            }
        }
    }
}
