//! A set of rows, which a plan keeps as a short text: `3 17-20 44`.

use serde::{Deserialize, Serialize};

/// Rows of a file, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RowSet {
    /// The first and the last row of each run of rows, in order.
    runs: Vec<(u32, u32)>,
}

impl RowSet {
    /// The set of `rows`, in any order.
    #[must_use]
    pub fn new(mut rows: Vec<u32>) -> Self {
        rows.sort_unstable();
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for row in rows {
            match runs.last_mut() {
                Some((_, last)) if row <= last.saturating_add(1) => *last = row,
                _ => runs.push((row, row)),
            }
        }
        Self { runs }
    }

    /// Whether it has the row with this number.
    #[must_use]
    pub fn contains(&self, row: u64) -> bool {
        let after = self.runs.partition_point(|(first, _)| u64::from(*first) <= row);
        after.checked_sub(1).and_then(|at| self.runs.get(at)).is_some_and(|(_, last)| row <= u64::from(*last))
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(|(first, last)| (last - first) as usize + 1).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl From<RowSet> for String {
    fn from(set: RowSet) -> Self {
        let run = |(first, last): &(u32, u32)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        set.runs.iter().map(run).collect::<Vec<_>>().join(" ")
    }
}

impl TryFrom<String> for RowSet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let run = |run: &str| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let run: Option<(u32, u32)> = first.parse().ok().zip(last.parse().ok());
            run.filter(|(first, last)| first <= last)
        };
        let runs: Option<Vec<(u32, u32)>> = text.split_whitespace().map(run).collect();
        let is_ordered = |runs: &Vec<(u32, u32)>| runs.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let runs = runs.filter(is_ordered).ok_or("rows must be as in `3 17-20 44`")?;
        Ok(Self { runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_runs() {
        assert_eq!(String::from(RowSet::new(vec![44, 17, 3, 18, 20, 19, 18])), "3 17-20 44");
    }

    #[test]
    fn a_set_is_read_back() {
        let set = RowSet::new(vec![1, 2, 9]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<RowSet>(&json).unwrap(), set);
    }

    #[test]
    fn a_set_has_the_rows_of_its_runs_and_no_others() {
        let set = RowSet::new(vec![3, 4, 5, 9]);
        let found: Vec<u64> = (0..12).filter(|row| set.contains(*row)).collect();
        assert_eq!((found, set.len()), (vec![3, 4, 5, 9], 4));
    }

    #[test]
    fn runs_that_contradict_each_other_are_refused() {
        for text in ["\"5-3\"", "\"4 4\"", "\"9 1\"", "\"a\"", "\"-1\"", "\"1--2\""] {
            assert!(serde_json::from_str::<RowSet>(text).is_err(), "{text}");
        }
    }
}
