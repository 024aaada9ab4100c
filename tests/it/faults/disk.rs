//! Workers that find a full disk.

use super::*;

/// What came of a sweep of three trials that find a full disk.
struct FullDisk {
    sweep: FaultySweep,
    ended: Ended,
    warnings: Vec<String>,
    resolved: usize,
}

async fn full_disk() -> FullDisk {
    let script = "1 1 disk-full\n1 2 disk-full\n2 1 waits-for-space\n3 1 dies-waiting-for-space";
    let sweep = FaultySweep::new(2, 3, script);
    let (_sender, interrupts) = mpsc::channel(1);
    let (mut warnings, mut resolved) = (Vec::new(), 0);
    let mut watch = |notice: &Notice<'_>| match notice {
        Notice::Warning(text) => warnings.push(text.clone()),
        Notice::Resolved(_) => resolved += 1,
        Notice::Logged(..)
        | Notice::Progress(..)
        | Notice::Stopping(_)
        | Notice::Workers(_)
        | Notice::Note(_) => {}
    };
    let draw: executor::Draw = Box::new(|_, _| Ok(()));
    let ended = run_observed(&sweep.run, interrupts, draw, &mut watch).await;
    FullDisk { sweep, ended, warnings, resolved }
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
    let FullDisk { warnings, .. } = full_disk().await;
    let says_so = |text: &String| text.contains("is full") && text.contains("nothing is lost");
    assert!(warnings.iter().all(says_so), "{warnings:?}");
    assert!((2..=4).contains(&warnings.len()), "{warnings:?}");
}

#[tokio::test]
async fn each_report_of_a_full_disk_is_followed_by_one_of_space() {
    let FullDisk { warnings, resolved, .. } = full_disk().await;
    assert_eq!(resolved, warnings.len(), "{warnings:?}");
}
