//! The contents of a page in parts that change one by one, and the document around them.
//!
//! The document asks nothing of any server: its style and its script are part of it, and its policy allows those two and
//! nothing else. A page that a server shows may also listen to this server.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::words::scroll_box;
use crate::leaderboard::figures::html as escape;

/// The style sheet.
const STYLE: &str = include_str!("page.css");
/// The script.
const SCRIPT: &str = include_str!("page.js");

/// What a document may load: the style and the script whose digests these are.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
});

/// What tells the script of one program from that of another.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).finalize();
    BASE64_STANDARD.encode(&digest[..9])
});

/// The contents of a page. Everything is HTML or JSON that holds texts from outside as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageState {
    /// The title, a plain text.
    pub title: String,
    /// JSON of what holds for all trials.
    pub meta: String,
    /// The row of the table's headings; without one, there is no table.
    pub head: String,
    /// The trials in the order of the leaderboard.
    pub order: Vec<u32>,
    /// The table's row of each trial.
    pub rows: BTreeMap<u32, String>,
    /// JSON of each trial.
    pub trials: BTreeMap<u32, String>,
    /// The other parts by their names, in the order in which they stand.
    pub parts: Vec<(&'static str, String)>,
}

/// How a document is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// As a file.
    File,
    /// By a server that tells of changes since this version, at `events` beside the page.
    Live {
        /// The version of the state.
        version: &'a str,
    },
}

/// The policy of a document: what a browser may load for it.
#[must_use]
pub fn policy(shown: Shown<'_>) -> String {
    match shown {
        Shown::File => POLICY.clone(),
        Shown::Live { .. } => format!("{}; connect-src 'self'", *POLICY),
    }
}

/// What tells this program's pages from those of another version, for a page that outlives its server.
#[must_use]
pub fn program() -> &'static str {
    &PROGRAM
}

/// The part before which the table stands.
pub(super) const BEHIND_TABLE: &str = "notes";

impl PageState {
    /// The whole document.
    #[must_use]
    pub fn document(&self, shown: Shown<'_>) -> String {
        let title = escape(&self.title);
        let live = match shown {
            Shown::File => String::new(),
            Shown::Live { version } => {
                format!(" data-live=\"{}\" data-program=\"{}\"", escape(version), program())
            }
        };
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title} · sweep</title>\n<style>{STYLE}</style>\n</head>\n<body{live}>\n<main>\n<h1>{title}</h1>\n",
            policy(shown),
        );
        for (name, part) in &self.parts {
            if *name == BEHIND_TABLE {
                self.table(&mut html);
            }
            let _ = writeln!(html, "<section id=\"part-{name}\">{part}</section>");
        }
        html.push_str("</main>\n<script type=\"application/json\" id=\"data\">");
        self.data(&mut html);
        let _ = write!(html, "</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
        html
    }

    fn table(&self, html: &mut String) {
        if self.head.is_empty() {
            return;
        }
        html.push_str(&scroll_box("Leaderboard"));
        let _ = write!(html, "<table class=\"board\" id=\"board\">\n<thead>{}</thead>\n<tbody>\n", self.head);
        for row in self.order.iter().filter_map(|id| self.rows.get(id)) {
            let _ = writeln!(html, "{row}");
        }
        html.push_str("</tbody></table></div>\n");
    }

    /// Writes what the script knows. A `<` could end the element, and is therefore written as an escape.
    fn data(&self, html: &mut String) {
        let meta = if self.meta.is_empty() { "{}" } else { &self.meta };
        let order: Vec<String> = self.order.iter().map(u32::to_string).collect();
        let _ = write!(
            html,
            "{{\"meta\":{},\"order\":[{}],\"trials\":{{",
            meta.replace('<', "\\u003c"),
            order.join(",")
        );
        for (at, (id, trial)) in self.trials.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(html, "{comma}\n\"{id}\":{}", trial.replace('<', "\\u003c"));
        }
        html.push_str("}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_load_its_own_style_and_script_and_nothing_else() {
        let html = PageState::default().document(Shown::File);
        let sources: Vec<&str> = policy(Shown::File).leak().split("; ").collect();
        assert_eq!(sources[0], "default-src 'none'");
        assert!(
            sources[1].starts_with("style-src 'sha256-") && sources[2].starts_with("script-src 'sha256-")
        );
        assert!(html.contains(&policy(Shown::File)), "{html}");
    }

    #[test]
    fn only_a_page_of_a_server_may_listen_to_it() {
        assert!(!policy(Shown::File).contains("connect-src"));
        assert!(policy(Shown::Live { version: "1" }).ends_with("; connect-src 'self'"));
    }

    #[test]
    fn neither_style_nor_script_can_end_its_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn what_the_script_knows_cannot_end_its_element() {
        let trials = BTreeMap::from([(1, "{\"a\":\"</script><script>\"}".to_owned())]);
        let html = PageState { trials, order: vec![1], ..PageState::default() }.document(Shown::File);
        assert!(html.contains("\\u003c/script>\\u003cscript>"), "{html}");
    }
}
