//! The protocol from the worker's side, with training that does what a test says.

mod together;

use std::{fs::File, io::Read, path::Path, sync::mpsc, time::Instant};

use super::{reporter::PROGRESS_EVERY, server::LOOK_EVERY, *};
use crate::{
    event::{Evaluation, Event, Outcome, Progress},
    job::{Attempt, Job},
    metrics::{Confusion, Scores, Target},
    protocol::WorkerRequest,
    results::{TrialFolder, write_json},
    samples,
    system::{files::Place, panics::Panicked},
    train::{Ending, Entrant, Listener, Observe, Report, Stopped, TrainError},
    trial::{Failure, FailureKind, TrialId},
};

const ONE: TrialId = TrialId(1);

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = samples::plan(1);
    let job = plan.job(&plan.trials[0]);
    write_json(&TrialFolder::new(Place::named(folder.path())).job(), &job).unwrap();
    folder
}

fn request(folder: &Path) -> String {
    let (sweep, folder) = (folder.parent().unwrap().to_owned(), folder.file_name().unwrap().into());
    let (attempt, identity) = (Attempt::default(), None);
    let trials = vec![Assignment { trial: ONE, sweep, identity, folder, attempt }];
    let request = WorkerRequest::Run { trials };
    serde_json::to_string(&request).unwrap() + "\n"
}

/// Input that holds back everything after its first part until it is released.
struct Held {
    first: io::Cursor<String>,
    release: Option<mpsc::Receiver<()>>,
    rest: io::Cursor<String>,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.first.read(buffer)? {
            0 => {
                if let Some(release) = self.release.take() {
                    let _ = release.recv();
                }
                self.rest.read(buffer)
            }
            count => Ok(count),
        }
    }
}

/// Runs one trial: job, attempt, folder, and the function that hears reports.
type TrainOne<'a> = dyn FnMut(&Job, Attempt, &Place, &mut Observe<'_>) -> Result<Ending, TrainError> + 'a;

/// Runs trials as a function says, one after another.
struct ByFunction<'a, 'b>(&'a mut TrainOne<'b>);

impl Train for ByFunction<'_, '_> {
    fn alone(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        (self.0)(job, attempt, folder, observe)
    }

