//! Entries that are whole, damaged, wanted twice, too many, or not allowed.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{entry::Type, *};
use crate::samples::names;

fn spec(folder: &Path, bytes: u64) -> CacheSpec {
    CacheSpec { folder: folder.join(".cache"), bytes }
}

fn cache_of(spec: Option<CacheSpec>) -> Cache {
    Cache::new(spec, CopyRoom::default())
}

fn key(name: &str) -> EntryKey {
    EntryKey::of(Kind::Text, [name.as_bytes()])
}

fn head(count: usize) -> EntryHead {
    EntryHead::new(Kind::Text, "a test".to_owned(), &[(Type::U32, count), (Type::F32, 1)])
}

/// Makes the entry of `count` numbers, if it is not there. Returns whether it was there.
fn make(cache: &Cache, name: &str, count: u32) -> bool {
    match cache.find(&key(name), &mut || Ok(())).unwrap() {
        CacheEntry::Present(entry) => {
            let numbers: Numbers<u32> = entry.array(0).unwrap();
            assert_eq!(numbers.to_vec(), (0..count).collect::<Vec<_>>());
            assert_eq!(entry.array::<f32>(1).unwrap().to_vec(), [0.5]);
            assert!(entry.array::<u32>(1).is_none() && entry.array::<u32>(2).is_none());
            true
        }
        CacheEntry::Absent(claim) => {
            let numbers: Vec<u32> = (0..count).collect();
            claim.store(&head(numbers.len()), &mut |draft| {
                let half = numbers.len() / 2;
                draft.put(0, half, &numbers[half..])?;
                draft.put(0, 0, &numbers[..half])?;
                draft.put(1, 0, &[0.5_f32])
            });
            false
        }
    }
}

#[test]
fn what_one_stored_another_finds() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 20);
    assert!(!make(&cache_of(Some(spec.clone())), "a", 1000));
    let other = cache_of(Some(spec.clone()));
    assert!(make(&other, "a", 1000));
    assert!(!make(&other, "b", 1000), "another key");
    let found = list(&spec.place()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].what, Some((Kind::Text, "a test".to_owned())));
    // Nothing else is left.
    let mut expected = [key("a").0, key("b").0];
    expected.sort();
    assert_eq!(names(&spec.folder), expected);
}

#[test]
fn parts_of_a_key_do_not_run_into_each_other() {
    let of = |parts: &[&[u8]]| EntryKey::of(Kind::Text, parts.iter().copied());
    assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
    assert_ne!(of(&[b"a"]), EntryKey::of(Kind::Hidden, [b"a".as_slice()]));
}

#[test]
fn without_a_cache_nothing_is_found() {
    let cache = Cache::default();
    assert!(!make(&cache, "a", 10));
    assert!(!make(&cache, "a", 10));
}

#[test]
fn an_entry_with_any_byte_changed_is_removed_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), 1 << 20)));
    make(&cache, "a", 20);
    let path = folder.path().join(".cache").join(key("a").0);
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(!make(&cache, "a", 20), "byte {place}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn an_entry_cut_anywhere_is_removed_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), 1 << 20)));
    make(&cache, "a", 20);
    let path = folder.path().join(".cache").join(key("a").0);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!make(&cache, "a", 20), "cut at {length}");
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    fs::write(&path, [whole.as_slice(), b"more"].concat()).unwrap();
    assert!(!make(&cache, "a", 20));
}

#[test]
fn of_many_who_want_an_entry_one_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 20);
    let made = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                if !make(&cache_of(Some(spec.clone())), "a", 5000) {
                    made.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
}

#[test]
fn a_process_that_waits_for_another_asks_whether_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), 1 << 20)));
    let Ok(CacheEntry::Absent(_claim)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("found") };
    let mut asked = 0;
    let mut twice = || {
        asked += 1;
        if asked < 2 { Ok(()) } else { Err(Stopped) }
    };
    assert!(matches!(cache.find(&key("a"), &mut twice), Err(Stopped)));
    assert_eq!(asked, 2);
}

