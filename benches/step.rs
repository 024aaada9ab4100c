//! Seconds of one training step: what `compare.sh` sets beside `step_peer.py`.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench step -- MODEL_DIR TEXTS.tsv full|real cls|mean STEPS [f32|bf16]
//! ```
//! `full`: every text fills 128 tokens; `real`: the texts as they are, cut at 128 tokens. Batches of 32,
//! dropout 0.1, AdamW, `matmul_precision` as said. Prints JSON: seconds of each step but the first, and
//! each step's loss. `SWEEP_DEVICE=cuda:0` or `wgpu:0` trains on a GPU, which this build must have.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use sweep::{
    checkpoint::Checkpoint,
    data::{DataSpec, Duplicates, Limit, Source},
    job::{Attempt, Job},
    policy::CheckpointEvery,
    settings::{LongText, MatmulPrecision, Pooling, Settings},
    system::device::{Device, GpuBackend},
    train::{Report, Session, Stopped},
    trial::{Params, Trial, TrialId},
};

const BATCH: usize = 32;
const USAGE: &str = "usage: step MODEL_DIR TEXTS.tsv full|real cls|mean STEPS [f32|bf16]";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let [model, texts, shape, pooling, steps, precision @ ..] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let precision = precision.first().map_or(Some(MatmulPrecision::F32), |name| MatmulPrecision::parse(name));
    let steps: usize = steps.parse()?;
    // As a worker does.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let folder = tempfile::tempdir()?;
    let texts = documents(Path::new(texts), shape == "full", steps * BATCH)?;
    let data = data(folder.path(), &texts)?;
    let settings = Settings {
        checkpoint: Checkpoint::Folder(fs::canonicalize(model)?),
        pooling: if pooling == "mean" { Pooling::Mean } else { Pooling::Cls },
        long: LongText::Head,
        chunk_length: 128,
        epochs: 1,
        matmul_precision: precision.ok_or(USAGE)?,
        batch_size: BATCH,
        ..Settings::default()
    };
    let trial = Trial { id: TrialId(1), params: Params::default(), repeat: 0, seed: 1, settings };
    let job = Job {
        sweep: "bench".to_owned(),
        trial,
        data,
        checkpoint_every: CheckpointEvery::Steps(u64::MAX),
        data_digest: None,
        checkpoint_digest: None,
        cache: None,
    };
    let (mut times, mut losses) = (Vec::new(), Vec::new());
    let mut observe = |report: Report| match report {
        Report::Progress(progress) => {
            times.push(Instant::now());
            losses.push(progress.train_loss);
            // No evaluation: it is not a step.
            if times.len() == steps { Err(Stopped) } else { Ok(()) }
        }
        _ => Ok(()),
    };
    Session::open(device()?)?.run(
        &job,
        Attempt::default(),
        &sweep::system::files::Place::named(folder.path()),
        &mut observe,
    )?;
    let seconds: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    say(&serde_json::json!({ "seconds": seconds, "losses": losses }).to_string());
    Ok(())
}

fn device() -> Result<Device, Box<dyn Error>> {
    let Ok(name) = std::env::var("SWEEP_DEVICE") else { return Ok(Device::Cpu { slot: 0, threads: 1 }) };
    let (backend, index) = match name.split_once(':') {
        Some(("cuda", index)) => (GpuBackend::Cuda, index),
        Some(("wgpu", index)) => (GpuBackend::Wgpu, index),
        _ => return Err(format!("SWEEP_DEVICE={name}: write cuda:0 or wgpu:0").into()),
    };
    Ok(Device::Gpu { backend, index: index.parse()? })
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}

/// Texts and labels: the first `count` of the file, each filled up to 128 tokens and more if `full`.
fn documents(path: &Path, full: bool, count: usize) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let row = |line: &str| {
        let (label, text) = line.split_once('\t')?;
        let text = if full { text.chars().cycle().take(400).collect() } else { text.to_owned() };
        Some((text, label.to_owned()))
    };
    let rows: Vec<_> = text.lines().skip(1).filter_map(row).take(count).collect();
    if rows.len() < count {
        return Err(format!("{} has {} texts, {count} are wanted", path.display(), rows.len()).into());
    }
    Ok(rows)
}

fn data(folder: &Path, texts: &[(String, String)]) -> Result<DataSpec, Box<dyn Error>> {
    let write = |name: &str, texts: &[(String, String)]| -> Result<PathBuf, Box<dyn Error>> {
        let path = folder.join(name);
        let mut file = String::from("label\ttext\n");
        for (text, label) in texts {
            writeln!(file, "{label}\t{text}")?;
        }
        fs::write(&path, file)?;
        Ok(path)
    };
    let some = &texts[..BATCH.min(texts.len())];
    Ok(DataSpec {
        source: Source::Files {
            train: write("train.tsv", texts)?,
            validation: write("validation.tsv", some)?,
            test: write("test.tsv", some)?,
        },
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        encoding: None,
        duplicates: Duplicates::Keep,
        limit: Limit::default(),
        seed: 1,
    })
}
