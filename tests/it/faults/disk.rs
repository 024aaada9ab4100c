//! Workers that find a full disk.

use super::*;

/// What came of a sweep of three trials that find a full disk.
struct FullDisk {
    sweep: FaultySweep,
    ended: Ended,
    troubles: Vec<String>,
    relieved: usize,
}

async fn full_disk() -> FullDisk {
    let script = "1 1 disk-full\n1 2 disk-full\n2 1 waits-for-space\n3 1 dies-waiting-for-space";
    let sweep = FaultySweep::new(2, 3, script);
    let (_sender, interrupts) = mpsc::channel(1);
    let (mut troubles, mut relieved) = (Vec::new(), 0);
    let mut watch = |note: Note<'_>| match note {
        Note::Trouble(text) => troubles.push(text),
        Note::Relief(_) => relieved += 1,
        Note::Logged(..) | Note::Moved(..) | Note::Stopping(_) => {}
    };
    let draw: executor::Draw = Box::new(|_, _| Ok(()));
    let ended = executor::run(sweep.run.clone(), interrupts, draw, &mut watch).await.unwrap();
    FullDisk { sweep, ended, troubles, relieved }
}

#[tokio::test]
async fn a_full_disk_fails_no_trial() {
    let FullDisk { sweep, ended, .. } = full_disk().await;
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!(sweep.failures(ONE), [(FailureKind::DiskFull, true), (FailureKind::DiskFull, true)]);
}

#[tokio::test]
async fn a_worker_that_waits_for_space_loses_no_attempt() {
    assert!(full_disk().await.sweep.failures(TWO).is_empty());
}

#[tokio::test]
async fn the_user_reads_that_a_full_disk_loses_nothing() {
    let FullDisk { troubles, .. } = full_disk().await;
    let says_so = |text: &String| text.contains("is full") && text.contains("nothing is lost");
    assert!(troubles.iter().all(says_so), "{troubles:?}");
    assert!((2..=4).contains(&troubles.len()), "{troubles:?}");
}

#[tokio::test]
async fn each_report_of_a_full_disk_is_followed_by_one_of_space() {
    let FullDisk { troubles, relieved, .. } = full_disk().await;
    assert_eq!(relieved, troubles.len(), "{troubles:?}");
}