#[test]
fn a_process_that_waits_inherits_the_claim_of_one_that_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), 1 << 20)));
    let Ok(CacheEntry::Absent(claim)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("found") };
    let mut claim = Some(claim);
    let mut release = || {
        claim = None;
        Ok(())
    };
    assert!(matches!(cache.find(&key("a"), &mut release), Ok(CacheEntry::Absent(_))));
}

#[test]
fn the_least_recently_used_entries_go_when_the_bound_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let size = head(1000).file_length();
    let spec = spec(folder.path(), 3 * size);
    let cache = cache_of(Some(spec.clone()));
    for (age, name) in [(50, "a"), (40, "b"), (30, "c")] {
        make(&cache, name, 1000);
        let used = SystemTime::now() - Duration::from_secs(age);
        File::open(spec.folder.join(key(name).0)).unwrap().set_modified(used).unwrap();
    }
    assert!(make(&cache, "a", 1000), "used, and so the youngest");
    make(&cache, "d", 1000);
    assert_eq!(list(&spec.place()).unwrap().len(), 3);
    let is_there = |name: &str| spec.folder.join(key(name).0).exists();
    assert_eq!(["a", "b", "c", "d"].map(is_there), [true, false, true, true]);
    assert!(!make(&cache, "large", 100_000), "larger than the bound");
    assert_eq!(["a", "c", "d", "large"].map(is_there), [true, true, true, false]);
}

#[test]
fn an_entry_that_is_evicted_stays_readable_for_who_has_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), head(1000).file_length())));
    make(&cache, "a", 1000);
    let Ok(CacheEntry::Present(entry)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("absent") };
    make(&cache, "b", 1000);
    assert!(!folder.path().join(".cache").join(key("a").0).exists());
    assert_eq!(entry.array::<u32>(0).unwrap()[999], 999);
}

/// A cache folder with an entry, the remains of killed processes, old and new, and a file of somebody else.
fn littered() -> (tempfile::TempDir, CacheSpec) {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 20);
    fs::create_dir(&spec.folder).unwrap();
    let old = SystemTime::now() - 2 * STALE;
    let lock = format!("{}.lock", key("x").0);
    for (name, time) in
        [(".writing-old", old), (".writing-new", SystemTime::now()), (&lock, old), ("notes", old)]
    {
        File::create(spec.folder.join(name)).unwrap().set_modified(time).unwrap();
    }
    make(&cache_of(Some(spec.clone())), "a", 10);
    (folder, spec)
}

#[test]
fn the_old_remains_of_a_killed_process_go_and_other_files_stay() {
    let (_folder, spec) = littered();
    assert_eq!(names(&spec.folder), [".writing-new".to_owned(), key("a").0, "notes".to_owned()]);
}

#[test]
fn clearing_counts_entries_and_leaves_files_of_others() {
    let (_folder, spec) = littered();
    assert_eq!(clear(&spec.place()).unwrap(), (1, head(10).file_length()));
    assert_eq!(names(&spec.folder), ["notes"]);
}

#[test]
fn a_folder_that_cannot_be_made_or_written_means_going_on_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for folder in [file.clone(), file.join("below"), folder.path().join("absent/.cache")] {
        let cache = cache_of(Some(CacheSpec { folder, bytes: 1 << 20 }));
        assert!(!make(&cache, "a", 10));
        assert!(!make(&cache, "a", 10));
    }
    assert!(!folder.path().join("absent").exists(), "a folder that results were moved away from");
}

/// A cache in which the write of the entry "a" has failed by `write`.
fn after_a_failed_write(
    write: &mut dyn FnMut(&mut EntryDraft) -> io::Result<()>,
) -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache_of(Some(spec(folder.path(), 1 << 20)));
    let Ok(CacheEntry::Absent(claim)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("found") };
    assert!(claim.store(&head(10), write).is_none());
    (folder, cache)
}

fn full_disk(_: &mut EntryDraft) -> io::Result<()> {
    Err(io::ErrorKind::StorageFull.into())
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let (folder, _cache) = after_a_failed_write(&mut full_disk);
    assert_eq!(names(&folder.path().join(".cache")), Vec::<String>::new());
}

