//! What trials over a frozen encoder cost together and one after another.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench fused -- [MODEL_DIR] [cls|mean] [ROUNDS]
//! ```
//!
//! One session trains 1, 4 and 16 trials of `builtin:reviews` that differ in learning rate and dropout: one
//! after another, and together, in turn for each round. A trial before them fills what they share. Prints,
//! as medians, the time of a trial from its job to its outcome, on the clock and of the processor, and that of a step
//! (without evaluations and checkpoints, and for the trials together over their number); and how far the
//! predictions and best steps of both are apart. Set `GLIBC_TUNABLES` as in PROFILE.md: workers have it.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]

use std::{
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use sweep::{
    checkpoint::{Checkpoint, MINI},
    data::{Alike, DataSpec, Duplicates, Limit, Shares, Source},
    event::Outcome,
    job::{Attempt, Job},
    policy::CheckpointEvery,
    settings::{Freeze, Pooling, Settings},
    system::{device::Device, files::Place},
    train::{Ending, Entrant, Listener, Report, Session, Stopped, TrainError},
    trial::{Params, Trial, TrialId},
};

const COUNTS: [u32; 3] = [1, 4, 16];
const USAGE: &str = "usage: fused [MODEL_DIR] [cls|mean] [ROUNDS]";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let (mut model, mut pooling, mut rounds) = (MINI.to_owned(), Pooling::Cls, 5);
    for word in &words {
        match word.as_str() {
            "cls" => pooling = Pooling::Cls,
            "mean" => pooling = Pooling::Mean,
            word if Path::new(word).is_dir() => model = fs::canonicalize(word)?.display().to_string(),
            word => rounds = word.parse().map_err(|_| USAGE)?,
        }
    }
    let mut session = Session::open(Device::Cpu { slot: 0, threads: 1 })?;
    train(&mut session, &jobs(1, &model, pooling), false)?;
    for count in COUNTS {
        let jobs = jobs(count, &model, pooling);
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (runs, is_fused) in runs.iter_mut().zip([false, true]) {
                runs.push(train(&mut session, &jobs, is_fused)?);
            }
        }
        let [apart, fused] = &runs;
        say(&format!(
            "{count:>2} trials: one after another {}, together {}; {}",
            times(apart, count),
            times(fused, count),
            differences(&apart[0], &fused[0])?
        ));
    }
    Ok(())
}

/// What the trials of a run came to.
struct Run {
    wall: Duration,
    /// Of the processor.
    processor: Duration,
    /// Of all steps that follow a step directly, and their number over all trials.
    steps: Duration,
    step_count: u32,
    outcomes: Vec<Outcome>,
    /// By trial, all probabilities of the predictions.
    probabilities: Vec<Vec<f64>>,
}

/// Measures steps, and keeps outcomes.
struct Notes {
    outcomes: Vec<Option<Outcome>>,
    /// The number of trials that make a step together. Their first one stands for all.
    together: u32,
    /// When the last step was, if nothing but steps was reported since.
    last: Option<Instant>,
    steps: Duration,
    step_count: u32,
}

impl Listener for Notes {
    fn on_report(&mut self, trial: usize, report: Report) -> Result<(), Stopped> {
        if !matches!(report, Report::Progress(_)) {
            self.last = None;
        } else if self.together == 1 || trial == 0 {
            let now = Instant::now();
            if let Some(last) = self.last.replace(now) {
                self.steps += now - last;
                self.step_count += self.together;
            }
        }
        Ok(())
    }

    fn on_end(&mut self, trial: usize, ending: Result<Ending, TrainError>) {
        if let Ok(Ending::Complete(outcome)) = ending {
            self.outcomes[trial] = Some(*outcome);
        }
    }
}

