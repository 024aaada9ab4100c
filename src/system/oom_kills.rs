//! Processes that the kernel killed since memory ran out.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The kernel's count of such processes in this one's control group, which workers share.
#[derive(Clone)]
pub(crate) struct OomKills {
    /// Where the count stands, if anywhere.
    file: Option<PathBuf>,
    /// How many of them are accounted for.
    seen: Arc<Mutex<u64>>,
}

impl OomKills {
    /// Those from now on.
    pub(crate) fn from_now_on() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(places(&groups).into_iter().find(|file| count(file).is_some()))
    }

    fn of(file: Option<PathBuf>) -> Self {
        let seen = file.as_deref().and_then(count).unwrap_or(0);
        Self { file, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Whether a process that was killed was one of them. Each of the kernel's is claimed once.
    pub(crate) fn claim(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_one = self.file.as_deref().and_then(count).is_some_and(|count| count > *seen);
        *seen += u64::from(is_one);
        is_one
    }
}

/// The files that may hold the count, by what `/proc/self/cgroup` says: of control groups in
/// version 2, in version 1, and of the whole machine.
fn places(groups: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            continue;
        };
        // Within a container its group may be the root that is to be seen.
        places.push(Path::new(root).join(path.trim_start_matches('/')).join(file));
        places.push(Path::new(root).join(file));
    }
    places.push("/proc/vmstat".into());
    places
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
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
        let places = places("5:cpu,memory:/a/b\n1:name=systemd:/\n0::/c\n");
        let names: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
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
