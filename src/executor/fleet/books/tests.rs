//! Decisions about jobs by example, on a made-up clock.

use super::*;
use crate::{
    mailbox::{Registration, WorkerName},
    system::device::Device,
};

const PREFIX: &str = "sweep-a-0c1b2d-";
const POLL: Duration = Duration::from_secs(15);

fn books() -> Books {
    Books::new(PREFIX.to_owned(), Vec::new(), POLL)
}

fn queued(number: u64, state: JobState, reason: &str) -> QueuedJob {
    let (id, name) = (100 + number, format!("{PREFIX}{number}"));
    QueuedJob { id, state, reason: reason.to_owned(), node: String::new(), name }
}

fn known(job: u64, is_lost: Option<Instant>) -> Known {
    Known {
        name: WorkerName::parse(&format!("w{job}")).unwrap(),
        registration: Registration {
            v: 1,
            version: String::new(),
            job_name: format!("{PREFIX}{job}"),
            job: Some(100 + job),
            host: "n1".to_owned(),
            pid: 1,
            devices: vec![Device::Cpu { slot: 0, threads: 1 }],
            arithmetic: String::new(),
            is_for_one: false,
        },
        lost: is_lost,
        has_left: false,
    }
}

/// The names' numbers of the jobs that are to be submitted.
fn submitted(decisions: &[Decision]) -> Vec<u64> {
    let name = |decision: &Decision| match decision {
        Decision::Submit(name) => name.strip_prefix(PREFIX)?.parse().ok(),
        _ => None,
    };
    decisions.iter().filter_map(name).collect()
}

/// Books with `count` jobs that were submitted.
fn with_jobs(count: u64, now: Instant) -> Books {
    let mut books = books();
    books.on_queue(&[], &[], now);
    let decisions = books.decide(usize::try_from(count).unwrap(), 0, 50, &[], now);
    for number in submitted(&decisions) {
        books.intend(&format!("{PREFIX}{number}"));
        books.on_submitted(&format!("{PREFIX}{number}"), 100 + number);
    }
    books
}

#[tokio::test]
async fn as_many_jobs_are_submitted_as_there_is_work_for_and_no_more_than_may_wait() {
    let now = Instant::now();
    let mut books = books();
    assert_eq!(submitted(&books.decide(3, 0, 50, &[], now)), [] as [u64; 0], "nothing is known yet");
    books.on_queue(&[], &[], now);
    assert_eq!(submitted(&books.decide(3, 0, 2, &[], now)), [1, 2]);
    let mut books = with_jobs(3, now);
    assert_eq!(submitted(&books.decide(3, 0, 50, &[], now)), [] as [u64; 0]);
    books.on_queue(&[queued(1, JobState::Running, ""), queued(2, JobState::Running, "")], &[], now);
    assert_eq!(submitted(&books.decide(5, 0, 2, &[], now)), [4], "one waits already");
}

#[tokio::test]
async fn a_job_whose_submission_is_unclear_is_looked_for_before_another_is_asked_for() {
    let now = Instant::now();
    let mut books = books();
    books.on_queue(&[], &[], now);
    books.intend(&format!("{PREFIX}1"));
    books.on_unclear("sbatch gave no answer", now);
    let later = now + POLL;
    books.on_queue(&[queued(1, JobState::Pending, "Priority")], &[], later);
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], later)), [] as [u64; 0], "it was submitted");
    assert_eq!(books.status(&[]).jobs[0].id, Some(101));
}

#[tokio::test]
async fn a_job_that_was_never_submitted_is_asked_for_again_after_a_while() {
    let now = Instant::now();
    let mut books = books();
    books.on_queue(&[], &[], now);
    books.intend(&format!("{PREFIX}1"));
    books.on_unclear("sbatch gave no answer", now);
    let soon = now + POLL;
    books.on_queue(&[], &[], soon);
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], soon)), [] as [u64; 0]);
    let later = soon + GRACE;
    books.on_queue(&[], &[], later);
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], later)), [2]);
}

#[tokio::test]
async fn a_query_that_fails_ends_no_job() {
    let now = Instant::now();
    let mut books = with_jobs(2, now);
    for minutes in 1..60 {
        let later = now + Duration::from_mins(minutes);
        books.on_silence("Unable to contact slurm controller", later);
        let decisions = books.decide(2, 0, 50, &[], later);
        assert!(decisions.iter().all(|decision| matches!(decision, Decision::Say(_))), "{decisions:?}");
    }
    assert_eq!(books.status(&[]).jobs.len(), 2);
}

#[tokio::test]
async fn a_job_that_slurm_has_forgotten_counts_as_long_as_its_worker_is_heard() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    let roster = [known(1, None)];
    for minutes in 0..10 {
        books.on_queue(&[], &roster, now + Duration::from_mins(minutes));
    }
    assert_eq!(books.status(&roster).jobs.len(), 1);
    let later = now + Duration::from_mins(20);
    books.on_queue(&[], &[], later);
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], later)), [2]);
}

