//! Workers that hang, lie, flood, leave others behind or run out of memory, one by one.

use rustix::process::{Pid, test_kill_process};

use super::*;
use sweep::system::memory::Memory;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

/// Runs one trial that does `deed` in its first attempt: what the failure was called.
async fn failure_of(deed: &str) -> FailureKind {
    let mut bench = Bench::new(1, 2, &format!("1 1 {deed}"));
    bench.policy().stall_limit = LONG;
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2], "{deed}");
    let failures = bench.failures(ONE);
    let [(kind, true)] = failures.as_slice() else { panic!("{deed}: {failures:?}") };
    kind.clone()
}

/// Whether a process is neither gone nor dead and only not reaped yet.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    Pid::from_raw(i32::try_from(pid).unwrap()).is_some_and(|pid| test_kill_process(pid).is_ok())
        && state.is_some_and(|state| state != 'Z' && state != 'X')
}

#[tokio::test]
async fn what_is_not_in_the_protocol_is_called_so_whatever_it_is() {
    for deed in [
        "long-line",
        "broken-utf8",
        "deep",
        "deep-event",
        "ready-twice",
        "three-classes",
        "unasked-stop",
        "foreign-event",
        "foreign",
    ] {
        assert_eq!(failure_of(deed).await, FailureKind::Protocol, "{deed}");
    }
}

#[tokio::test]
async fn the_end_of_a_process_is_told_by_its_code_or_signal() {
    assert_eq!(failure_of("exit").await, FailureKind::Exit(3));
    assert_eq!(failure_of("abort").await, FailureKind::Signal(6));
    assert_eq!(failure_of("segfault").await, FailureKind::Signal(11));
    assert_eq!(failure_of("half-an-outcome").await, FailureKind::Signal(9));
    assert_eq!(failure_of("panic").await, FailureKind::Panic);
    assert_eq!(failure_of("disk").await, FailureKind::Disk);
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_even_if_it_is_deaf_to_signals() {
    for deed in ["hang", "hang-deaf"] {
        let mut bench = Bench::new(1, 1, &format!("* 1 {deed}"));
        bench.policy().stall_limit = Duration::from_secs(1);
        bench.policy().retries.stalled = 5;
        let ended = bench.run().await;
        assert_eq!(states(&ended.study), [State::Complete], "{deed}");
        assert_eq!(bench.failures(ONE)[0], (FailureKind::Stalled, true));
        assert!(!is_alive(bench.pids(ONE)[0]));
    }
}

#[tokio::test]
async fn a_worker_that_talks_is_not_stalled_but_its_time_is_up_some_time() {
    let mut bench = Bench::new(1, 2, "1 * chatter");
    bench.policy().stall_limit = LONG;
    bench.policy().time_limit = Some(Duration::from_millis(500));
    let ended = bench.run().await;
    assert_eq!(states(&ended.study)[0], State::Failed);
    assert_eq!(bench.failures(ONE), [(FailureKind::TimeLimit, false)]);
}

#[tokio::test]
async fn a_worker_whose_output_ends_while_it_lives_is_ended() {
    let mut bench = Bench::new(1, 1, "* 1 closed-output");
    bench.run.workers.leave = SHORT;
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(bench.failures(ONE), [(FailureKind::Protocol, true)]);
}

#[tokio::test]
async fn floods_and_second_outcomes_harm_nobody() {
    let bench = Bench::new(2, 4, "1 1 good-flood\n2 1 twice\n3 1 flood");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 4]);
    assert!(bench.failures(ONE).is_empty() && bench.failures(TWO).is_empty());
    // Whoever has the next trial by then is the one who lied.
    let others = [bench.failures(TrialId(3)), bench.failures(TrialId(4))].concat();
    assert!(others.iter().all(|failure| *failure == (FailureKind::Protocol, true)), "{others:?}");
}

#[tokio::test]
async fn a_worker_that_stays_after_its_last_trial_is_killed() {
    let mut bench = Bench::new(1, 1, "* * finished-and-stays");
    bench.run.workers.leave = SHORT;
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert!(!is_alive(bench.pids(ONE)[0]));
}

