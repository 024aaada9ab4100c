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

/// The logs of the trials that a worker has now. They are for people who look for a cause: where one cannot
/// be written, its trial continues without it. What a worker says while it trains several trials together is said of
/// all of them.
#[derive(Clone, Default)]
pub(crate) struct WorkerLog(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    logs: Vec<OpenLog>,
    /// The latest output, whether it was kept in files or not.
    tail: Vec<u8>,
}

/// The log of one trial.
struct OpenLog {
    file: Option<File>,
    place: Place,
    title: String,
    left: usize,
    /// Bytes that were not kept in the file.
    lost: usize,
}

impl WorkerLog {
    /// Appends the output from now on to each of these places, under its title.
    pub(crate) fn switch(&self, logs: &[(Place, String)]) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { logs: known, tail } = &mut *open;
        let is_wanted = |log: &OpenLog| logs.iter().any(|(place, title)| log.is(place, title));
        if !known.iter().any(is_wanted) {
            tail.clear();
        }
        for mut log in std::mem::take(known) {
            if is_wanted(&log) {
                known.push(log);
            } else {
                log.close(tail);
            }
        }
        for (place, title) in logs {
            if !known.iter().any(|log| log.is(place, title)) {
                known.push(OpenLog::open(place, title));
            }
        }
    }

    /// Notes the end of an output that was written down elsewhere.
    pub(crate) fn note(&self, words: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.tail = words.as_bytes().to_vec();
    }

    /// The end of the output of this attempt.
    pub(crate) fn tail(&self) -> String {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&open.tail).into_owned()
    }

    /// Reads all of `reader`, however much it is, so that the worker is never blocked.
    pub(crate) async fn fill(self, mut reader: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.write(buffer.get(..count).unwrap_or_default());
        }
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { logs, tail } = &mut *open;
        for log in logs {
            log.close(tail);
        }
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) {
        for log in &mut self.logs {
            log.write(bytes);
        }
        let newest = bytes.get(bytes.len().saturating_sub(TAIL_MAX)..).unwrap_or_default();
        self.tail.extend_from_slice(newest);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_MAX));
    }
}

impl OpenLog {
    fn open(place: &Place, title: &str) -> Self {
        let mut file = files::open_for_append(place).ok();
        if let Some(file) = &mut file {
            let _ = writeln!(file, "{TITLE}{title}");
        }
        Self { file, place: place.clone(), title: title.to_owned(), left: ATTEMPT_MAX, lost: 0 }
    }

    fn is(&self, place: &Place, title: &str) -> bool {
        self.file.is_some() && self.title == title && self.place == *place
    }

    fn write(&mut self, bytes: &[u8]) {
        let (kept, lost) = bytes.split_at(bytes.len().min(self.left));
        self.left -= kept.len();
        self.lost += lost.len();
        if let Some(file) = &mut self.file {
            let _ = file.write_all(kept);
        }
    }

    /// Ends the attempt's part with the end of its output, `tail`, if that was not kept.
    fn close(&mut self, tail: &[u8]) {
        let lost = std::mem::take(&mut self.lost);
        if let (Some(file), 1..) = (&mut self.file, lost) {
            let end = tail.get(tail.len().saturating_sub(lost)..).unwrap_or_default();
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
        log.switch(&[(path.clone(), "trial 0001, attempt 1 on cpu:0".to_owned())]);
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
        log.switch(&[(path.clone(), "1".to_owned())]);
        log.clone().fill(&[vec![b'x'; ATTEMPT_MAX], b"yz".to_vec()].concat()[..]).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("x\n=== 0 bytes are left out here\nyz"), "{}", &text[text.len() - 50..]);
    }

    #[tokio::test]
    async fn each_trial_gets_what_was_said_while_it_ran() {
        let folder = tempfile::tempdir().unwrap();
        let log = WorkerLog::default();
        for name in ["1", "2"] {
            log.switch(&[(Place::named(folder.path()).join(name), name.to_owned())]);
            log.clone().fill(name.as_bytes()).await;
            assert_eq!(log.tail(), name);
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("1")).unwrap(), "=== 1\n1");
        assert_eq!(std::fs::read_to_string(folder.path().join("2")).unwrap(), "=== 2\n2");
    }

    #[tokio::test]
    async fn what_is_said_of_trials_together_stands_in_each_ones_log() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| (Place::named(folder.path()).join(name), name.to_owned());
        let log = WorkerLog::default();
        log.switch(&[of("1")]);
        log.0.lock().unwrap().write(b"at the start\n");
        log.switch(&[of("1"), of("2")]);
        log.clone().fill(&b"together\n"[..]).await;
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("1"), "=== 1\nat the start\ntogether\n");
        assert_eq!(read("2"), "=== 2\ntogether\n");
        assert_eq!(log.tail(), "at the start\ntogether\n");
    }
}
