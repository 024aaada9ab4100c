//! Seconds of one training step: what `compare.sh` sets beside `step_peer.py`.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench step -- MODEL_DIR TEXTS.tsv full|real cls|mean STEPS [f32|bf16]
//! ```
//! `full`: every text fills 128 tokens; `real`: the texts as they are, cut at 128 tokens. Batches of 32,
//! dropout 0.1, AdamW, `matmul_precision` as said. Prints JSON: seconds of each step but the first, and
//! each step's loss. `SWEEP_DEVICE=cuda:0` or `wgpu:0` trains on a GPU, which this build must have.
//! `SWEEP_SHAPE=16x512` has batches of 16 texts of 512 tokens. `made-up:12x768` in the place of `MODEL_DIR`
//! is an encoder of 12 layers of width 768 with random weights, and BERT's vocabulary size;
//! `step make 12x768 FOLDER` writes it into FOLDER/encoder. `SWEEP_TRIALS=4` trains four trials together, as one
//! that `fuse` makes of them, each with a seed, a learning rate and a dropout of its own; the losses are the first one's.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensorError, tensor::TensorView};
use sweep::{
    checkpoint::Checkpoint,
    data::{Alike, DataSpec, Duplicates, Limit, Source},
    job::{Attempt, Job},
    policy::CheckpointEvery,
    settings::{LongText, MatmulPrecision, Pooling, Settings},
    system::{
        device::{Device, GpuBackend},
        files::Place,
    },
    train::{Ending, Entrant, Listener, Report, Session, Stopped, TrainError},
    trial::{Params, Trial, TrialId},
};

const USAGE: &str = "usage: step MODEL_DIR TEXTS.tsv full|real cls|mean STEPS [f32|bf16]";

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [make, shape, folder] = words.as_slice()
        && make == "make"
    {
        return made_up(Path::new(folder), shape).map(drop);
    }
    let [model, texts, shape, pooling, steps, precision @ ..] = words.as_slice() else {
        return Err(USAGE.into());
    };
    let precision = precision.first().map_or(Some(MatmulPrecision::F32), |name| MatmulPrecision::parse(name));
    let steps: usize = steps.parse()?;
    // As a worker does.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let folder = tempfile::tempdir()?;
    let [batch, length] = batches()?;
    let texts = documents(Path::new(texts), shape == "full", steps * batch)?;
    let data = data(folder.path(), &texts, batch)?;
    let checkpoint = match model.strip_prefix("made-up:") {
        Some(shape) => made_up(folder.path(), shape)?,
        None => fs::canonicalize(model)?,
    };
    let settings = Settings {
        checkpoint: Checkpoint::Folder(checkpoint),
        pooling: if pooling == "mean" { Pooling::Mean } else { Pooling::Cls },
        long: LongText::Head,
        chunk_length: length,
        epochs: 1,
        matmul_precision: precision.ok_or(USAGE)?,
        batch_size: batch,
        ..Settings::default()
    };
    let together = std::env::var("SWEEP_TRIALS").ok().map(|count| count.parse::<u32>()).transpose()?;
    let jobs: Vec<Job> = (1..=together.unwrap_or(1)).map(|trial| job(trial, &settings, &data)).collect();
    let mut notes = Notes { steps, times: Vec::new(), losses: Vec::new(), failed: None };
    let mut session = Session::open(device()?)?;
    if together.is_some() {
        session.run_together(&entrants(&jobs, &places(folder.path(), &jobs)?), &mut notes)?;
    } else {
        let observe = &mut |report| notes.on_report(0, report);
        session.run(&jobs[0], Attempt::default(), &Place::named(folder.path()), observe)?;
    }
    if let Some(error) = notes.failed {
        return Err(error.into());
    }
    let seconds: Vec<f64> = notes.times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    say(&serde_json::json!({ "seconds": seconds, "losses": notes.losses }).to_string());
    Ok(())
}

/// Keeps when the first trial made its steps, with their losses.
struct Notes {
    /// After so many steps all trials stop, without an evaluation: it is not a step.
    steps: usize,
    times: Vec<Instant>,
    losses: Vec<f64>,
    failed: Option<TrainError>,
}

impl Listener for Notes {
    fn on_report(&mut self, trial: usize, report: Report) -> Result<(), Stopped> {
        let Report::Progress(progress) = report else { return Ok(()) };
        if trial == 0 {
            self.times.push(Instant::now());
            self.losses.push(progress.train_loss);
        }
        if self.times.len() == self.steps { Err(Stopped) } else { Ok(()) }
    }

    fn on_end(&mut self, _: usize, ending: Result<Ending, TrainError>) {
        self.failed = self.failed.take().or(ending.err());
    }
}

/// The job of a trial, from 1. The first one has `settings`; the others differ in what trials together may differ in.
fn job(trial: u32, settings: &Settings, data: &DataSpec) -> Job {
    let share = f64::from(trial - 1) / 100.0;
    let settings = Settings {
        learning_rate: settings.learning_rate * (1.0 + share),
        dropout: settings.dropout + share,
        ..settings.clone()
    };
    let seed = u64::from(trial);
    let trial = Trial {
        id: TrialId(trial),
        params: Params::default(),
        repeat: 0,
        fold: None,
        seed,
        settings,
        origin: None,
        confirms: None,
    };
    Job {
        sweep: "bench".to_owned(),
        trial,
        data: data.clone(),
        checkpoint_every: CheckpointEvery::Steps(u64::MAX),
        data_digest: None,
        checkpoint_digest: None,
        cache: None,
    }
}

