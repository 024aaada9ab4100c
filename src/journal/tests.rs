//! The log: what is appended, synced and replayed, and how a torn or damaged one is read.

use proptest::prelude::*;

use std::fs;

use super::*;
use crate::{
    system::device::Device,
    trial::{Failure, FailureKind},
};

fn events() -> impl Strategy<Value = Vec<(Option<TrialId>, Event)>> {
    let event = prop_oneof![
        (1_u32..4, 0_usize..3, any::<bool>()).prop_map(|(attempt, slot, alone)| Event::Started {
            attempt,
            device: Device::Cpu { slot, threads: 1 },
            micro_batch: alone.then_some(slot),
            alone,
            with: (0..attempt - 1).map(TrialId).collect(),
            worker: None,
        }),
        (".{0,12}", any::<bool>()).prop_map(|(message, retry)| Event::Failed {
            failure: Failure { kind: FailureKind::Signal(9), message },
            retry
        }),
        any::<bool>().prop_map(|interrupted| Event::SweepEnded { interrupted }),
        Just(Event::Interrupted),
    ];
    prop::collection::vec((prop::option::of((1_u32..9).prop_map(TrialId)), event), 1..6)
}

fn written(path: &Place, events: &[(Option<TrialId>, Event)]) -> Vec<Record> {
    let (mut journal, _) = Journal::open(path).unwrap();
    let at = SystemTime::UNIX_EPOCH;
    events.iter().map(|(trial, event)| journal.append(*trial, event.clone(), at).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_log_cut_at_any_byte_replays_to_a_prefix_and_can_be_appended_to(events in events()) {
        let folder = tempfile::tempdir().unwrap();
        let path = Place::named(folder.path()).join("events.jsonl");
        let records = written(&path, &events);
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let mut whole = Vec::new();
            let found = read(path.path(), &bytes[..cut], &mut |record| whole.push(record)).unwrap();
            let breaks = bytes[..cut].split(|&byte| byte == b'\n').count() - 1;
            prop_assert_eq!(&whole, &records[..breaks]);
            prop_assert_eq!(found.torn_bytes == 0, cut == 0 || bytes[cut - 1] == b'\n');
        }
        let cut = bytes.len() - 1;
        fs::write(&path, &bytes[..cut]).unwrap();
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(None, Event::Interrupted, SystemTime::UNIX_EPOCH).unwrap();
        let again = replay(&path).unwrap();
        prop_assert_eq!(again.records.len(), records.len());
        prop_assert_eq!(again.torn_bytes, 0);
    }
}

#[test]
fn after_a_record_that_was_not_written_whole_none_is_written_behind_it() {
    // A device that is full at once, and that cannot be cut off.
    let file = File::options().append(true).open("/dev/full").unwrap();
    let mut journal = Journal { file, place: Place::of("log"), length: 0, next_seq: 1, is_torn: false };
    let mut append = || match journal.append(None, Event::Interrupted, SystemTime::UNIX_EPOCH) {
        Err(JournalError::Io { operation, source, .. }) => (operation, source.kind()),
        other => panic!("{other:?}"),
    };
    assert_eq!(append(), ("append to", io::ErrorKind::StorageFull));
    assert_eq!(append().0, "truncate");
}

fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = Place::named(folder.path()).join("events.jsonl");
    fs::write(&path, text).unwrap();
    let message = Journal::open(&path).unwrap_err().to_string();
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "a refused log stays as it is");
    message.replace(&format!("{}/", folder.path().display()), "")
}

const FIRST: &str = "{\"v\":1,\"seq\":1,\"at\":\"x\",\"event\":\"interrupted\"}\n";

#[test]
fn a_missing_record_is_refused() {
    let text = format!("{FIRST}{}", FIRST.replace("\"seq\":1", "\"seq\":3"));
    assert_eq!(
        refused(&text),
        format!(
            "events.jsonl line 2 has number 3 where 2 should stand: the log was edited or damaged; {RESTART}"
        )
    );
}