#[tokio::test]
async fn a_job_that_waits_again_is_the_same_job() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    books.on_queue(&[queued(1, JobState::Running, "")], &[], now);
    books.on_queue(&[queued(1, JobState::Pending, "BeginTime")], &[known(1, None)], now);
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], now)), [] as [u64; 0]);
}

#[tokio::test]
async fn jobs_that_end_for_nothing_are_explained_and_in_the_end_given_up() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    for number in 1..=5 {
        let later = now + POLL * u32::try_from(number).unwrap();
        books.on_queue(
            &[queued(number, JobState::Ended("FAILED".to_owned()), "NonZeroExitCode")],
            &[],
            later,
        );
        let decisions = books.decide(1, 0, 50, &[], later);
        assert!(decisions.contains(&Decision::Explain(100 + number)), "{decisions:?}");
        assert_eq!(
            decisions.iter().any(|it| matches!(it, Decision::GiveUp(_))),
            number == 5,
            "{decisions:?}"
        );
        if let [next] = submitted(&decisions)[..] {
            books.on_submitted(&format!("{PREFIX}{next}"), 100 + next);
        }
    }
}

#[tokio::test]
async fn the_end_of_a_trial_is_a_sign_that_jobs_are_of_use() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    for number in 1..=20 {
        books.on_queue(
            &[queued(number, JobState::Ended("TIMEOUT".to_owned()), "")],
            &[known(number, None)],
            now,
        );
        let decisions = books.decide(1, usize::try_from(number).unwrap(), 50, &[known(number, None)], now);
        assert_eq!(submitted(&decisions), [number + 1]);
        books.on_submitted(&format!("{PREFIX}{}", number + 1), 101 + number);
    }
}

#[tokio::test]
async fn jobs_that_end_with_their_trials_are_of_use_even_if_slurm_says_so_later() {
    let now = Instant::now();
    let over: Vec<QueuedJob> =
        (1..=8).map(|number| queued(number, JobState::Ended("COMPLETED".to_owned()), "")).collect();
    let roster: Vec<Known> = (1..=8).map(|number| known(number, None)).collect();
    let mut books = with_jobs(8, now);
    books.on_queue(&over, &roster, now);
    assert_eq!(submitted(&books.decide(8, 8, 50, &roster, now)).len(), 8, "at once");
    let mut books = with_jobs(8, now);
    assert_eq!(books.decide(8, 8, 50, &roster, now), []);
    books.on_queue(&over, &roster, now);
    assert_eq!(submitted(&books.decide(8, 8, 50, &roster, now)).len(), 8, "later");
}

#[tokio::test]
async fn a_refusal_is_said_in_slurms_words_and_ends_a_run_that_has_no_job() {
    let now = Instant::now();
    let mut books = books();
    books.on_queue(&[], &[], now);
    books.on_refusal(&format!("{PREFIX}1"), "invalid partition specified: x", now);
    let decisions = books.decide(1, 0, 50, &[], now);
    assert!(
        matches!(&decisions[..], [Decision::Say(_), Decision::GiveUp(why)] if why.contains("invalid partition"))
    );
}

#[tokio::test]
async fn a_refusal_beside_jobs_that_run_waits_longer_each_time() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    books.on_refusal(&format!("{PREFIX}2"), "QOSMaxSubmitJobPerUserLimit", now);
    assert_eq!(submitted(&books.decide(2, 0, 50, &[], now + POLL / 2)), [] as [u64; 0]);
    assert_eq!(submitted(&books.decide(2, 0, 50, &[], now + POLL)), [2]);
    books.on_refusal(&format!("{PREFIX}2"), "QOSMaxSubmitJobPerUserLimit", now + POLL);
    assert_eq!(submitted(&books.decide(2, 0, 50, &[], now + 2 * POLL)), [] as [u64; 0]);
    assert_eq!(submitted(&books.decide(2, 0, 50, &[], now + 3 * POLL)), [2]);
}

#[tokio::test]
async fn a_limit_that_other_jobs_fill_is_waited_out_with_advice() {
    let now = Instant::now();
    let mut books = books();
    books.on_queue(&[], &[], now);
    let words = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
    books.on_refusal(&format!("{PREFIX}1"), words, now);
    let decisions = books.decide(1, 0, 50, &[], now);
    assert!(
        matches!(&decisions[..], [Decision::Say(text)] if text.contains("submit fewer jobs") && text.contains("15 s")),
        "{decisions:?}"
    );
    assert_eq!(submitted(&books.decide(1, 0, 50, &[], now + POLL)), [1]);
}

#[tokio::test]
async fn after_a_submission_that_is_not_clear_no_other_is_made_for_a_while() {
    let now = Instant::now();
    let mut books = books();
    books.on_queue(&[], &[], now);
    assert_eq!(submitted(&books.decide(12, 0, 50, &[], now)).len(), 12);
    assert!(books.may_submit(now));
    books.intend(&format!("{PREFIX}1"));
    books.on_unclear("Unable to contact slurm controller", now);
    assert!(!books.may_submit(now), "the rest of the twelve is left");
    // The controller is away for an hour: nothing is known, and nothing is given up.
    for minutes in 1..60 {
        let later = now + Duration::from_mins(minutes);
        books.on_queue(&[], &[], later);
        for number in submitted(&books.decide(12, 0, 50, &[], later)) {
            if books.may_submit(later) {
                books.intend(&format!("{PREFIX}{number}"));
                books.on_unclear("Unable to contact slurm controller", later);
            }
        }
        let decisions = books.decide(12, 0, 50, &[], later);
        assert!(!decisions.iter().any(|it| matches!(it, Decision::GiveUp(_))), "{decisions:?}");
    }
}

