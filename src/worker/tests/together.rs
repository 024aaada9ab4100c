//! Trials that one worker trains together.

use super::*;

const TWO: TrialId = TrialId(2);

/// A sweep's folder with those of two trials, and the request to train them together.
fn pair() -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let plan = samples::plan(2);
    let trials = plan.trials.iter().map(|trial| {
        let folder = trial.id.to_string();
        std::fs::create_dir(root.path().join(&folder)).unwrap();
        let place = Place::named(root.path().join(&folder));
        write_json(&TrialFolder::new(place).job(), &plan.job(trial)).unwrap();
        let (sweep, attempt, identity) = (root.path().to_owned(), Attempt::default(), None);
        Assignment { trial: trial.id, sweep, identity, folder: folder.into(), attempt }
    });
    let request = WorkerRequest::Run { trials: trials.collect() };
    let request = serde_json::to_string(&request).unwrap() + "\n";
    (root, request)
}

/// Lets a function train two trials together, whose input ends only when it has. Returns the lines.
fn serve_pair(train: &mut TrainTogether<'_>) -> (Vec<WorkerLine>, Left) {
    struct Together<'a, 'b>(&'a mut TrainTogether<'b>, mpsc::Sender<()>);
    impl Train for Together<'_, '_> {
        fn alone(
            &mut self,
            _: &Job,
            _: Attempt,
            _: &Place,
            _: &mut Observe<'_>,
        ) -> Result<Ending, TrainError> {
            unreachable!("they are trained together")
        }
        fn together(
            &mut self,
            entrants: &[Entrant<'_>],
            listener: &mut dyn Listener,
        ) -> Result<(), TrainError> {
            assert_eq!(entrants.iter().map(|one| one.job.trial.id).collect::<Vec<_>>(), [ONE, TWO]);
            let trained = (self.0)(listener);
            self.1.send(()).unwrap();
            trained
        }
    }
    let (_root, request) = pair();
    let (sender, release) = mpsc::channel();
    let first = io::Cursor::new(request);
    let input = Held { first, release: Some(release), rest: io::Cursor::default() };
    serve_by(input, &mut Together(train, sender))
}

/// Trains trials together.
type TrainTogether<'a> = dyn FnMut(&mut dyn Listener) -> Result<(), TrainError> + 'a;

fn not_finite() -> Result<Ending, TrainError> {
    Err(TrainError::NonFinite { step: 3, loss: f64::NAN })
}

fn complete() -> Ending {
    Ending::Complete(Box::new(outcome(0.5)))
}

#[test]
fn of_trials_together_each_is_reported_by_its_own_number() {
    let (lines, left) = serve_pair(&mut |listener| {
        assert_eq!(listener.on_report(1, Report::Evaluated(evaluation(0.5))), Ok(()));
        listener.on_end(1, Ok(complete()));
        assert_eq!(listener.on_report(0, Report::Evaluated(evaluation(0.5))), Ok(()));
        listener.on_end(0, Ok(complete()));
        Ok(())
    });
    let evaluated = |trial| WorkerLine::Event(trial, Event::Evaluated(evaluation(0.5)));
    let finished = |trial| WorkerLine::Finished(trial, outcome(0.5));
    assert_eq!(lines, [evaluated(TWO), finished(TWO), evaluated(ONE), finished(ONE)]);
    assert_eq!(left, Left::Quietly);
}

#[test]
fn a_loss_that_is_not_finite_fails_its_trial_and_no_other() {
    let (lines, left) = serve_pair(&mut |listener| {
        listener.on_end(0, not_finite());
        assert_eq!(listener.on_report(1, Report::Alive), Ok(()), "it goes on");
        listener.on_end(1, Ok(complete()));
        Ok(())
    });
    let [WorkerLine::Failed(ONE, failure), WorkerLine::Alive(TWO), WorkerLine::Finished(TWO, _)] = &lines[..]
    else {
        panic!("{lines:?}")
    };
    assert_eq!((&failure.kind, left), (&FailureKind::NonFinite { step: 3 }, Left::Quietly));
}

#[test]
fn a_worker_whose_last_trial_fails_leaves() {
    let (lines, left) = serve_pair(&mut |listener| {
        listener.on_end(0, Ok(complete()));
        listener.on_end(1, not_finite());
        Ok(())
    });
    assert!(matches!(&lines[..], [WorkerLine::Finished(ONE, _), WorkerLine::Failed(TWO, _)]), "{lines:?}");
    assert_eq!(left, Left::AfterFailure);
}

#[test]
fn after_any_other_failure_the_others_save_and_stop_unheard() {
    let (lines, left) = serve_pair(&mut |listener| {
        listener.on_end(0, Err(TrainError::NoAdapter { index: 0, found: 0 }));
        assert_eq!(listener.on_report(1, Report::Progress(progress(1))), Err(Stopped));
        assert_eq!(listener.on_report(1, Report::Saving), Ok(()));
        listener.on_end(1, Ok(Ending::Stopped));
        Ok(())
    });
    assert!(matches!(&lines[..], [WorkerLine::Failed(ONE, _)]), "{lines:?}");
    assert_eq!(left, Left::AfterFailure);
}

/// Panics while it trains trials together.
struct Panicking;

impl Train for Panicking {
    fn alone(&mut self, _: &Job, _: Attempt, _: &Place, _: &mut Observe<'_>) -> Result<Ending, TrainError> {
        unreachable!("they are trained together")
    }
    fn together(&mut self, _: &[Entrant<'_>], listener: &mut dyn Listener) -> Result<(), TrainError> {
        let _ = listener.on_report(0, Report::Alive);
        // Unwinds without the hook, which would print into the test's output.
        std::panic::resume_unwind(Box::new(()))
    }
}

#[test]
fn a_panic_among_trials_together_is_a_failure_of_all_of_them() {
    let (_root, request) = pair();
    let (lines, left) = serve_by(io::Cursor::new(request), &mut Panicking);
    let failure = Failure { kind: FailureKind::Panic, message: "panicked at somewhere".to_owned() };
    assert_eq!(lines, [WorkerLine::Alive(ONE), WorkerLine::AllFailed(failure)]);
    assert_eq!(left, Left::AfterFailure);
}

#[test]
fn one_of_several_trials_together_can_be_stopped() {
    let (root, request) = pair();
    let (sender, release) = mpsc::channel();
    let rest = serde_json::to_string(&WorkerRequest::Stop(TWO)).unwrap() + "\n";
    let input = Held { first: io::Cursor::new(request), release: Some(release), rest: io::Cursor::new(rest) };
    let (lines, _) = serve(input, &mut |job, _, _, observe| {
        if job.trial.id == ONE {
            return Ok(complete());
        }
        let _ = sender.send(());
        while observe(Report::Progress(progress(2))) == Ok(()) {
            thread::yield_now();
        }
        Ok(Ending::Stopped)
    });
    drop(root);
    assert!(matches!(lines.first(), Some(WorkerLine::Finished(ONE, _))), "{lines:?}");
    assert_eq!(lines.last(), Some(&WorkerLine::Stopped(TWO)));
}
