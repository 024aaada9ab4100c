//! What a warm worker needs before the first step of its next trial.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench warm -- builtin:mini [TRIALS]
//! RAYON_NUM_THREADS=1 cargo bench --bench warm -- MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv [TRIALS]
//! ```
//!
//! One session runs trials of the same data and model, with a seed each, and stops each after some
//! steps; the first trial only warms it up. Batches of 8 texts, cut at 64 tokens. Files have a header and
//! the columns `label` and `text_a`; their texts are filled up to 64 tokens, so that all steps are
//! alike. Prints medians in milliseconds: until the trial is prepared, its first step, a later step, and
//! what comes before the end of the first step beyond a step's own time. Set `GLIBC_TUNABLES` as in
//! PROFILE.md: workers have it.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sweep::{
    checkpoint::{Checkpoint, MINI},
    data::{Alike, DataSpec, Duplicates, Limit, Shares, Source},
    job::{Attempt, Job},
    policy::CheckpointEvery,
    settings::{LongText, Settings},
    system::device::Device,
    train::{Report, Session, Stopped},
    trial::{Params, Trial, TrialId},
};

const STEPS: usize = 6;
const USAGE: &str = "usage: warm builtin:mini [TRIALS] | warm MODEL_DIR TRAIN.tsv DEV.tsv TEST.tsv [TRIALS]";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let texts = tempfile::tempdir()?;
    let (model, source, trials) = match words.as_slice() {
        [model, rest @ ..] if model == MINI && rest.len() < 2 => {
            (model.clone(), Source::Reviews { split: Shares::default() }, rest.first())
        }
        [model, train, validation, test, rest @ ..] if rest.len() < 2 => {
            let [train, validation, test] = [train, validation, test].map(|path| filled(path, texts.path()));
            let source = Source::Files { train: train?, validation: Some(validation?), test: test? };
            (fs::canonicalize(model)?.display().to_string(), source, rest.first())
        }
        _ => return Err(USAGE.into()),
    };
    let trials: u32 = trials.map_or(Ok(10), |trials| trials.parse())?;
    let mut session = Session::open(Device::Cpu { slot: 0, threads: 1 })?;
    let mut times = Vec::new();
    for id in 0..=trials {
        let folder = tempfile::tempdir()?;
        let job = job(id, &model, source.clone());
        times.push(measure(&mut session, &job, folder.path())?);
    }
    let first = times.remove(0);
    say(&format!("cold: prepared {:.1} ms, first step {:.1} ms", ms(first.prepared), ms(first.first)));
    say(&format!(
        "warm: prepared {:.1} ms, first step {:.1} ms, later step {:.1} ms, beyond a step {:.1} ms ({trials} trials)",
        median(times.iter().map(|times| ms(times.prepared))),
        median(times.iter().map(|times| ms(times.first))),
        median(times.iter().map(|times| ms(times.later))),
        median(times.iter().map(|times| ms(times.prepared) + ms(times.first) - ms(times.later))),
    ));
    Ok(())
}

/// A copy of the file in `folder`, each of whose texts is repeated until it has more than 64 tokens.
fn filled(path: &str, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut copy = String::new();
    for (line, row) in fs::read_to_string(path)?.lines().enumerate() {
        let (label, text) = row.split_once('\t').ok_or("a row has no tab")?;
        let count = if line == 0 { text.len() } else { 200 };
        writeln!(copy, "{label}\t{}", text.chars().cycle().take(count).collect::<String>())?;
    }
    let name = Path::new(path).file_name().ok_or("a file has no name")?;
    let path = folder.join(name);
    fs::write(&path, copy)?;
    Ok(path)
}

/// Of one trial.
struct Times {
    prepared: Duration,
    first: Duration,
    /// The mean of the steps after the first.
    later: Duration,
}

fn measure(session: &mut Session, job: &Job, folder: &Path) -> Result<Times, Box<dyn Error>> {
    let mut moments = vec![Instant::now()];
    let mut observe = |report: Report| {
        if matches!(report, Report::Prepared(_) | Report::Progress(_)) {
            moments.push(Instant::now());
        }
        if moments.len() == STEPS + 2 { Err(Stopped) } else { Ok(()) }
    };
    session.run(job, Attempt::default(), &sweep::system::files::Place::named(folder), &mut observe)?;
    let [received, prepared, first, .., last] = moments.as_slice() else {
        return Err("the data is too small for so many steps".into());
    };
    let later = (*last - *first) / u32::try_from(STEPS - 1)?;
    Ok(Times { prepared: *prepared - *received, first: *first - *prepared, later })
}

fn job(id: u32, model: &str, source: Source) -> Job {
    let is_built_in = matches!(source, Source::Reviews { .. });
    let settings = Settings {
        checkpoint: Checkpoint::parse(model),
        long: LongText::Head,
        chunk_length: 64,
        epochs: 1,
        batch_size: 8,
        ..Settings::default()
    };
    Job {
        sweep: "bench".to_owned(),
        trial: Trial {
            id: TrialId(id),
            params: Params::default(),
            repeat: 0,
            fold: None,
            seed: u64::from(id),
            settings,
            origin: None,
            confirms: None,
        },
        data: DataSpec {
            source,
            text: if is_built_in { "text" } else { "text_a" }.to_owned(),
            label: "label".to_owned(),
            positive: None,
            average: None,
            encoding: None,
            duplicates: Duplicates::Keep,
            alike: Alike::default(),
            group: None,
            limit: Limit::default(),
            folds: None,
            seed: 1,
        },
        checkpoint_every: CheckpointEvery::Steps(u64::MAX),
        data_digest: None,
        checkpoint_digest: None,
        cache: None,
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}
