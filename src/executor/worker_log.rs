//! `worker.log`: what a worker writes to its standard error, capped.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes kept of one attempt.
const ATTEMPT_MAX: usize = 1 << 20;

/// The log of the trial that a worker has now. It is for people who look for a cause; that it
/// cannot be written ends nothing.
#[derive(Clone, Default)]
pub(super) struct WorkerLog(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    file: Option<File>,
    path: Option<std::path::PathBuf>,
    title: String,
    left: usize,
}

impl WorkerLog {
    /// Sends what comes from now on to the end of `path`, under `title`.
    pub(super) fn switch(&self, path: &Path, title: &str) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.title == title && open.path.as_deref() == Some(path) {
            return;
        }
        open.file = File::options().create(true).append(true).open(path).ok();
        open.path = Some(path.to_owned());
        title.clone_into(&mut open.title);
        open.left = ATTEMPT_MAX;
        if let Some(file) = &mut open.file {
            let _ = writeln!(file, "=== {title}");
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = bytes.len().min(open.left);
        open.left -= kept;
        let is_full = open.left == 0 && kept > 0;
        if let (Some(file), Some(bytes)) = (&mut open.file, bytes.get(..kept)) {
            let _ = file.write_all(bytes);
            if is_full {
                let _ = writeln!(file, "\n=== more than {ATTEMPT_MAX} bytes; the rest is not kept");
            }
        }
    }

    /// Takes in everything that `reader` gives until its end, however much it is.
    pub(super) async fn fill(self, mut reader: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            self.write(buffer.get(..count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_taken_in_and_cut_at_the_cap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.log");
        let log = WorkerLog::default();
        log.switch(&path, "trial 0001, attempt 1 on cpu:0");
        log.clone().fill(&vec![b'x'; 3 * ATTEMPT_MAX][..]).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("=== trial 0001, attempt 1 on cpu:0\nxxx"));
        assert!(text.ends_with("the rest is not kept\n"));
        assert!(text.len() < ATTEMPT_MAX + 200);
    }

    #[tokio::test]
    async fn each_trial_gets_what_was_said_while_it_ran() {
        let folder = tempfile::tempdir().unwrap();
        let log = WorkerLog::default();
        for name in ["1", "2"] {
            log.switch(&folder.path().join(name), name);
            log.clone().fill(name.as_bytes()).await;
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("1")).unwrap(), "=== 1\n1");
        assert_eq!(std::fs::read_to_string(folder.path().join("2")).unwrap(), "=== 2\n2");
    }
}