#[tokio::test]
async fn what_a_worker_started_is_killed_with_it() {
    let bench = Bench::new(1, 1, "* 1 orphan");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    let orphan = fs::read_to_string(bench.folder().trial(ONE).path().join("orphan")).unwrap();
    assert!(!is_alive(orphan.parse().unwrap()));
}

#[tokio::test]
async fn a_worker_that_does_not_stop_or_leave_is_ended_and_no_process_is_left() {
    for deed in ["deaf-to-stop", "stays-after-stop"] {
        let mut bench = Bench::new(1, 1, &format!("* * {deed}"));
        bench.run.workers.leave = SHORT;
        let again = deed == "deaf-to-stop";
        let wish = |note: &Note<'_>| is_evaluated(note, ONE) || (again && matches!(note, Note::Stopping(1)));
        let ended = bench.run_interrupted(wish).await;
        assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true), "{deed}");
        assert!(!is_alive(bench.pids(ONE)[0]), "{deed}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_nothing_and_the_user_is_told_what_happens() {
    let bench =
        Bench::new(2, 3, "1 1 disk-full\n1 2 disk-full\n2 1 waits-for-space\n3 1 dies-waiting-for-space");
    let (_sender, interrupts) = mpsc::channel(1);
    let (mut troubles, mut relieved) = (Vec::new(), 0);
    let mut watch = |note: Note<'_>| match note {
        Note::Trouble(text) => troubles.push(text),
        Note::Relief(_) => relieved += 1,
        Note::Logged(..) | Note::Moved(..) | Note::Stopping(_) => {}
    };
    let draw: executor::Draw = Box::new(|_, _| Ok(()));
    let ended = executor::run(bench.run.clone(), interrupts, draw, &mut watch).await.unwrap();
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!(bench.failures(ONE), [(FailureKind::DiskFull, true), (FailureKind::DiskFull, true)]);
    assert!(bench.failures(TWO).is_empty());
    assert!(
        troubles.iter().all(|text| text.contains("is full") && text.contains("nothing is lost")),
        "{troubles:?}"
    );
    assert!((2..=4).contains(&troubles.len()) && relieved == troubles.len(), "{troubles:?}, {relieved}");
}

/// The sizes of the passes of each attempt, `None` for whole ones, and whether it was alone.
fn attempts(bench: &Bench, trial: TrialId) -> Vec<(Option<usize>, bool)> {
    let attempt = |record: Record| match record.event {
        Event::Started { micro_batch, alone, .. } if record.trial == Some(trial) => {
            Some((micro_batch, alone))
        }
        _ => None,
    };
    bench.records().into_iter().filter_map(attempt).collect()
}

#[tokio::test]
async fn a_trial_that_runs_out_of_memory_is_made_smaller_until_it_fits() {
    let bench = Bench::new(1, 2, "1 * out-of-memory-above 8");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    let sizes = [None, None, Some(16), Some(8)].map(|size| (size, false));
    assert_eq!(attempts(&bench, ONE), sizes);
    let kind = FailureKind::OutOfMemory(Memory::Host);
    assert_eq!(bench.failures(ONE), vec![(kind, true); 3]);
    assert_eq!(ended.study.trials[0].micro_batch, Some(8));
    assert!(bench.log(ONE).contains("memory allocation of"), "{}", bench.log(ONE));
    assert_eq!(attempts(&bench, TWO), [(None, false)]);
}

#[tokio::test]
async fn a_trial_that_fits_nowhere_is_given_up_after_it_was_alone_and_the_others_complete() {
    let bench = Bench::new(2, 4, "2 * no-memory");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete, State::Failed, State::Complete, State::Complete]);
    let sizes = [None, None, Some(16), Some(8), Some(4), Some(2), Some(1)].map(|size| (size, false));
    let mut expected = sizes.to_vec();
    expected.push((Some(1), true));
    assert_eq!(attempts(&bench, TWO), expected);
}

#[tokio::test]
async fn memory_of_a_gpu_that_ran_out_is_treated_alike() {
    assert_eq!(failure_of("no-gpu-memory").await, FailureKind::OutOfMemory(Memory::Cuda));
}
