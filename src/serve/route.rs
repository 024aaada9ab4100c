//! What an address means.

use super::library::Picture;
use crate::trial::TrialId;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A page: the list, or that of a sweep.
    Page(Subject),
    /// The address of a sweep's page without the stroke at its end, from which no link of the page leads on.
    Folder(String),
    /// The events of a page.
    Events(Subject),
    /// A picture of a trial.
    Picture(String, TrialId, Picture),
    /// Nothing.
    Nothing,
}

/// What a page is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The list of the sweeps.
    Index,
    /// The sweep of this name, which need not exist.
    Sweep(String),
}

/// What the path of an address asks for.
pub(super) fn route(path: &str) -> Route {
    let parts: Option<Vec<String>> = path.split('/').map(decoded).collect();
    let Some(parts) = parts else { return Route::Nothing };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["", ""] => Route::Page(Subject::Index),
        ["", "events"] => Route::Events(Subject::Index),
        ["", "sweeps", name] => Route::Folder(name.to_owned()),
        ["", "sweeps", name, ""] => Route::Page(Subject::Sweep(name.to_owned())),
        ["", "sweeps", name, "events"] => Route::Events(Subject::Sweep(name.to_owned())),
        ["", "sweeps", name, "trials", trial, picture] => picture_of(name, trial, picture),
        _ => Route::Nothing,
    }
}

fn picture_of(name: &str, trial: &str, picture: &str) -> Route {
    let picture = match picture {
        "curve.png" => Picture::Curve,
        "confusion.png" => Picture::Confusion,
        _ => return Route::Nothing,
    };
    let is_number = !trial.is_empty() && trial.bytes().all(|byte| byte.is_ascii_digit());
    match trial.parse() {
        Ok(number) if is_number => Route::Picture(name.to_owned(), TrialId(number), picture),
        _ => Route::Nothing,
    }
}

/// The value of `key` in the query of an address.
pub(super) fn value(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(found, _)| *found == key).find_map(|(_, value)| decoded(value))
}

/// A part of an address without its escapes; `None` if it is not UTF-8, or an escape is broken.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let digits = behind.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_events_and_pictures_have_addresses() {
        let sweep = || Subject::Sweep("a b".to_owned());
        assert_eq!(route("/"), Route::Page(Subject::Index));
        assert_eq!(route("/sweeps/a%20b/"), Route::Page(sweep()));
        assert_eq!(route("/sweeps/a%20b"), Route::Folder("a b".to_owned()));
        assert_eq!(route("/sweeps/a%20b/events"), Route::Events(sweep()));
        let picture = Route::Picture("x".to_owned(), TrialId(12), Picture::Curve);
        assert_eq!(route("/sweeps/x/trials/0012/curve.png"), picture);
    }

    #[test]
    fn everything_else_is_nothing() {
        for path in [
            "",
            "//",
            "/sweeps/x/plan.json",
            "/sweeps/x/trials/0001/../../plan.json",
            "/sweeps/x/trials/+1/curve.png",
            "/sweeps/x/trials//curve.png",
            "/sweeps/x/trials/99999999999/curve.png",
            "/sweeps/x/trials/1/predictions.csv",
            "/sweeps/%zz/",
            "/sweeps/%ff/",
            "/sweeps/%2/",
        ] {
            assert_eq!(route(path), Route::Nothing, "{path}");
        }
    }

    #[test]
    fn a_value_of_a_query_is_found_by_its_key() {
        assert_eq!(value(Some("a=1&token=x%2By"), "token").as_deref(), Some("x+y"));
        assert_eq!(value(Some("tokens=1"), "token"), None);
        assert_eq!(value(None, "token"), None);
    }
}
