//! How figures are shown to people, in tables, pictures and pages.

pub use crate::display::{cell, columns, html, json, markdown, plain, shorten};
use crate::settings::Value;

/// Mark behind the F1 of a trial that is not distinguishable from the leader.
pub const TIE_MARK: &str = "≈";
/// Mark behind the verdict of a trial that comes last because of it.
pub const UNFIT_MARK: &str = "†";
/// Mark in place of a figure that does not exist.
pub const NOTHING: &str = "–";

/// A share or a score in 0 to 1 with three digits: `.912`, `1.000`; [`NOTHING`] unless finite.
#[must_use]
pub fn share(figure: f64) -> String {
    if !figure.is_finite() || figure.abs() >= 1e3 {
        // Not a share of anything. Without an exponent, a huge number would have up to 300 digits.
        return number(figure);
    }
    let text = format!("{figure:.3}");
    match text.strip_prefix("0.") {
        Some(digits) => format!(".{digits}"),
        None => text,
    }
}

/// An interval of shares: `[.893, .928]`.
#[must_use]
pub fn interval(low: f64, high: f64) -> String {
    format!("[{}, {}]", share(low), share(high))
}

/// A number with at most four significant digits, in its shortest form: `3e-5`, `0.1234`, `12.5`;
/// [`NOTHING`] unless finite.
#[must_use]
pub fn number(figure: f64) -> String {
    if !figure.is_finite() {
        return NOTHING.to_owned();
    }
    // Rounded through decimal digits, so that 0.1 + 0.2 is shown as 0.3 instead of 0.30000000000000004.
    let rounded = format!("{figure:.3e}").parse().ok().filter(|rounded: &f64| rounded.is_finite());
    Value::Float(rounded.unwrap_or(figure)).to_string()
}

/// A setting's value for a table: decimal numbers as [`number`] writes them, texts as [`plain`] does.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Int(int) => int.to_string(),
        Value::Float(float) => number(*float),
        Value::Text(text) => plain(text),
    }
}

/// A duration: `8.4 s`, `3 min 07 s`, `2 h 05 min`; [`NOTHING`] unless finite and not negative.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NOTHING.to_owned();
    }
    // From 59.95 on, one decimal would round to "60.0 s".
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; `as` saturates")]
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_three_digits_and_no_leading_zero() {
        assert_eq!(share(0.912_49), ".912");
        assert_eq!(share(1.0), "1.000");
        assert_eq!(share(0.0), ".000");
        assert_eq!(share(f64::NAN), NOTHING);
        assert_eq!(share(1e300), "1e300");
        assert_eq!(interval(0.893, 0.928), "[.893, .928]");
    }

    #[test]
    fn numbers_have_four_digits_and_no_rounding_noise() {
        assert_eq!(number(0.1 + 0.2), "0.3");
        assert_eq!(number(3e-5), "3e-5");
        assert_eq!(number(123_456.0), "123500");
        assert_eq!(number(f64::INFINITY), NOTHING);
        assert!(number(f64::MAX).starts_with("1.797"), "{}", number(f64::MAX));
    }

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(8.44), "8.4 s");
        assert_eq!(duration(59.96), "1 min 00 s");
        assert_eq!(duration(7_512.0), "2 h 05 min");
        assert_eq!(duration(f64::NAN), NOTHING);
    }
}