#[tokio::test]
async fn while_slurm_does_not_answer_it_is_asked_less_and_less_often() {
    let now = Instant::now();
    let mut books = books();
    books.on_silence("no answer", now);
    assert!(!books.may_ask(now + POLL / 2) && books.may_ask(now + POLL));
    books.on_silence("no answer", now + POLL);
    assert!(!books.may_ask(now + 2 * POLL) && books.may_ask(now + 3 * POLL));
    books.on_queue(&[], &[], now + 3 * POLL);
    assert!(books.may_ask(now + 3 * POLL) && books.may_submit(now + 3 * POLL));
}

#[tokio::test]
async fn jobs_of_an_earlier_run_that_have_ended_meanwhile_say_nothing_about_this_one() {
    let now = Instant::now();
    let noted = |number: u64| JobNote { name: format!("{PREFIX}{number}"), id: Some(100 + number) };
    for is_listed in [true, false] {
        let mut books = Books::new(PREFIX.to_owned(), (1..=12).map(noted).collect(), POLL);
        let over = |number| queued(number, JobState::Ended("CANCELLED".to_owned()), "");
        let listed: Vec<QueuedJob> = if is_listed { (1..=12).map(over).collect() } else { Vec::new() };
        books.on_queue(&listed, &[], now);
        let later = now + 2 * GRACE;
        books.on_queue(&listed, &[], later);
        let decisions = books.decide(2, 0, 50, &[], later);
        assert_eq!(decisions.iter().filter(|it| matches!(it, Decision::Forget(_))).count(), 12);
        assert_eq!(submitted(&decisions), [13, 14], "{decisions:?}");
        assert_eq!(decisions.len(), 14, "{decisions:?}");
    }
}

#[tokio::test]
async fn a_controller_that_loses_all_jobs_at_once_ends_nothing() {
    let mut now = Instant::now();
    let mut books = with_jobs(8, now);
    for wave in 1..=VAIN_MAX {
        books.on_queue(&[], &[], now);
        now += 2 * GRACE;
        books.on_queue(&[], &[], now);
        let decisions = books.decide(8, 0, 50, &[], now);
        let is_over = decisions.iter().any(|it| matches!(it, Decision::GiveUp(_)));
        assert_eq!(is_over, wave == VAIN_MAX, "{decisions:?}");
        for number in submitted(&decisions) {
            books.on_submitted(&format!("{PREFIX}{number}"), 100 + number);
        }
    }
}

#[tokio::test]
async fn a_job_that_runs_again_after_a_requeue_has_time_for_its_next_worker() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    let roster = [known(1, Some(now))];
    books.on_queue(&[queued(1, JobState::Running, "")], &roster, now);
    books.on_queue(&[queued(1, JobState::Pending, "BeginTime")], &roster, now + GRACE);
    let again = now + 10 * GRACE;
    books.on_queue(&[queued(1, JobState::Running, "")], &roster, again);
    assert_eq!(books.decide(1, 0, 50, &roster, again + GRACE), []);
    books.on_queue(&[queued(1, JobState::Running, "")], &roster, again + GRACE);
    assert_eq!(books.decide(1, 0, 50, &roster, again + 4 * GRACE), [Decision::Cancel(101)]);
}

#[tokio::test]
async fn the_job_of_a_worker_that_stays_silent_is_ended_so_that_another_can_come() {
    let now = Instant::now();
    let mut books = with_jobs(1, now);
    let roster = [known(1, Some(now))];
    books.on_queue(&[queued(1, JobState::Running, "")], &roster, now);
    assert_eq!(books.decide(1, 0, 50, &roster, now + GRACE), []);
    assert_eq!(books.decide(1, 0, 50, &roster, now + 4 * GRACE), [Decision::Cancel(101)]);
    let again = [known(1, Some(now)), known(1, None)];
    assert_eq!(books.decide(1, 0, 50, &again, now + 8 * GRACE), [], "it has come back as another worker");
}

#[tokio::test]
async fn advice_about_a_reason_is_given_once() {
    let now = Instant::now();
    let mut books = with_jobs(2, now);
    let held = [queued(1, JobState::Pending, "JobHeldUser"), queued(2, JobState::Pending, "JobHeldUser")];
    books.on_queue(&held, &[], now);
    let decisions = books.decide(2, 0, 50, &[], now);
    assert!(matches!(&decisions[..], [Decision::Say(text)] if text.contains("JobHeldUser")), "{decisions:?}");
    assert_eq!(books.decide(2, 0, 50, &[], now), []);
}