    fn together(&mut self, entrants: &[Entrant<'_>], listener: &mut dyn Listener) -> Result<(), TrainError> {
        for (place, &Entrant { job, attempt, folder }) in entrants.iter().enumerate() {
            let ending = (self.0)(job, attempt, folder, &mut |report| listener.on_report(place, report));
            listener.on_end(place, ending);
        }
        Ok(())
    }
}

/// A worker that measures nothing.
fn server<W>(output: W, requests: Requests, panics: &Panics) -> Server<W> {
    Server { output, requests, panics: panics.clone(), measure: Box::new(|| None) }
}

/// Serves `input`. Returns the lines after `ready`, and why the worker left.
fn serve(input: impl Read + Send + 'static, train: &mut TrainOne<'_>) -> (Vec<WorkerLine>, Left) {
    serve_by(input, &mut ByFunction(train))
}

fn serve_by(input: impl Read + Send + 'static, train: &mut dyn Train) -> (Vec<WorkerLine>, Left) {
    let mut output = Vec::new();
    let requests = Requests::listen(BufReader::new(input), || {}).unwrap();
    let panics = Panics::default();
    panics.note(Panicked { text: "panicked at\nsomewhere".to_owned(), ..Panicked::default() });
    let left = server(&mut output, requests, &panics).serve(train);
    let lines = output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut lines: Vec<WorkerLine> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(lines.remove(0), WorkerLine::Ready { v: PROTOCOL_VERSION });
    (lines, left)
}

/// As `serve`, with input that ends only when the last trial has.
fn serve_one(train: &mut TrainOne<'_>) -> (Vec<WorkerLine>, Left) {
    let folder = folder();
    let (sender, release) = mpsc::channel();
    let first = io::Cursor::new(request(folder.path()));
    let input = Held { first, release: Some(release), rest: io::Cursor::default() };
    serve(input, &mut |job, attempt, path, observe| {
        let ending = train(job, attempt, path, observe);
        sender.send(()).unwrap();
        ending
    })
}

fn scores(loss: f64) -> Scores {
    Scores { loss, ..Scores::new(Confusion::new(2), 0.5, Target::Class(1)) }
}

fn outcome(test_loss: f64) -> Outcome {
    Outcome {
        best_epoch: 1.0,
        best_step: 8,
        epochs_run: 1.0,
        stopped_early: false,
        train_loss: 0.5,
        validation: scores(0.5),
        test: scores(test_loss),
        training: None,
        seconds: 1.0,
        files: None,
    }
}

fn evaluation(loss: f64) -> Evaluation {
    Evaluation {
        epoch: 1.0,
        step: 8,
        train_loss: 0.5,
        learning_rate: 1e-4,
        validation: scores(loss),
        best: true,
        seconds: 1.0,
    }
}

fn progress(step: u64) -> Progress {
    Progress { epoch: 1, epochs: 1, step, steps: 1000, train_loss: 0.5 }
}

fn kind(lines: &[WorkerLine]) -> FailureKind {
    match lines.last() {
        Some(WorkerLine::Failed(ONE, failure)) => failure.kind.clone(),
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn a_complete_trial_is_reported_and_the_worker_leaves_with_its_input() {
    let (lines, left) = serve_one(&mut |job, _, _, observe| {
        assert_eq!(job.trial.id, ONE);
        assert_eq!(observe(Report::Evaluated(evaluation(0.5))), Ok(()));
        Ok(Ending::Complete(Box::new(outcome(0.5))))
    });
    let evaluated = WorkerLine::Event(ONE, Event::Evaluated(evaluation(0.5)));
    assert_eq!(lines, [evaluated, WorkerLine::Finished(ONE, outcome(0.5))]);
    assert_eq!(left, Left::Quietly);
}

#[test]
fn progress_is_told_a_few_times_a_second_however_fast_steps_are() {
    let begun = Instant::now();
    let (lines, _) = serve_one(&mut |_, _, _, observe| {
        (1..=1000).for_each(|step| _ = observe(Report::Progress(progress(step))));
        Ok(Ending::Stopped)
    });
    let most = 1 + begun.elapsed().as_millis() / PROGRESS_EVERY.as_millis();
    assert_eq!(lines[0], WorkerLine::Progress(ONE, progress(1)));
    assert!((lines.len() - 1) as u128 <= most, "{} lines", lines.len() - 1);
}

#[test]
fn a_stop_reaches_the_trial_and_is_answered() {
    let folder = folder();
    let (sender, release) = mpsc::channel();
    let rest = serde_json::to_string(&WorkerRequest::Stop(ONE)).unwrap() + "\n";
    let input = Held {
        first: io::Cursor::new(request(folder.path())),
        release: Some(release),
        rest: io::Cursor::new(rest),
    };
    let (lines, _) = serve(input, &mut |_, _, _, observe| {
        assert_eq!(observe(Report::Progress(progress(1))), Ok(()));
        sender.send(()).unwrap();
        while observe(Report::Progress(progress(2))) == Ok(()) {
            thread::yield_now();
        }
        Ok(Ending::Stopped)
    });
    assert_eq!(lines.last(), Some(&WorkerLine::Stopped(ONE)));
}

#[test]
fn the_end_of_the_input_stops_a_running_trial() {
    let folder = folder();
    let (lines, left) = serve(io::Cursor::new(request(folder.path())), &mut |_, _, _, observe| {
        while observe(Report::Progress(progress(1))) == Ok(()) {
            thread::yield_now();
        }
        Ok(Ending::Stopped)
    });
    assert_eq!((lines.last(), left), (Some(&WorkerLine::Stopped(ONE)), Left::Quietly));
}

#[test]
fn a_panic_is_a_failure_with_its_text_on_one_line() {
    let (lines, left) = serve_one_panicking();
    let message = "panicked at somewhere".to_owned();
    assert_eq!(lines, [WorkerLine::Failed(ONE, Failure { kind: FailureKind::Panic, message })]);
    assert_eq!(left, Left::AfterFailure);
}

fn serve_one_panicking() -> (Vec<WorkerLine>, Left) {
    let folder = folder();
    // Unwinds without the hook, which would print into the test's output.
    serve(io::Cursor::new(request(folder.path())), &mut |_, _, _, _| std::panic::resume_unwind(Box::new(())))
}

#[test]
fn a_validation_loss_that_is_not_finite_fails_the_trial_with_its_step() {
    let (lines, left) = serve_one(&mut |_, _, _, observe| {
        assert_eq!(observe(Report::Evaluated(evaluation(f64::NAN))), Err(Stopped));
        Ok(Ending::Stopped)
    });
    assert_eq!((kind(&lines), left), (FailureKind::NonFinite { step: 8 }, Left::AfterFailure));
}

#[test]
fn a_test_loss_that_is_not_finite_is_never_reported_as_an_outcome() {
    let (lines, _) = serve_one(&mut |_, _, _, _| Ok(Ending::Complete(Box::new(outcome(f64::INFINITY)))));
    assert_eq!(kind(&lines), FailureKind::NonFinite { step: 8 });
}

#[test]
fn a_missing_trial_file_fails_the_trial() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, _) =
        serve(io::Cursor::new(request(folder.path())), &mut |_, _, _, _| unreachable!("there is no job"));
    assert_eq!(kind(&lines), FailureKind::Disk);
}

#[test]
fn a_closed_output_stops_the_trial_and_ends_the_worker_quietly() {
    /// Takes the first line and no other.
    struct Closing(bool);
    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0 = true;
            Ok(())
        }
    }
    let folder = folder();
    let (sender, release) = mpsc::channel();
    let input = Held {
        first: io::Cursor::new(request(folder.path())),
        release: Some(release),
        rest: io::Cursor::default(),
    };
    let requests = Requests::listen(BufReader::new(input), || {}).unwrap();
    let server = server(Closing(false), requests, &Panics::default());
    let left = server.serve(&mut ByFunction(&mut |_, _, _, observe| {
        assert_eq!(observe(Report::Evaluated(evaluation(0.5))), Err(Stopped));
        Ok(Ending::Stopped)
    }));
    drop(sender);
    assert_eq!(left, Left::Quietly);
}

