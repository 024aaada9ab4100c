//! The engine of a device: it prepares each trial and runs it.

use std::time::Instant;

use super::{
    activation_store::ActivationStore, learner::Learner, predictor::Predictor, running_trial::RunningTrial,
    warm_state::WarmState,
};
use crate::{
    cache::{Cache, CopyRoom},
    event::Outcome,
    job::{Attempt, Job},
    settings::Settings,
    system::files::Place,
    train::{
        backend::{Compute, Engine},
        encoder::config::EncoderConfig,
        error::{TrainError, Unfinished},
        exported::Exported,
        learning::{loss::Objective, parameters::RateFactors},
        observe::{Observe, Report},
        shape::encoder_config,
    },
};

/// Runs trials on one device, and keeps what they share.
pub(crate) struct Trainer<C: Compute> {
    warm: WarmState<C>,
    /// The model that predicted last.
    predictor: Option<Predictor<C>>,
}

impl<C: Compute> Trainer<C> {
    pub(crate) fn new(device: C::Device) -> Self {
        Self::with(device, ActivationStore::default(), CopyRoom::default())
    }

    fn with(device: C::Device, activations: ActivationStore, room: CopyRoom) -> Self {
        Self { warm: WarmState::new(device, activations, room), predictor: None }
    }

    /// A trainer that keeps at most `bytes` bytes of activations in memory.
    #[cfg(test)]
    pub(crate) fn with_memory(device: C::Device, bytes: usize) -> Self {
        Self::with(device, ActivationStore::within(bytes), CopyRoom::default())
    }

    /// A trainer that maps every entry of the cache.
    #[cfg(test)]
    pub(crate) fn mapping(device: C::Device) -> Self {
        Self::with(device, ActivationStore::default(), CopyRoom::of(0))
    }
}

impl<C: Compute> Engine for Trainer<C> {
    fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished> {
        let started = Instant::now();
        let settings = &job.trial.settings;
        let config = encoder_config(&settings.checkpoint)?;
        check_settings::<C>(settings, &config)?;
        let warm = &mut self.warm;
        let spec = job.cache.clone().filter(|_| !attempt.without_cache);
        let cache = Cache::new(spec, warm.room.clone());
        let mut go_on = || observe(Report::Alive);
        let data = warm.documents(job, &cache, &mut go_on)?;
        warm.compare_checkpoint(job)?;
        let corpus = warm.corpora.get(&data, settings, &cache, &mut go_on)?;
        let data = data.documents;
        let model = warm.model(&config, settings, data.labels().len(), job.trial.seed)?;
        let frozen = {
            // The encoder is dropped before training: parameters that nothing else holds are updated in place.
            let encoder = warm.frozen_encoder(&model, &config, &job.trial);
            warm.activations.get(&encoder, &corpus, &cache, &mut go_on)?
        };
        let trial = RunningTrial {
            job,
            attempt,
            folder,
            data: &data,
            corpus: &corpus,
            frozen,
            objective: Objective::new(settings, &data.class_counts()),
            device: &warm.device,
            started,
        };
        let rates = RateFactors::new(settings, config.num_hidden_layers);
        let learner = trial.restore(Learner::new(model, rates, settings), &config, observe)?;
        trial.run(learner, observe)
    }

    fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError> {
        let device = &self.warm.device;
        let predictor = match self.predictor.take() {
            Some(known) if known.is_of(model) => known,
            _ => Predictor::open(model, device)?,
        };
        let probabilities = predictor.predict(texts, device);
        self.predictor = Some(predictor);
        probabilities
    }
}

/// Refuses settings that the encoder or the backend cannot serve.
fn check_settings<C: Compute>(settings: &Settings, config: &EncoderConfig) -> Result<(), TrainError> {
    let (length, window) = (settings.chunk_length, config.window());
    if length > window {
        return Err(TrainError::Window { length, window });
    }
    if !C::PRECISIONS.contains(&settings.matmul_precision) {
        return Err(TrainError::Precision(settings.matmul_precision));
    }
    Ok(())
}
