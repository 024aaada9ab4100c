//! The state of a page with its version, and what has changed since an earlier one.
//!
//! A version is the number of a feed and a number in it. A viewer that knows a version of another feed, of a server that
//! was stopped meanwhile for instance, gets the whole state.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::report::{self, PageState};

/// The state of a page, and for each part the version in which it last changed.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) state: PageState,
    feed: u64,
    version: u64,
    rows: BTreeMap<u32, u64>,
    trials: BTreeMap<u32, u64>,
    parts: BTreeMap<&'static str, u64>,
    meta: u64,
    head: u64,
    order: u64,
}

impl Snapshot {
    /// The first state of the feed numbered `feed`.
    pub(super) fn first(feed: u64, state: PageState) -> Self {
        Self {
            rows: state.rows.keys().map(|key| (*key, 1)).collect(),
            trials: state.trials.keys().map(|key| (*key, 1)).collect(),
            parts: state.parts.iter().map(|(key, _)| (*key, 1)).collect(),
            state,
            feed,
            version: 1,
            meta: 1,
            head: 1,
            order: 1,
        }
    }

    /// The next state; `None` if it is equal.
    pub(super) fn next(&self, state: PageState) -> Option<Self> {
        if state == self.state {
            return None;
        }
        let version = self.version + 1;
        let (before, now) = (&self.state, &state);
        let since = |is_same: bool, old: u64| if is_same { old } else { version };
        let parts =
            |state: &PageState| -> BTreeMap<&'static str, String> { state.parts.iter().cloned().collect() };
        Some(Self {
            feed: self.feed,
            version,
            rows: changed(&self.rows, &before.rows, &now.rows, version),
            trials: changed(&self.trials, &before.trials, &now.trials, version),
            parts: changed(&self.parts, &parts(before), &parts(now), version),
            meta: since(before.meta == now.meta, self.meta),
            head: since(before.head == now.head, self.head),
            order: since(before.order == now.order, self.order),
            state,
        })
    }

    /// The version, as viewers know it.
    pub(super) fn version(&self) -> String {
        format!("{:x}-{}", self.feed, self.version)
    }

    /// What has changed since the version `seen`, as JSON on one line; `None` if nothing has.
    pub(super) fn change(&self, seen: &str) -> Option<String> {
        let known = seen
            .split_once('-')
            .filter(|(feed, _)| u64::from_str_radix(feed, 16).is_ok_and(|it| it == self.feed));
        let since: u64 = known.and_then(|(_, version)| version.parse().ok()).unwrap_or(0);
        if since == self.version {
            return None;
        }
        let mut json =
            format!("{{\"version\":{},\"program\":{}", text(&self.version()), text(report::program()));
        if since == 0 {
            json.push_str(",\"whole\":true");
        }
        let state = &self.state;
        if self.meta > since && !state.meta.is_empty() {
            let _ = write!(json, ",\"meta\":{}", state.meta);
        }
        if self.head > since {
            let _ = write!(json, ",\"head\":{}", text(&state.head));
        }
        if self.order > since {
            let order: Vec<String> = state.order.iter().map(u32::to_string).collect();
            let _ = write!(json, ",\"order\":[{}]", order.join(","));
        }
        let rows = state.rows.iter().filter(|(id, _)| self.rows[id] > since);
        object(&mut json, "rows", rows.map(|(id, html)| (id.to_string(), text(html))));
        let trials = state.trials.iter().filter(|(id, _)| self.trials[id] > since);
        object(&mut json, "trials", trials.map(|(id, json)| (id.to_string(), json.clone())));
        let parts = state.parts.iter().filter(|(name, _)| self.parts[name] > since);
        object(&mut json, "parts", parts.map(|(name, html)| ((*name).to_owned(), text(html))));
        json.push('}');
        Some(json)
    }
}

/// The version in which each entry last changed.
fn changed<K: Ord + Copy>(
    versions: &BTreeMap<K, u64>,
    before: &BTreeMap<K, String>,
    now: &BTreeMap<K, String>,
    version: u64,
) -> BTreeMap<K, u64> {
    let since = |(key, value): (&K, &String)| {
        let is_same = before.get(key) == Some(value);
        (*key, if is_same { versions.get(key).copied().unwrap_or(version) } else { version })
    };
    now.iter().map(since).collect()
}

/// `text` as JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes an object under `name`, if it is not empty.
fn object(json: &mut String, name: &str, entries: impl Iterator<Item = (String, String)>) {
    let entries: Vec<String> = entries.map(|(key, value)| format!("{}:{value}", text(&key))).collect();
    if !entries.is_empty() {
        let _ = write!(json, ",\"{name}\":{{{}}}", entries.join(","));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn state(rows: &[(u32, &str)]) -> PageState {
        PageState {
            rows: rows.iter().map(|(id, row)| (*id, (*row).to_owned())).collect(),
            order: rows.iter().map(|(id, _)| *id).collect(),
            parts: vec![("summary", "same".to_owned())],
            ..PageState::default()
        }
    }

    fn change(snapshot: &Snapshot, seen: &str) -> Value {
        serde_json::from_str(&snapshot.change(seen).unwrap()).unwrap()
    }

    #[test]
    fn a_viewer_gets_what_has_changed_since_the_version_that_it_knows() {
        let first = Snapshot::first(7, state(&[(1, "a"), (2, "b")]));
        let second = first.next(state(&[(1, "a"), (2, "c")])).unwrap();
        let third = second.next(state(&[(1, "d"), (2, "c")])).unwrap();
        let found = change(&third, &first.version());
        assert_eq!(found["rows"], serde_json::json!({"1": "d", "2": "c"}));
        assert_eq!(change(&third, &second.version())["rows"], serde_json::json!({"1": "d"}));
        assert!(found.get("parts").is_none() && found.get("order").is_none() && found.get("whole").is_none());
        assert_eq!(third.change(&third.version()), None);
    }

    #[test]
    fn a_viewer_of_another_feed_gets_everything() {
        let snapshot = Snapshot::first(7, state(&[(1, "a")]));
        for seen in ["", "8-1", "x", "7-x", "0-0"] {
            let found = change(&snapshot, seen);
            assert_eq!(
                (&found["whole"], &found["rows"]["1"]),
                (&Value::Bool(true), &Value::from("a")),
                "{seen}"
            );
            assert_eq!(found["parts"]["summary"], "same");
        }
    }

    #[test]
    fn an_equal_state_is_no_new_version() {
        assert!(Snapshot::first(7, state(&[(1, "a")])).next(state(&[(1, "a")])).is_none());
    }

    #[test]
    fn a_trial_that_has_gone_is_missing_in_the_order() {
        let first = Snapshot::first(7, state(&[(1, "a"), (2, "b")]));
        let second = first.next(state(&[(2, "b")])).unwrap();
        assert_eq!(change(&second, &first.version())["order"], serde_json::json!([2]));
    }
}