/// Trains `jobs` together, or one after another.
fn train(session: &mut Session, jobs: &[Job], is_fused: bool) -> Result<Run, Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let folder = |job: &Job| root.path().join(job.trial.id.to_string());
    for job in jobs {
        fs::create_dir(folder(job))?;
    }
    let places: Vec<Place> = jobs.iter().map(|job| Place::named(folder(job))).collect();
    let attempt = Attempt::default();
    let entrants: Vec<Entrant<'_>> =
        jobs.iter().zip(&places).map(|(job, folder)| Entrant { job, attempt, folder }).collect();
    let together = if is_fused { u32::try_from(jobs.len())? } else { 1 };
    let outcomes = vec![None; jobs.len()];
    let mut notes = Notes { outcomes, together, last: None, steps: Duration::ZERO, step_count: 0 };
    let (begun, before) = (Instant::now(), processor_time()?);
    if is_fused {
        session.run_together(&entrants, &mut notes)?;
    } else {
        for (trial, &Entrant { job, attempt, folder }) in entrants.iter().enumerate() {
            let ending = session.run(job, attempt, folder, &mut |report| notes.on_report(trial, report));
            notes.on_end(trial, ending);
        }
    }
    let (wall, processor) = (begun.elapsed(), processor_time()?.saturating_sub(before));
    let outcomes = notes.outcomes.into_iter().collect::<Option<Vec<_>>>().ok_or("a trial is not complete")?;
    let probabilities = jobs.iter().map(|job| probabilities(&folder(job))).collect::<Result<_, _>>()?;
    Ok(Run { wall, processor, steps: notes.steps, step_count: notes.step_count, outcomes, probabilities })
}

fn probabilities(folder: &Path) -> Result<Vec<f64>, Box<dyn Error>> {
    let text = fs::read_to_string(folder.join("predictions.csv"))?;
    let cells = text.lines().skip(1).flat_map(|line| line.split(',').skip(3));
    Ok(cells.map(str::parse).collect::<Result<_, _>>()?)
}

/// Medians of a trial and of a step.
fn times(runs: &[Run], count: u32) -> String {
    let trial = median(runs.iter().map(|run| ms(run.wall) / f64::from(count)));
    let processor = median(runs.iter().map(|run| ms(run.processor) / f64::from(count)));
    let step = median(runs.iter().map(|run| ms(run.steps) / f64::from(run.step_count)));
    format!("{trial:.1} ms a trial ({processor:.1} ms of the processor), {:.0} µs a step", 1e3 * step)
}

fn differences(apart: &Run, fused: &Run) -> Result<String, Box<dyn Error>> {
    let best = |run: &Run| run.outcomes.iter().map(|outcome| outcome.best_step).collect::<Vec<_>>();
    if best(apart) != best(fused) {
        return Err(format!("the best steps are {:?} and {:?}", best(apart), best(fused)).into());
    }
    let pairs = apart.probabilities.iter().flatten().zip(fused.probabilities.iter().flatten());
    let largest = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    Ok(format!("same best steps, largest difference of a probability {largest:e}"))
}

fn jobs(count: u32, model: &str, pooling: Pooling) -> Vec<Job> {
    let job = |id: u32| {
        let settings = Settings {
            checkpoint: Checkpoint::parse(model),
            pooling,
            freeze: Freeze::Encoder,
            chunk_length: 64,
            epochs: 4,
            patience: 4,
            batch_size: 32,
            learning_rate: 1e-4 * f64::from(1 + id % 8),
            dropout: 0.1 * f64::from(id % 3),
            ..Settings::default()
        };
        Job {
            sweep: "bench".to_owned(),
            // One seed: the encoder of `builtin:mini` depends on it.
            trial: Trial {
                id: TrialId(id),
                params: Params::default(),
                repeat: 0,
                fold: None,
                seed: 7,
                settings,
                origin: None,
                confirms: None,
            },
            data: DataSpec {
                source: Source::Reviews { split: Shares::default() },
                text: "text".to_owned(),
                label: "label".to_owned(),
                positive: None,
                average: None,
                encoding: None,
                duplicates: Duplicates::Keep,
                alike: Alike::default(),
                group: None,
                limit: Limit { train: Some(800), validation: Some(200), test: Some(200) },
                folds: None,
                seed: 1,
            },
            checkpoint_every: CheckpointEvery::Steps(u64::MAX),
            data_digest: None,
            checkpoint_digest: None,
            cache: None,
        }
    };
    (1..=count).map(job).collect()
}

/// What the threads of this process have had of the processor.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}
