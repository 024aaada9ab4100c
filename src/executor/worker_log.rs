//! `worker.log`: a worker's standard error, up to a limit for each attempt.

use std::{
    fs::File,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{
    results::TITLE,
    system::files::{self, Place},
};

/// Bytes kept of one attempt, from its beginning.
const ATTEMPT_MAX: usize = 1 << 20;
/// Bytes kept of its end.
const TAIL_MAX: usize = 4 << 10;

/// The log of the trial that a worker has now. It is for people who look for a cause: where it cannot
/// be written, the trial continues without it.
#[derive(Clone, Default)]
pub(super) struct WorkerLog(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    file: Option<File>,
    place: Option<Place>,
    title: String,
    left: usize,
    /// The latest output, whether it was kept in the file or not.
    tail: Vec<u8>,
    /// Bytes that were not kept in the file.
    lost: usize,
}

impl WorkerLog {
    /// Appends the output from now on to `place`, under `title`.
    pub(super) fn switch(&self, place: &Place, title: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.file.is_some() && open.title == title && open.place.as_ref() == Some(place) {
            return;
        }
        open.close();
        let file = files::open_for_append(place).ok();
        *open = Open {
            file,
            place: Some(place.clone()),
            title: title.to_owned(),
            left: ATTEMPT_MAX,
            ..Open::default()
        };
        if let Some(file) = &mut open.file {
            let _ = writeln!(file, "{TITLE}{title}");
        }
    }

    /// The end of the output of this attempt.
    pub(super) fn tail(&self) -> String {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&open.tail).into_owned()
    }

    /// Reads all of `reader`, however much it is, so that the worker is never blocked.
    pub(super) async fn fill(self, mut reader: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.write(buffer.get(..count).unwrap_or_default());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).close();
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) {
        let (kept, lost) = bytes.split_at(bytes.len().min(self.left));
        self.left -= kept.len();
        self.lost += lost.len();
        if let Some(file) = &mut self.file {
            let _ = file.write_all(kept);
        }
        let newest = bytes.get(bytes.len().saturating_sub(TAIL_MAX)..).unwrap_or_default();
        self.tail.extend_from_slice(newest);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_MAX));
    }

    /// Ends the attempt's part with the end of its output, if that was not kept.
    fn close(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if let (Some(file), 1..) = (&mut self.file, lost) {
            let end = self.tail.get(self.tail.len().saturating_sub(lost)..).unwrap_or_default();
            let left_out = lost - end.len();
            let _ = writeln!(file, "\n{TITLE}{left_out} bytes are left out here");
            let _ = file.write_all(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_taken_in_and_cut_at_the_cap_but_for_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("worker.log");
        let log = WorkerLog::default();
        log.switch(&path, "trial 0001, attempt 1 on cpu:0");
        let mut flood = vec![b'x'; 3 * ATTEMPT_MAX];
        flood.extend(b"\nthe cause\n");
        log.clone().fill(&flood[..]).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("=== trial 0001, attempt 1 on cpu:0\nxxx"));
        assert!(text.contains(" bytes are left out here\nxxx") && text.ends_with("xxx\nthe cause\n"));
        assert!(text.len() < ATTEMPT_MAX + TAIL_MAX + 200);
        assert!(log.tail().ends_with("xxx\nthe cause\n") && log.tail().len() == TAIL_MAX);
    }

    #[tokio::test]
    async fn what_is_just_over_the_cap_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("worker.log");
        let log = WorkerLog::default();
        log.switch(&path, "1");
        log.clone().fill(&[vec![b'x'; ATTEMPT_MAX], b"yz".to_vec()].concat()[..]).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("x\n=== 0 bytes are left out here\nyz"), "{}", &text[text.len() - 50..]);
    }

    #[tokio::test]
    async fn each_trial_gets_what_was_said_while_it_ran() {
        let folder = tempfile::tempdir().unwrap();
        let log = WorkerLog::default();
        for name in ["1", "2"] {
            log.switch(&Place::named(folder.path()).join(name), name);
            log.clone().fill(name.as_bytes()).await;
            assert_eq!(log.tail(), name);
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("1")).unwrap(), "=== 1\n1");
        assert_eq!(std::fs::read_to_string(folder.path().join("2")).unwrap(), "=== 2\n2");
    }
}
