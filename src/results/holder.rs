//! Who holds a lock, and whether that process still lives.

use std::{fs, time::SystemTime};

use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process; 0 when unknown.
    pub pid: u32,
    /// When the process began, in clock ticks since the machine did: another process that got its
    /// number later began at another time. `None` where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Since when it holds the lock, as RFC 3339 in UTC.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            // The holder has the lock, but has not written its name yet.
            return f.write_str("another process");
        }
        write!(f, "pid {} on {} since {}", self.pid, self.host, self.since)
    }
}

impl Holder {
    /// This process, from now on.
    pub(super) fn this_process() -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .or_else(|_| std::env::var("HOSTNAME"))
            .map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned());
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let pid = std::process::id();
        Self { host, pid, started: started(pid), since }
    }

    /// What a lock file says; nobody, when it is empty or cut off.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether it says who.
    pub(super) fn is_known(&self) -> bool {
        self.pid > 0
    }

    /// Whether this process of this machine is over; what cannot be told may live.
    pub(super) fn is_dead(&self) -> bool {
        match (started(self.pid), self.started) {
            (Some(now), Some(then)) => now != then,
            (Some(_), None) => false,
            (None, _) => fs::exists("/proc/self/stat").unwrap_or(false),
        }
    }
}

/// When a process of this machine began; `None` when there is none, or the system does not tell.
fn started(pid: u32) -> Option<u64> {
    start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat` (`man 5 proc`). The second one is the program's name in brackets, which may hold
/// spaces and brackets itself; a zombie (state `Z`) is over.
fn start_time(stat: &str) -> Option<u64> {
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
    fn the_start_of_a_process_is_read_behind_its_name_whatever_that_is() {
        let rest = "S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 2000";
        assert_eq!(start_time(&format!("7 (sweep) {rest}")), Some(4242));
        assert_eq!(start_time(&format!("7 (a) b) (c) {rest}")), Some(4242));
        assert_eq!(start_time(&format!("7 (sweep) Z{}", &rest[1..])), None);
        assert_eq!(start_time("7 (sweep"), None);
    }

    #[test]
    fn this_process_lives_and_one_that_had_its_number_before_does_not() {
        let me = Holder::this_process();
        assert!(me.started.is_some() && !me.is_dead());
        assert!(!Holder { started: None, ..me.clone() }.is_dead(), "a lock of an earlier version");
        assert!(Holder { started: me.started.map(|ticks| ticks - 1), ..me }.is_dead());
        assert!(Holder { pid: u32::MAX, ..Holder::default() }.is_dead());
    }

    #[test]
    fn what_cannot_be_read_is_nobody() {
        assert!(!Holder::parse("").is_known() && !Holder::parse("{\"host\":\"a\",\"pi").is_known());
        let me = Holder::this_process();
        assert_eq!(Holder::parse(&serde_json::to_string(&me).unwrap()), me);
    }
}
