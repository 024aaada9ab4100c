//! The page that lists the sweeps of a results folder.

use std::fmt::Write as _;

use super::{
    state::PageState,
    words::{isolated, scroll_box},
};
use crate::leaderboard::figures::{self, html as escape};

/// A sweep in the list; every field is a text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedSweep {
    /// Its name.
    pub name: String,
    /// Whether it can be shown.
    pub is_readable: bool,
    /// The other cells of its row, under these headings: state, trials, failed, best trial, validation F1, test F1, time.
    pub cells: Vec<String>,
    /// Why it cannot be read.
    pub damage: Option<String>,
}

/// The headings of the cells.
const HEADINGS: [&str; 8] =
    ["sweep", "state", "trials", "failed", "best", "val F1", "test F1", "changed (UTC)"];

/// The list of the sweeps in `folder`.
#[must_use]
pub fn index(folder: &str, sweeps: &[ListedSweep]) -> PageState {
    let mut html = String::new();
    if sweeps.is_empty() {
        html.push_str("<p>No sweep yet. <code>sweep run SPEC</code> makes one.</p>");
    } else {
        html.push_str(&scroll_box("Sweeps"));
        html.push_str("<table>\n<thead><tr>");
        for heading in HEADINGS {
            let _ = write!(html, "<th scope=\"col\">{heading}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for sweep in sweeps {
            row(&mut html, sweep);
        }
        html.push_str("</tbody></table></div>\n");
    }
    for (sweep, damage) in sweeps.iter().filter_map(|sweep| Some((sweep, sweep.damage.as_ref()?))) {
        let text = format!("{} cannot be read: {damage}", sweep.name);
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&figures::plain(&text)));
    }
    PageState { title: format!("Sweeps in {folder}"), parts: vec![("sweeps", html)], ..PageState::default() }
}

fn row(html: &mut String, sweep: &ListedSweep) {
    let name = isolated(&figures::plain(&sweep.name));
    let _ = if sweep.is_readable {
        write!(html, "<tr><td><a href=\"sweeps/{}/\">{name}</a></td>", in_address(&sweep.name))
    } else {
        write!(html, "<tr><td>{name}</td>")
    };
    for cell in &sweep.cells {
        let _ = write!(html, "<td>{}</td>", isolated(&figures::plain(cell)));
    }
    html.push_str("</tr>\n");
}

/// A name as a part of an address: everything but letters, digits, `-`, `_` and `.` of ASCII is written as an escape.
fn in_address(name: &str) -> String {
    let mut address = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_text_and_one_part_of_its_address() {
        let sweep = ListedSweep { name: "a/<b>\"é".to_owned(), is_readable: true, ..ListedSweep::default() };
        let page = index("results", &[sweep]);
        assert!(
            page.parts[0]
                .1
                .contains("<a href=\"sweeps/a%2F%3Cb%3E%22%C3%A9/\"><bdi>a/&lt;b&gt;&quot;é</bdi></a>"),
            "{page:?}"
        );
    }

    #[test]
    fn a_sweep_that_cannot_be_read_is_listed_with_the_reason_and_no_link() {
        let sweep = ListedSweep {
            name: "x".to_owned(),
            damage: Some("no <plan>".to_owned()),
            ..ListedSweep::default()
        };
        let html = &index("results", &[sweep]).parts[0].1;
        assert!(html.contains("x cannot be read: no &lt;plan&gt;") && !html.contains("href"), "{html}");
    }
}
