//! Plans that grow while their sweep runs.

use sweep::{
    sampler::{Proposal, Sampler},
    trial::Trial,
};

use super::*;

/// Plans a second trial once the first one is over.
struct Growing;

impl Sampler for Growing {
    fn ask(&mut self, study: &Study) -> Proposal {
        let trials = match &study.trials[..] {
            [first] if matches!(first.state, State::Complete | State::Failed) => {
                vec![Trial { id: TWO, seed: first.trial.seed + 1, ..first.trial.clone() }]
            }
            _ => Vec::new(),
        };
        Proposal { trials, ended: None }
    }
}

async fn run_growing(sweep: &FaultySweep) -> Ended {
    let (_sender, interrupts) = mpsc::channel(1);
    executor::run(sweep.run.clone(), interrupts, &mut Growing, Vec::new()).await.unwrap()
}

#[tokio::test]
async fn a_plan_grows_by_a_record_of_the_log() {
    let sweep = FaultySweep::new(1, 1, "");
    let ended = run_growing(&sweep).await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    let records = sweep.results().records();
    let of_second = records.into_iter().find(|record| record.trial == Some(TWO)).unwrap();
    let Event::TrialPlanned(trial) = of_second.event else { panic!("{of_second:?}") };
    assert_eq!(trial.seed, sweep.run.plan.trials[0].seed + 1);
}

#[tokio::test]
async fn a_plan_that_grew_is_the_same_after_the_orchestrator_died_at_any_record() {
    let sweep = FaultySweep::new(1, 1, "");
    let ended = run_growing(&sweep).await;
    let log = fs::read_to_string(sweep.run.folder.log()).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    for kept in 0..lines.len() {
        fs::write(sweep.run.folder.log(), lines[..kept].concat()).unwrap();
        let again = run_growing(&sweep).await;
        let trials = |study: &Study| study.trials.iter().map(|it| it.trial.clone()).collect::<Vec<_>>();
        assert_eq!(trials(&again.study), trials(&ended.study), "cut after {kept} records");
        assert_eq!(states(&again.study), [State::Complete; 2], "cut after {kept} records");
    }
}

/// The end of the only trial is the end of its worker too, and so would be that of the run.
#[tokio::test]
async fn a_plan_that_grows_when_the_last_worker_dies_keeps_the_run_going() {
    let mut sweep = FaultySweep::new(1, 1, "1 * killed");
    sweep.policy().retries.signal = 0;
    let ended = run_growing(&sweep).await;
    assert_eq!(states(&ended.study), [State::Failed, State::Complete]);
    let records = sweep.results().records();
    let ends = records.iter().filter(|record| matches!(record.event, Event::SweepEnded { .. }));
    assert_eq!(ends.count(), 1);
    assert!(matches!(records.last().unwrap().event, Event::SweepEnded { .. }));
}