/// A folder for each of `jobs`.
fn places(folder: &Path, jobs: &[Job]) -> Result<Vec<Place>, Box<dyn Error>> {
    let mut places = Vec::new();
    for job in jobs {
        let folder = folder.join(job.trial.id.to_string());
        fs::create_dir(&folder)?;
        places.push(Place::named(folder));
    }
    Ok(places)
}

fn entrants<'a>(jobs: &'a [Job], places: &'a [Place]) -> Vec<Entrant<'a>> {
    let attempt = Attempt::default();
    jobs.iter().zip(places).map(|(job, folder)| Entrant { job, attempt, folder }).collect()
}

/// Texts of a batch, and the most tokens of one.
fn batches() -> Result<[usize; 2], Box<dyn Error>> {
    let Ok(shape) = std::env::var("SWEEP_SHAPE") else { return Ok([32, 128]) };
    pair(&shape).ok_or_else(|| format!("SWEEP_SHAPE={shape}: write 16x512").into())
}

fn pair(shape: &str) -> Option<[usize; 2]> {
    let (first, second) = shape.split_once('x')?;
    Some([first.parse().ok()?, second.parse().ok()?])
}

/// Writes an encoder of this shape, such as 12x768, with random weights, and returns its folder.
fn made_up(folder: &Path, shape: &str) -> Result<PathBuf, Box<dyn Error>> {
    let [layers, width] = pair(shape).ok_or("write made-up:12x768, layers and width")?;
    let folder = folder.join("encoder");
    fs::create_dir(&folder)?;
    let hanzi = ('\u{4e00}'..'\u{9fa5}').map(String::from);
    let tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into_iter().chain(hanzi).collect();
    fs::write(folder.join("vocab.txt"), tokens.join("\n"))?;
    let config = serde_json::json!({
        "model_type": "bert", "vocab_size": tokens.len(), "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": width / 64, "intermediate_size": 4 * width, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "initializer_range": 0.02,
        "pad_token_id": 0,
    });
    fs::write(folder.join("config.json"), config.to_string())?;
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![tokens.len(), width]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![512, width]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, width]),
        ("pooler.dense.weight".to_owned(), vec![width, width]),
        ("pooler.dense.bias".to_owned(), vec![width]),
    ];
    let mut norm = |name: String| {
        shapes.extend(["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![width])));
    };
    norm("embeddings.LayerNorm".to_owned());
    for layer in 0..layers {
        norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"));
        norm(format!("encoder.layer.{layer}.output.LayerNorm"));
    }
    for layer in 0..layers {
        for (name, inputs, outputs) in [
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", width, 4 * width),
            ("output.dense", 4 * width, width),
        ] {
            let name = format!("encoder.layer.{layer}.{name}");
            shapes.push((format!("{name}.weight"), vec![outputs, inputs]));
            shapes.push((format!("{name}.bias"), vec![outputs]));
        }
    }
    write(&folder.join("model.safetensors"), &shapes)?;
    Ok(folder)
}

/// Writes tensors: ones for the weights of norms, small random numbers for all others.
fn write(path: &Path, shapes: &[(String, Vec<usize>)]) -> Result<(), Box<dyn Error>> {
    let mut draw = ChaCha8Rng::seed_from_u64(1);
    let mut tensors = Vec::new();
    for (name, shape) in shapes {
        let is_one = name.ends_with("LayerNorm.weight");
        let value = |_| if is_one { 1.0 } else { draw.random_range(-0.035_f32..0.035) };
        let values: Vec<u8> = (0..shape.iter().product()).map(value).flat_map(f32::to_le_bytes).collect();
        tensors.push((name.clone(), shape.clone(), values));
    }
    let views = tensors.iter().map(|(name, shape, values)| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), values)?))
    });
    let views = views.collect::<Result<Vec<_>, SafeTensorError>>()?;
    Ok(safetensors::serialize_to_file(views, None, path)?)
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
        let text = if full { text.chars().cycle().take(1_600).collect() } else { text.to_owned() };
        Some((text, label.to_owned()))
    };
    let rows: Vec<_> = text.lines().skip(1).filter_map(row).take(count).collect();
    if rows.len() < count {
        return Err(format!("{} has {} texts, {count} are wanted", path.display(), rows.len()).into());
    }
    Ok(rows)
}

fn data(folder: &Path, texts: &[(String, String)], batch: usize) -> Result<DataSpec, Box<dyn Error>> {
    let write = |name: &str, texts: &[(String, String)]| -> Result<PathBuf, Box<dyn Error>> {
        let path = folder.join(name);
        let mut file = String::from("label\ttext\n");
        for (text, label) in texts {
            writeln!(file, "{label}\t{text}")?;
        }
        fs::write(&path, file)?;
        Ok(path)
    };
    let some = &texts[..batch.min(texts.len())];
    Ok(DataSpec {
        source: Source::Files {
            train: write("train.tsv", texts)?,
            validation: Some(write("validation.tsv", some)?),
            test: write("test.tsv", some)?,
        },
        text: "text".to_owned(),
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
    })
}
