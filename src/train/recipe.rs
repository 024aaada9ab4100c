//! One trial from data to test figures, read from top to bottom.
//!
//! Validation chooses the epoch and stops the training; the test set is measured
//! once, with the best parameters. Nothing here reads a test label before that.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    rc::Rc,
    time::Instant,
};

use burn::{
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    tensor::Tensor,
};

use super::{
    Control, Ending, Engine, Exported, Observe, Report, TrainError,
    backend::Compute,
    checkpoint::Catalog,
    corpora::{Corpora, NoCorpus},
    corpus::Corpus,
    early_stopping::EarlyStopping,
    encoder_config, evaluate,
    frozen::{self, Frozen},
    heads::{self, Objective},
    masks::{self, Masks},
    model::{self, Classifier, Form},
    ops::RowSink,
    optimizer::{AdamW, Freezer, Gradients, Rates},
    outputs,
    predictor::Predictor,
    schedule::LearningRate,
    unchanged,
};
use crate::{
    cache::Cache,
    checkpoint::Checkpoint,
    data::{DataSpec, Dataset, SplitName},
    event::{Evaluation, Outcome, Prepared, Progress},
    job::{Attempt, Job},
    settings::{MatmulPrecision, Pooling, Settings},
};

mod saving;
mod shared;

use self::saving::Saved;

/// Padded tokens of one forward and backward pass; a larger batch is cut into several, whose
/// gradients add up to the same step.
const MICRO_BATCH_TOKENS: usize = 16_384;

/// Runs trials on one device, and keeps what they share.
pub(crate) struct Trainer<C: Compute> {
    device: C::Device,
    datasets: HashMap<DataSpec, (u64, Rc<Dataset>)>,
    corpora: Corpora,
    frozen: frozen::Known,
    /// Digests of checkpoints, where they have been asked for; `None`: its files cannot be read.
    digests: HashMap<Checkpoint, Option<String>>,
    /// The tensors of the checkpoint that was used last, which fit the head that was.
    checkpoint: Option<((Checkpoint, Pooling, usize), Rc<Catalog>)>,
    /// The model that predicted last.
    predictor: Option<Predictor<C>>,
    /// Checkpoints whose files were compared with those of the plan.
    compared: HashSet<Checkpoint>,
}

impl<C: Compute> Trainer<C> {
    pub(crate) fn new(device: C::Device) -> Self {
        Self {
            device,
            datasets: HashMap::new(),
            corpora: Corpora::default(),
            frozen: frozen::Known::default(),
            digests: HashMap::new(),
            checkpoint: None,
            predictor: None,
            compared: HashSet::new(),
        }
    }

    /// One that keeps so many bytes of activations in memory.
    #[cfg(test)]
    pub(crate) fn with_memory(device: C::Device, bytes: usize) -> Self {
        Self { frozen: frozen::Known::within(bytes), ..Self::new(device) }
    }
}

impl<C: Compute> Engine for Trainer<C> {
    fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        let started = Instant::now();
        let settings = &job.trial.settings;
        let config = encoder_config(&settings.checkpoint)?;
        if settings.chunk_length > config.window() {
            let (length, window) = (settings.chunk_length, config.window());
            return Err(TrainError::Window { length, window });
        }
        if settings.matmul_precision == MatmulPrecision::Bf16 && !C::HAS_BF16 {
            return Err(TrainError::NoBf16);
        }
        let cache = Cache::new(job.cache.clone());
        let (key, data) = self.dataset(job)?;
        if self.compared.insert(settings.checkpoint.clone()) {
            unchanged::checkpoint(job)?;
        }
        let mut go_on = || observe(Report::Alive) == Control::Continue;
        let corpus = match self.corpora.get(key, &data, settings, &cache, &mut go_on) {
            Ok(corpus) => corpus,
            Err(NoCorpus::Text(error)) => return Err(error.into()),
            Err(NoCorpus::Stopped) => return Ok(Ending::Stopped),
        };
        let model = self.model(&config, settings, data.labels.len(), job.trial.seed)?;
        let Ok(frozen) = self.freeze((&model, &config), &job.trial, &corpus, &cache, &mut go_on) else {
            return Ok(Ending::Stopped);
        };
        let objective = Objective::new(settings, &data.class_counts());
        let device = &self.device;
        let trial =
            Trial { job, attempt, folder, data: &data, corpus: &corpus, frozen, objective, device, started };
        let rates = Rates::new(settings, config.num_hidden_layers);
        let learner = trial.restore(Learner::new(model, rates, settings), &config, observe)?;
        trial.run(learner, observe)
    }

    fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError> {
        let predictor = match self.predictor.take() {
            Some(known) if known.is_of(model) => known,
            _ => Predictor::open(model, &self.device)?,
        };
        let probabilities = predictor.predict(texts, &self.device);
        self.predictor = Some(predictor);
        probabilities
    }
}

/// What stays the same during a trial.
struct Trial<'a, C: Compute> {
    job: &'a Job,
    attempt: Attempt,
    folder: &'a Path,
    data: &'a Dataset,
    corpus: &'a Corpus,
    /// The part of the encoder that does not learn.
    frozen: Frozen,
    objective: Objective,
    device: &'a C::Device,
    started: Instant,
}

