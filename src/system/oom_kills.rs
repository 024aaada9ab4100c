//! Processes that the kernel killed because memory ran out.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::files::named;

/// The kernel's count of killed processes in the control group of this process, which its workers share.
#[derive(Clone)]
pub(crate) struct OomKills {
    /// The file with the count, if there is one.
    file: Option<PathBuf>,
    /// Number of kills that are claimed, or older than this value.
    claimed: Arc<Mutex<u64>>,
}

impl OomKills {
    /// Counts kills from now on.
    pub(crate) fn from_now_on() -> Self {
        let groups = named::read_to_string(Path::new("/proc/self/cgroup")).unwrap_or_default();
        Self::of(count_files(&groups).into_iter().find(|file| count(file).is_some()))
    }

    fn of(file: Option<PathBuf>) -> Self {
        let claimed = file.as_deref().and_then(count).unwrap_or(0);
        Self { file, claimed: Arc::new(Mutex::new(claimed)) }
    }

    /// Whether the kernel killed a process for memory that was not claimed yet; that kill is then claimed.
    pub(crate) fn claim(&self) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unclaimed = self.file.as_deref().and_then(count).is_some_and(|count| count > *claimed);
        *claimed += u64::from(is_unclaimed);
        is_unclaimed
    }
}

/// The files that may hold the count: of the control groups in this content of `/proc/self/cgroup` (version 2
/// or 1), then of the whole machine.
fn count_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            continue;
        };
        // Inside a container, the root that can be seen may be the container's own group.
        files.push(Path::new(root).join(path.trim_start_matches('/')).join(name));
        files.push(Path::new(root).join(name));
    }
    files.push("/proc/vmstat".into());
    files
}

/// The count in a file, which has it on a line `oom_kill N`.
fn count(file: &Path) -> Option<u64> {
    let text = named::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_kill_of_the_kernel_is_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        let write = |kills: u32| fs::write(&file, format!("low 0\noom 9\noom_kill {kills}\n")).unwrap();
        write(3);
        let kills = OomKills::of(Some(file.clone()));
        assert!(!kills.claim());
        write(5);
        assert_eq!([kills.claim(), kills.clone().claim(), kills.claim()], [true, true, false]);
        fs::remove_file(&file).unwrap();
        assert!(!kills.claim());
    }

    #[test]
    fn the_count_is_looked_for_in_both_versions_of_control_groups() {
        let files = count_files("5:cpu,memory:/a/b\n1:name=systemd:/\n0::/c\n");
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            names,
            [
                "/sys/fs/cgroup/memory/a/b/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
                "/sys/fs/cgroup/c/memory.events",
                "/sys/fs/cgroup/memory.events",
                "/proc/vmstat",
            ]
        );
    }
}
