//! Hand-over by files, in a folder of a test.

use std::io;

use super::*;
use crate::system::{device::Device, files::Place};

fn mailbox(folder: &tempfile::TempDir) -> Mailbox {
    let mailbox = Mailbox::at(Place::named(folder.path()).join(CLUSTER), "test");
    mailbox.make().unwrap();
    mailbox
}

fn worker(text: &str) -> WorkerName {
    WorkerName::parse(text).unwrap()
}

fn registration() -> Registration {
    Registration {
        v: MAILBOX_VERSION,
        version: "1".to_owned(),
        job_name: "sweep-a-1".to_owned(),
        job: Some(7),
        host: "n1".to_owned(),
        pid: 12,
        devices: vec![Device::Cpu { slot: 0, threads: 2 }],
        arithmetic: "2 flex".to_owned(),
        is_for_one: false,
    }
}

#[test]
fn a_worker_is_registered_until_it_is_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let (mailbox, name) = (mailbox(&folder), worker("7-0-n1-12-ab"));
    mailbox.register(&name, &registration()).unwrap();
    assert_eq!(mailbox.workers().unwrap(), std::slice::from_ref(&name));
    assert_eq!(mailbox.read_registration(&name).unwrap(), registration());
    mailbox.unregister(&name).unwrap();
    assert!(!mailbox.is_registered(&name).unwrap());
    assert!(mailbox.order(&name, 1, &Order::Leave).is_err(), "nobody reads it");
}

#[test]
fn signs_of_life_are_one_file_for_each_worker() {
    let folder = tempfile::tempdir().unwrap();
    let (mailbox, name) = (mailbox(&folder), worker("w"));
    mailbox.register(&name, &registration()).unwrap();
    mailbox.beat(&name, 0).unwrap();
    mailbox.beat(&name, 1).unwrap();
    assert_eq!(mailbox.beats().unwrap(), [Beat { worker: name.clone(), count: 2 }]);
    assert!(mailbox.beat(&name, 0).is_err(), "another file was meant");
}

#[test]
fn letters_are_listed_by_worker_process_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = mailbox(&folder);
    let letter = |name: &str, session, number, is_passing| Letter {
        worker: worker(name),
        session,
        number,
        is_passing,
    };
    let wanted = [
        letter("a", 0, 1, false),
        letter("a", 1, 2, false),
        letter("a", 1, 10, false),
        letter("b", 1, 1, true),
    ];
    for letter in wanted.iter().rev() {
        mailbox.post(letter, &Message::Given(letter.number)).unwrap();
    }
    std::fs::write(folder.path().join("cluster/out/.writing-x"), "half").unwrap();
    std::fs::write(folder.path().join("cluster/out/foreign"), "").unwrap();
    assert_eq!(mailbox.letters().unwrap(), wanted);
    assert_eq!(mailbox.read_letter(&wanted[2]).unwrap(), Message::Given(10));
    mailbox.remove_letter(&wanted[2]).unwrap();
    mailbox.remove_letter(&wanted[2]).unwrap();
    assert_eq!(mailbox.letters().unwrap().len(), 3);
}

#[test]
fn names_of_workers_lead_nowhere_else() {
    for text in ["", "../x", "a.b", "a/b", "ä"] {
        assert_eq!(WorkerName::parse(text), None, "{text}");
    }
    let own = WorkerName::new(Some(12), 1, "node-7.cluster", 99);
    assert!(own.as_str().starts_with("12-1-node7cluster-99-"), "{own}");
    assert_eq!(WorkerName::parse(own.as_str()), Some(own));
}

#[test]
fn a_message_that_is_cut_off_is_read_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = mailbox(&folder);
    let letter = Letter { worker: worker("a"), session: 1, number: 1, is_passing: false };
    std::fs::write(folder.path().join("cluster/out/a.1.1.json"), "{\"given\"").unwrap();
    assert_eq!(mailbox.read_letter(&letter).unwrap_err().kind(), io::ErrorKind::InvalidData);
}
