//! What stays of each text for comparing it with the others: a digest of its normal form, whether hardly anything is left
//! of it, and its keys for near duplicates. They are computed in a reading of their own, a window of texts at a time.

use rayon::prelude::*;

use super::{
    dialect::Dialects,
    error::{DataError, DataFile},
    minhash::MinHash,
    ngrams::ngrams,
    normal_form::{digest, letters, normal_form},
    read, reviews,
    spec::DataSpec,
    texts::RowsAgain,
};
use crate::system::threads;

/// A text with fewer letters and digits than this is nearly empty.
pub(super) const LETTERS_MIN: usize = 3;
/// Bytes of the texts of a window.
const WINDOW_BYTES: usize = 4 << 20;
/// Bytes of a row besides its keys, growth included.
const TRACE_BYTES: u64 = 60;

/// The traces of one file's rows. A row that cannot be read has those of an empty text.
#[derive(Debug, Default)]
pub(super) struct FileTraces {
    /// By row: a digest of the normal form; 0 if nothing is left of the text.
    normal: Vec<u64>,
    /// By band, then by row.
    keys: Vec<Vec<u32>>,
    /// The rows with a text that is nearly empty, in order.
    near_empty: Vec<u32>,
}

impl FileTraces {
    /// The digest of the normal form of row `id`; 0 if nothing is left of it.
    pub(super) fn normal(&self, id: u32) -> u64 {
        self.normal.get(index(id)).copied().unwrap_or(0)
    }

    /// The key of row `id` in a band.
    pub(super) fn key(&self, band: usize, id: u32) -> u32 {
        self.keys.get(band).and_then(|keys| keys.get(index(id))).copied().unwrap_or(0)
    }

    /// Whether hardly anything is left of the text of row `id`.
    pub(super) fn is_near_empty(&self, id: u32) -> bool {
        self.near_empty.binary_search(&id).is_ok()
    }

    fn push(&mut self, id: u32, trace: &Trace) {
        self.normal.resize(index(id), 0);
        self.normal.push(trace.normal);
        for (keys, key) in self.keys.iter_mut().zip(&trace.keys) {
            keys.resize(index(id), 0);
            keys.push(*key);
        }
        if trace.is_near_empty {
            self.near_empty.push(id);
        }
    }
}

/// The place of a row among all rows of its file.
fn index(id: u32) -> usize {
    (id as usize).saturating_sub(1)
}

/// The bytes that `rows` rows take, with keys in so many bands.
pub(super) fn bytes(rows: usize, bands: usize) -> u64 {
    let of_keys = 6 * bands as u64;
    (TRACE_BYTES + of_keys).saturating_mul(rows as u64)
}

/// The trace of one text.
struct Trace {
    normal: u64,
    keys: Vec<u32>,
    is_near_empty: bool,
}

impl Trace {
    fn of(text: &str, minhash: Option<&MinHash>) -> Self {
        let form = normal_form(text);
        let is_near_empty = letters(&form, LETTERS_MIN) < LETTERS_MIN;
        let keys = minhash.map(|minhash| minhash.keys(&ngrams(&form))).unwrap_or_default();
        Self { normal: digest(&form), keys, is_near_empty }
    }
}

/// The traces of every file of the data that `spec` names; those of the generated reviews if there is no file.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn traces(
    spec: &DataSpec,
    files: &[DataFile],
    dialects: &Dialects,
    minhash: Option<&MinHash>,
) -> Result<Vec<FileTraces>, DataError> {
    if files.is_empty() {
        let reviews = reviews::generate(spec.seed, reviews::DOCUMENTS).into_iter();
        return Ok(vec![of_texts(reviews.map(|review| (review.id, review.text)), minhash)]);
    }
    let of_file = |(at, file): (usize, &DataFile)| {
        let table = read::open(file, spec, dialects.of(at)).map_err(|mut faults| faults.swap_remove(0))?;
        Ok(of_texts(RowsAgain::new(table).map(|(id, cells)| (id, cells.text)), minhash))
    };
    files.iter().enumerate().map(of_file).collect()
}

fn of_texts(mut texts: impl Iterator<Item = (u32, String)>, minhash: Option<&MinHash>) -> FileTraces {
    let bands = minhash.map_or(0, MinHash::bands);
    let mut traces = FileTraces { keys: vec![Vec::new(); bands], ..FileTraces::default() };
    loop {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while let Some((id, text)) = (bytes < WINDOW_BYTES).then(|| texts.next()).flatten() {
            bytes += text.len();
            window.push((id, text));
        }
        if window.is_empty() {
            return traces;
        }
        for (id, trace) in in_parallel(&window, &|(id, text)| (*id, Trace::of(text, minhash))) {
            traces.push(id, &trace);
        }
    }
}

/// What `work` makes of each item, in order, on all processors that are to be had.
pub(super) fn in_parallel<T: Sync, U: Send>(items: &[T], work: &(dyn Fn(&T) -> U + Sync)) -> Vec<U> {
    if threads::has_pool() { items.par_iter().map(work).collect() } else { items.iter().map(work).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces_of(texts: &[(u32, &str)]) -> FileTraces {
        let minhash = MinHash::for_threshold(800);
        of_texts(texts.iter().map(|(id, text)| (*id, (*text).to_owned())), Some(&minhash))
    }

    #[test]
    fn a_row_that_could_not_be_read_has_the_traces_of_an_empty_text() {
        let traces = traces_of(&[(1, "good"), (3, "Good!")]);
        assert_eq!([traces.normal(2), u64::from(traces.key(0, 2)), traces.normal(4)], [0, 0, 0]);
        assert!(traces.normal(1) == traces.normal(3) && traces.key(5, 1) == traces.key(5, 3));
    }

    #[test]
    fn texts_of_few_letters_are_nearly_empty() {
        let traces = traces_of(&[(1, "很好"), (2, "很好吃"), (3, "。。。"), (4, "👍👍👍👍"), (5, "ok")]);
        let found: Vec<u32> = (1..=5).filter(|id| traces.is_near_empty(*id)).collect();
        assert_eq!(found, [1, 3, 4, 5]);
    }

    #[test]
    fn nothing_but_punctuation_has_no_normal_form() {
        assert_eq!(traces_of(&[(1, "……")]).normal(1), 0);
    }
}