#[test]
fn a_trial_waits_until_no_other_process_works_in_its_folder() {
    let folder = folder();
    let other = File::open(folder.path()).unwrap();
    other.try_lock().unwrap();
    let (begins, begun) = mpsc::channel();
    let (sender, release) = mpsc::channel();
    let first = io::Cursor::new(request(folder.path()));
    let input = Held { first, release: Some(release), rest: io::Cursor::default() };
    let worker = thread::spawn(move || {
        serve(input, &mut |_, _, _, _| {
            begins.send(()).unwrap();
            sender.send(()).unwrap();
            Ok(Ending::Stopped)
        })
    });
    assert!(begun.recv_timeout(10 * LOOK_EVERY).is_err(), "it began beside the other");
    drop(other);
    begun.recv().unwrap();
    assert_eq!(worker.join().unwrap().0, [WorkerLine::Stopped(ONE)]);
}

#[test]
fn a_worker_that_waits_for_another_obeys_a_stop() {
    let folder = folder();
    let other = File::open(folder.path()).unwrap();
    other.try_lock().unwrap();
    let (lines, _) =
        serve(io::Cursor::new(request(folder.path())), &mut |_, _, _, _| unreachable!("it waits"));
    assert_eq!(lines, [WorkerLine::Stopped(ONE)]);
}

#[test]
fn a_panic_of_a_devices_own_thread_fails_a_trial_that_goes_on_as_if_nothing_had_happened() {
    let folder = folder();
    let panics = Panics::default();
    let device = panics.clone();
    let requests = Requests::listen(BufReader::new(io::Cursor::new(request(folder.path()))), || {}).unwrap();
    let mut output = Vec::new();
    let left = server(&mut output, requests, &panics).serve(&mut ByFunction(&mut |_, _, _, observe| {
        let text = r#"panicked at stream.rs: DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, "")"#.to_owned();
        device.note_elsewhere(Panicked { text, file: "/x/cubecl-cuda-0.10.0/src/stream.rs".to_owned() });
        // Training hears of it as of a wish to stop, at its next report.
        assert_eq!(observe(Report::Evaluated(evaluation(0.5))), Err(Stopped));
        Ok(Ending::Stopped)
    }));
    assert_eq!(left, Left::AfterFailure);
    let last = output.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let WorkerLine::Failed(ONE, failure) = serde_json::from_slice(last).unwrap() else {
        panic!("no failure")
    };
    assert_eq!(failure.kind, FailureKind::DeviceLost);
}

/// It would be what the next attempt begins with.
#[test]
fn nothing_is_told_or_kept_of_what_a_device_computes_after_a_panic_of_its_own_thread() {
    let folder = folder();
    let panics = Panics::default();
    let device = panics.clone();
    let requests = Requests::listen(BufReader::new(io::Cursor::new(request(folder.path()))), || {}).unwrap();
    let mut output = Vec::new();
    server(&mut output, requests, &panics).serve(&mut ByFunction(&mut |_, _, _, observe| {
        assert_eq!(observe(Report::Saving), Ok(()));
        device.note_elsewhere(Panicked::default());
        assert_eq!(observe(Report::Saving), Err(Stopped));
        assert_eq!(observe(Report::Evaluated(evaluation(0.5))), Err(Stopped));
        Ok(Ending::Stopped)
    }));
    assert!(!String::from_utf8(output).unwrap().contains("evaluated"));
}

#[test]
fn what_a_first_trial_took_of_the_gpu_is_told_before_its_end() {
    let folder = folder();
    let requests = Requests::listen(BufReader::new(io::Cursor::new(request(folder.path()))), || {}).unwrap();
    let mut output = Vec::new();
    let server =
        Server { measure: Box::new(|| Some(7)), ..server(&mut output, requests, &Panics::default()) };
    server.serve(&mut ByFunction(&mut |_, _, _, _| Ok(Ending::Complete(Box::new(outcome(0.5))))));
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(lines[0] == r#"{"gpu_memory":[1,7]}"# && lines[1].starts_with(r#"{"finished":[1,"#), "{text}");
}
