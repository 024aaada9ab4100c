//! The process that holds a lock, and whether it still runs.

use std::{
    io::{self, Read as _},
    path::Path,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::system::{
    clock,
    files::{Place, named},
};

/// Bytes of a lock file that are read.
const BYTES_MAX: u64 = 1 << 16;

/// The process that holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of the machine that the process runs on.
    pub host: String,
    /// The process id; 0 when unknown.
    pub pid: u32,
    /// Start time of the process, in clock ticks since the machine started. A later process with the same id
    /// has another start time. `None` where the system does not provide it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// The time at which the process took the lock, as RFC 3339 in UTC.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            // The holder has taken the lock, but has not written into the file yet.
            return f.write_str("another process");
        }
        write!(f, "pid {} on {} since {}", self.pid, self.host, self.since)
    }
}

impl Holder {
    /// This process, as the holder of a lock that it takes now.
    pub(super) fn this_process() -> Self {
        let host = named::read_to_string(Path::new("/proc/sys/kernel/hostname"))
            .or_else(|_| std::env::var("HOSTNAME"))
            .map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned());
        let since = clock::seconds(SystemTime::now());
        let pid = std::process::id();
        Self { host, pid, started: start_time(pid), since }
    }

    /// Reads a lock file; an empty or incomplete one gives an unknown holder.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether the lock file names a process.
    pub(super) fn is_known(&self) -> bool {
        self.pid > 0
    }

    /// Whether this process of this machine has ended. False where that cannot be determined.
    pub(super) fn is_dead(&self) -> bool {
        match (start_time(self.pid), self.started) {
            (Some(now), Some(then)) => now != then,
            (Some(_), None) => false,
            (None, _) => named::exists(Path::new("/proc/self/stat")),
        }
    }
}

/// The process that the lock file `lock` names: an unknown one if the file is not there, empty or incomplete.
pub(super) fn read(lock: &Place) -> io::Result<Holder> {
    let mut text = String::new();
    match lock.open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::default()),
        file => file?.take(BYTES_MAX).read_to_string(&mut text)?,
    };
    Ok(Holder::parse(&text))
}

/// Start time of a process of this machine; `None` when there is no such process, or no `/proc`.
fn start_time(pid: u32) -> Option<u64> {
    parse_start_time(&named::read_to_string(Path::new(&format!("/proc/{pid}/stat"))).ok()?)
}

/// Field 22 of `/proc/PID/stat` (`man 5 proc`): the start time. `None` for a zombie (state `Z`), which has
/// ended.
///
/// Fields are counted from the last `)`: field 2 is the program's name in brackets, which may hold spaces and
/// brackets itself.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_behind_any_program_name() {
        let rest = "S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 2000";
        assert_eq!(parse_start_time(&format!("7 (sweep) {rest}")), Some(4242));
        assert_eq!(parse_start_time(&format!("7 (a) b) (c) {rest}")), Some(4242));
        assert_eq!(parse_start_time(&format!("7 (sweep) Z{}", &rest[1..])), None);
        assert_eq!(parse_start_time("7 (sweep"), None);
    }

    #[test]
    fn this_process_is_not_dead() {
        let me = Holder::this_process();
        assert!(me.started.is_some() && !me.is_dead());
        assert!(!Holder { started: None, ..me }.is_dead(), "a lock of an earlier version");
    }

    #[test]
    fn an_earlier_process_with_the_same_id_is_dead() {
        let me = Holder::this_process();
        assert!(Holder { started: me.started.map(|ticks| ticks - 1), ..me }.is_dead());
    }

    #[test]
    fn a_process_that_does_not_exist_is_dead() {
        assert!(Holder { pid: u32::MAX, ..Holder::default() }.is_dead());
    }

    #[test]
    fn a_lock_file_that_cannot_be_read_names_nobody() {
        assert!(!Holder::parse("").is_known() && !Holder::parse("{\"host\":\"a\",\"pi").is_known());
    }

    #[test]
    fn a_holder_is_read_back_as_it_was_written() {
        let me = Holder::this_process();
        assert_eq!(Holder::parse(&serde_json::to_string(&me).unwrap()), me);
    }
}