/// What changes during a trial.
struct Learner<C: Compute> {
    model: Classifier<C>,
    optimizer: AdamW<C>,
    stopping: EarlyStopping,
    evaluations: Vec<Evaluation>,
    /// The model of the best evaluation.
    best: Option<Classifier<C::InnerBackend>>,
    step: u64,
    /// Whether training is over.
    over: bool,
    /// Sum of the training loss since the last evaluation, and its documents.
    loss: (f64, usize),
    saved: Saved,
}

impl<C: Compute> Learner<C> {
    fn new(model: Classifier<C>, rates: Rates, settings: &Settings) -> Self {
        Self {
            model: model.map(&mut Freezer::new(settings.freeze)),
            optimizer: AdamW::new(settings.weight_decay, rates),
            stopping: EarlyStopping::new(settings),
            evaluations: Vec::new(),
            best: None,
            step: 0,
            over: false,
            loss: (0.0, 0),
            saved: Saved::default(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "document counts are far below 2^53")]
    fn train_loss(&self) -> f64 {
        self.loss.0 / self.loss.1.max(1) as f64
    }
}

impl<C: Compute> Trial<'_, C> {
    fn settings(&self) -> &Settings {
        &self.job.trial.settings
    }

    /// Wall-clock seconds so far, those of the attempts before and of the trial that this one went on
    /// from included.
    fn seconds(&self, learner: &Learner<C>) -> f64 {
        learner.saved.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn run(&self, mut learner: Learner<C>, observe: &mut Observe<'_>) -> Result<Ending, TrainError> {
        let settings = self.settings();
        let train = &self.corpus.train;
        let (steps_per_epoch, steps) = self.planned_steps();
        let rate = LearningRate::new(settings, steps);
        let mut reports = vec![Report::Prepared(self.prepared(&learner, steps))];
        reports.extend(Self::retold(&learner, steps_per_epoch));
        if reports.into_iter().any(|report| observe(report) == Control::Stop) {
            return Ok(Ending::Stopped);
        }
        let mut batches = Vec::new();
        let mut epoch_of_batches = None;
        loop {
            let evaluated = learner.evaluations.last().map(|evaluation| evaluation.step);
            let due = match settings.eval_every as u64 {
                0 => learner.step.is_multiple_of(steps_per_epoch),
                every => learner.step.is_multiple_of(every) || learner.step == steps,
            };
            if due && learner.step > 0 && evaluated != Some(learner.step) {
                let schedule = (rate.at(learner.step - 1), steps_per_epoch, steps);
                if self.evaluate(&mut learner, schedule, observe)? == Control::Stop {
                    return Ok(Ending::Stopped);
                }
            }
            if learner.over {
                return self.finish(&learner, steps, observe);
            }
            let epoch = learner.step / steps_per_epoch;
            if epoch_of_batches != Some(epoch) {
                batches = train.epoch(settings.batch_size, self.job.trial.seed, epoch);
                epoch_of_batches = Some(epoch);
            }
            let index = usize::try_from(learner.step % steps_per_epoch).unwrap_or(0);
            let rate_now = rate.at(learner.step);
            learner = self.step(learner, &batches[index], rate_now)?;
            let progress = Progress {
                epoch: usize::try_from(epoch + 1).unwrap_or(usize::MAX),
                epochs: settings.epochs,
                step: learner.step,
                steps,
                train_loss: learner.train_loss(),
            };
            let stop = observe(Report::Progress(progress)) == Control::Stop;
            if stop || self.is_save_due(&learner) {
                let saved = self.save(&mut learner, false, observe)?;
                if stop || saved == Control::Stop {
                    return Ok(Ending::Stopped);
                }
            }
        }
    }

    fn prepared(&self, learner: &Learner<C>, steps: u64) -> Prepared {
        let mut learning = CountLearning(0);
        learner.model.visit(&mut learning);
        Prepared {
            train_documents: self.data.train.len(),
            train_chunks: self.corpus.train.chunks(),
            validation_documents: self.corpus.validation.len(),
            test_documents: self.corpus.test.len(),
            long_documents: self.corpus.train.long,
            duplicates_dropped: self.data.leaks.train_dropped,
            unknown_share: self.corpus.train.unknown_share(),
            parameters: learning.0,
            steps,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }

    /// One optimiser step over the documents of `batch`.
    #[expect(clippy::cast_precision_loss, reason = "batches are small")]
    fn step(&self, mut learner: Learner<C>, batch: &[usize], rate: f64) -> Result<Learner<C>, TrainError> {
        let settings = self.settings();
        let train = &self.corpus.train;
        let mut gradients = Gradients::new();
        let mut loss = 0.0;
        let total = self.objective.total(batch.iter().map(|&document| train.label(document)));
        let part = batch.len().div_ceil(settings.gradient_accumulation);
        let most = self.attempt.micro_batch.map_or(part, |most| part.min(most.max(1)));
        learner.saved.is_cut |= most < part;
        let parts = batch.chunks(most);
        let parts = parts.flat_map(|part| train.within(part, MICRO_BATCH_TOKENS));
        for (micro, documents) in parts.enumerate() {
            let key = masks::key(&[self.job.trial.seed, 0xD809, learner.step, micro as u64]);
            let masks = Masks::new(settings.dropout, key, C::ON_HOST);
            let below = self.frozen.below(SplitName::Train);
            let sink = RowSink::default();
            let logits = below.logits(&learner.model, train, &documents, (&masks, &sink), self.device);
            let ranges = evaluate::ranges(train, &documents);
            let logits = heads::aggregate(logits, &ranges, settings.aggregate);
            let labels: Vec<usize> = documents.iter().map(|&document| train.label(document)).collect();
            loss += heads::cross_entropy(&model::values(logits.clone().inner()), &labels);
            let backward = (self.objective.sum(logits, &labels) / total).backward();
            gradients.add(&learner.model, backward);
            gradients.add_rows(&sink);
        }
        learner.step += 1;
        let norm = gradients.norm();
        if !loss.is_finite() || !norm.is_finite() {
            let loss = if loss.is_finite() { norm } else { loss / batch.len() as f64 };
            return Err(TrainError::NonFinite { step: learner.step, loss });
        }
        learner.loss = (learner.loss.0 + loss, learner.loss.1 + batch.len());
        // torch.nn.utils.clip_grad_norm_
        let scale = match settings.gradient_clip {
            limit if limit > 0.0 => (limit / (norm + 1e-6)).min(1.0),
            _ => 1.0,
        };
        // By value: parameters that nothing else holds are updated in place.
        learner.model = learner.optimizer.step(learner.model, gradients, rate, scale);
        Ok(learner)
    }

    /// Measures the validation set, and keeps what is to be kept.
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    fn evaluate(
        &self,
        learner: &mut Learner<C>,
        (learning_rate, steps_per_epoch, steps): (f64, u64, u64),
        observe: &mut Observe<'_>,
    ) -> Result<Control, TrainError> {
        let model = learner.model.valid();
        let (validation, _) = self.measure(&model, SplitName::Validation, observe);
        let judgement = learner.stopping.judge(&validation);
        let evaluation = Evaluation {
            epoch: learner.step as f64 / steps_per_epoch as f64,
            step: learner.step,
            train_loss: learner.train_loss(),
            learning_rate,
            validation,
            best: judgement.best,
            seconds: self.seconds(learner),
        };
        learner.loss = (0.0, 0);
        learner.over = judgement.stop || learner.step == steps;
        learner.evaluations.push(evaluation.clone());
        let written =
            Self::persist(observe, &mut || outputs::write_metrics(self.folder, &learner.evaluations))?;
        if judgement.best {
            learner.best = Some(model);
        }
        let saved = self.save(learner, judgement.best, observe)?;
        let told = observe(Report::Evaluated(evaluation));
        Ok(if [written, saved, told].contains(&Control::Stop) { Control::Stop } else { Control::Continue })
    }

    fn measure(
        &self,
        model: &Classifier<C::InnerBackend>,
        split: SplitName,
        observe: &mut Observe<'_>,
    ) -> (crate::metrics::Scores, Vec<Vec<f64>>) {
        let aggregate = self.settings().aggregate;
        let mut alive = || _ = observe(Report::Alive);
        let (split, below) = (self.corpus.split(split), self.frozen.below(split));
        let probabilities = evaluate::predict(model, split, below, aggregate, self.device, &mut alive);
        let scores = evaluate::score(split, &probabilities, self.data.labels.len(), self.data.target);
        (scores, probabilities)
    }

    /// Measures the test set with the best parameters.
    fn finish(
        &self,
        learner: &Learner<C>,
        steps: u64,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        let best_evaluation = learner.evaluations.iter().rev().find(|evaluation| evaluation.best);
        let (Some(best), Some(model), Some(last)) =
            (best_evaluation, &learner.best, learner.evaluations.last())
        else {
            unreachable!(
                "the last step of a trial is always evaluated, and a first evaluation is the best so far"
            );
        };
        let (test, probabilities) = self.measure(model, SplitName::Test, observe);
        let data = self.data;
        let (labels, split) = (&data.labels, &self.corpus.test);
        let mut write = || outputs::write_predictions(self.folder, labels, &data.test, split, &probabilities);
        if Self::persist(observe, &mut write)? == Control::Stop {
            return Ok(Ending::Stopped);
        }
        Ok(Ending::Complete(Box::new(Outcome {
            best_epoch: best.epoch,
            best_step: best.step,
            epochs_run: last.epoch,
            stopped_early: learner.step < steps,
            train_loss: best.train_loss,
            validation: best.validation.clone(),
            test,
            seconds: self.seconds(learner) - learner.saved.prefix.map_or(0.0, |prefix| prefix.seconds),
        })))
    }
}

/// Counts the parameters that learn.
struct CountLearning(usize);

impl<C: Compute> ModuleVisitor<C> for CountLearning {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<C, D>>) {
        let tensor = param.val();
        if tensor.is_require_grad() {
            self.0 += tensor.shape().num_elements();
        }
    }
}