#[test]
fn a_record_of_a_later_version_is_refused_whatever_else_it_says() {
    let later = LOG_VERSION + 1;
    let text = format!("{FIRST}{{\"v\":{later},\"seq\":2,\"event\":{{\"unheard_of\":[]}}}}\n");
    assert_eq!(
        refused(&text),
        format!(
            "events.jsonl line 2 was written by a later version (log format {later}, this program reads up to \
             {LOG_VERSION}); use that version, or forget the sweep's results: sweep run SPEC --fresh"
        )
    );
}

#[test]
fn garbage_before_the_last_line_is_refused() {
    let message = refused(&format!("garbage\n{FIRST}"));
    assert!(message.starts_with("events.jsonl line 1 is not a record") && message.contains("--fresh"));
}

#[test]
fn a_last_line_of_garbage_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = Place::named(folder.path()).join("events.jsonl");
    fs::write(&path, format!("{FIRST}\0\0\0\n")).unwrap();
    let (_, replay) = Journal::open(&path).unwrap();
    assert_eq!((replay.records.len(), replay.torn_bytes), (1, 4));
    assert_eq!(fs::read_to_string(&path).unwrap(), FIRST);
}

#[test]
fn a_tail_of_which_nothing_was_synced_is_torn_whatever_of_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = Place::named(folder.path()).join("events.jsonl");
    let resumed = |seq: u64| {
        FIRST
            .replace("\"seq\":1", &format!("\"seq\":{seq}"))
            .replace("\"interrupted\"", "{\"resumed\":{\"step\":3,\"epoch\":0.5}}")
    };
    let tail = format!("\0\0{}{}{{\"v\":1,", resumed(2), resumed(3));
    fs::write(&path, format!("{FIRST}{tail}")).unwrap();
    let (_, replay) = Journal::open(&path).unwrap();
    assert_eq!((replay.records.len(), replay.torn_bytes), (1, tail.len() as u64));
    // A state change after it was synced with all before it: then it is damage.
    let text = format!("{FIRST}\0{}{}", resumed(2), FIRST.replace("\"seq\":1", "\"seq\":3"));
    assert!(refused(&text).starts_with("events.jsonl line 2 is not a record"));
}

/// A log with three records, its bytes, and a tail of it.
fn tail() -> (tempfile::TempDir, Place, Vec<u8>, Tail) {
    let folder = tempfile::tempdir().unwrap();
    let path = Place::named(folder.path()).join("events.jsonl");
    let failed = || (Some(TrialId(1)), Event::Interrupted);
    written(&path, &[failed(), failed(), failed()]);
    let bytes = fs::read(&path).unwrap();
    (folder, path.clone(), bytes, Tail::new(path))
}

#[test]
fn a_tail_gives_each_record_once_and_waits_for_half_a_record() {
    let (_folder, path, bytes, mut tail) = tail();
    let mut seen = Vec::new();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        tail.read(&mut |record| seen.push(record.seq)).unwrap();
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn a_tail_waits_while_there_is_no_log() {
    let (_folder, path, _, mut tail) = tail();
    fs::remove_file(&path).unwrap();
    assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::By(0));
}

#[test]
fn a_tail_notices_that_its_log_was_replaced_or_cut_off() {
    let (folder, path, bytes, mut tail) = tail();
    assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::By(3));
    let other = folder.path().join("other");
    fs::write(&other, [&bytes[..], &bytes].concat()).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::Replaced);
    let mut tail = Tail::new(path.clone());
    tail.read(&mut |_| ()).unwrap();
    fs::write(&path, &bytes[..10]).unwrap();
    assert_eq!(tail.read(&mut |_| ()).unwrap(), Growth::Replaced);
}

#[test]
fn a_tail_refuses_the_log_of_a_later_version() {
    let (_folder, path, bytes, mut tail) = tail();
    let later = String::from_utf8(bytes).unwrap().replacen(&format!("\"v\":{LOG_VERSION}"), "\"v\":99", 1);
    fs::write(&path, later).unwrap();
    assert!(matches!(tail.read(&mut |_| ()), Err(JournalError::Version { found: 99, line: 1, .. })));
}