#[test]
fn after_a_write_that_failed_the_entry_can_be_made() {
    let (_folder, cache) = after_a_failed_write(&mut full_disk);
    assert!(!make(&cache, "a", 10));
    assert!(make(&cache, "a", 10));
}

#[test]
fn more_numbers_than_the_head_allows_make_no_entry() {
    let (_folder, cache) = after_a_failed_write(&mut |draft| draft.put(0, 1, &[0_u32; 10]));
    assert!(!make(&cache, "a", 10));
}

/// The variable that names the cache's folder to a child process of a test.
const CHILD: &str = "SWEEP_TEST_CACHE";

/// A process of its own, since this one is meant to die.
#[test]
#[ignore = "another test starts it in a process of its own"]
fn reads_a_mapped_entry_that_is_cut() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let spec = CacheSpec { folder: folder.into(), bytes: 1 << 30 };
    let cache = Cache::new(Some(spec.clone()), CopyRoom::of(0));
    let Ok(CacheEntry::Present(entry)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("absent") };
    let numbers: Numbers<u32> = entry.array(0).unwrap();
    File::options().write(true).open(spec.folder.join(key("a").0)).unwrap().set_len(100).unwrap();
    panic!("the last number is still {}", numbers[numbers.len() - 1]);
}

#[test]
fn a_process_whose_mapped_entry_is_cut_dies_of_sigbus_and_the_next_makes_the_entry_again() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 30);
    let cache = cache_of(Some(spec.clone()));
    make(&cache, "a", 100_000);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "cache::tests::reads_a_mapped_entry_that_is_cut", "--ignored"]);
    let died = child.env(CHILD, &spec.folder).output().unwrap();
    let bus = rustix::process::Signal::BUS.as_raw();
    assert_eq!(died.status.signal(), Some(bus), "{}", String::from_utf8_lossy(&died.stdout));
    assert!(!make(&cache, "a", 100_000), "the entry that is cut is not used");
}

#[test]
fn a_copy_of_an_entry_outlives_the_cutting_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 30);
    let cache = cache_of(Some(spec.clone()));
    make(&cache, "a", 100_000);
    let Ok(CacheEntry::Present(entry)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("absent") };
    File::options().write(true).open(spec.folder.join(key("a").0)).unwrap().set_len(100).unwrap();
    let numbers: Numbers<u32> = entry.array(0).unwrap();
    assert_eq!(numbers[99_999], 99_999);
    numbers.verify().unwrap();
}

#[test]
fn a_mapped_entry_with_any_covered_byte_changed_is_found_to_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 20);
    let cache = Cache::new(Some(spec.clone()), CopyRoom::of(0));
    make(&cache, "a", 20);
    let Ok(CacheEntry::Present(entry)) = cache.find(&key("a"), &mut || Ok(())) else { panic!("absent") };
    let numbers: Numbers<u32> = entry.array(0).unwrap();
    let path = spec.folder.join(key("a").0);
    let whole = fs::read(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    for (place, byte) in whole.iter().enumerate() {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte ^ 1], place as u64).unwrap();
        assert_eq!(numbers.verify().is_err(), place >= 48, "byte {place}");
        std::os::unix::fs::FileExt::write_all_at(&file, &[*byte], place as u64).unwrap();
    }
}

#[test]
fn room_for_copies_comes_back_when_entries_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), 1 << 20);
    let room = CopyRoom::of(head(1000).file_length());
    let cache = Cache::new(Some(spec), room.clone());
    make(&cache, "a", 1000);
    let held = |cache: &Cache| match cache.find(&key("a"), &mut || Ok(())).unwrap() {
        CacheEntry::Present(entry) => entry,
        CacheEntry::Absent(_) => panic!("absent"),
    };
    let is_copied = |entry: &Entry| format!("{entry:?}").contains("Copied");
    let first = held(&cache);
    assert!(is_copied(&first) && !is_copied(&held(&cache)));
    drop(first);
    assert!(is_copied(&held(&cache)));
}
