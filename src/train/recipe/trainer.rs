//! The engine of a device: it prepares each trial and runs it.

use std::rc::Rc;

use super::{
    activation_store::ActivationStore,
    clock::Clock,
    frozen::Frozen,
    fusion::{Group, Member},
    learner::Learner,
    predictor::Predictor,
    running_trial::RunningTrial,
    warm_state::WarmState,
};
use crate::{
    cache::{Cache, CopyRoom, GoOn},
    checkpoint::Checkpoint,
    event::Outcome,
    job::{Attempt, Job},
    settings::{Freeze, Settings},
    system::files::Place,
    train::{
        backend::{Compute, Engine},
        encoder::{config::EncoderConfig, model::classifier::Classifier},
        error::{TrainError, Unfinished},
        exported::Exported,
        learning::{loss::Objective, parameters::RateFactors},
        observe::{Observe, Report},
        shape::encoder_config,
        text::{corpus::Corpus, documents::Documents},
        together::{Entrant, Listener},
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

/// What a trial reads.
struct Inputs {
    config: EncoderConfig,
    data: Rc<Documents>,
    corpus: Rc<Corpus>,
    frozen: Frozen,
}

impl Inputs {
    /// The trial before its first step, with its model.
    fn trial<'a, C: Compute>(
        &'a self,
        Entrant { job, attempt, folder }: Entrant<'a>,
        model: Classifier<C>,
        clock: Clock,
        device: &'a C::Device,
    ) -> (RunningTrial<'a, C>, Learner<C>) {
        let settings = &job.trial.settings;
        let trial = RunningTrial {
            job,
            attempt,
            folder,
            data: &self.data,
            corpus: &self.corpus,
            frozen: self.frozen.clone(),
            objective: Objective::new(settings, &self.data.class_counts()),
            device,
            clock,
        };
        let rates = RateFactors::new(settings, self.config.num_hidden_layers);
        (trial, Learner::new(model, rates, settings))
    }
}

impl<C: Compute> WarmState<C> {
    /// Prepares what a trial reads, and its model. `go_on` is asked now and then.
    fn prepare(
        &mut self,
        job: &Job,
        attempt: Attempt,
        go_on: &mut GoOn<'_>,
    ) -> Result<(Inputs, Classifier<C>), Unfinished> {
        let settings = &job.trial.settings;
        let config = encoder_config(&settings.checkpoint)?;
        check_settings::<C>(settings, &config)?;
        let spec = job.cache.clone().filter(|_| !attempt.without_cache);
        let cache = Cache::new(spec, self.room.clone());
        let data = self.documents(job, &cache, go_on)?;
        self.compare_checkpoint(job)?;
        let fold = job.trial.fold;
        let corpus = self.corpora.get(&data, (settings, fold), &cache, go_on)?;
        let data = match fold {
            Some(fold) => Rc::new(data.documents.of_fold(fold)),
            None => data.documents,
        };
        let model = self.model(&config, settings, data.labels().len(), job.trial.seed)?;
        let frozen = {
            // The encoder is dropped before training: parameters that nothing else holds are updated in place.
            let encoder = self.frozen_encoder(&model, &config, &job.trial);
            self.activations.get(&encoder, &corpus, &cache, go_on)?
        };
        Ok((Inputs { config, data, corpus, frozen }, model))
    }
}

/// A trial that is to be trained together with others, and what it reads.
struct Prepared<'a, C: Compute> {
    place: usize,
    entrant: Entrant<'a>,
    inputs: Inputs,
    model: Option<Classifier<C>>,
    clock: Option<Clock>,
}

impl<C: Compute> Trainer<C> {
    /// Trains trials together; see [`Engine::run_together`].
    pub(super) fn train_together(
        &mut self,
        entrants: &[Entrant<'_>],
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        check_alike(entrants)?;
        let mut prepared = self.prepare_all(entrants, listener);
        let encoder = prepared.first().and_then(|first| first.model.clone());
        let mut members = Vec::with_capacity(prepared.len());
        let parts = prepared.iter_mut().map(|own| (own.model.take(), own.clock.take())).collect::<Vec<_>>();
        for (Prepared { place, entrant, inputs, .. }, parts) in prepared.iter().zip(parts) {
            let (Some(model), Some(clock)) = parts else { continue };
            let (trial, learner) = inputs.trial(*entrant, model, clock, &self.warm.device);
            let observe = &mut |report| listener.on_report(*place, report);
            match trial.restore(learner, &inputs.config, observe) {
                Ok(learner) => {
                    let shares = encoder.as_ref().filter(|_| shares_encoder(&entrant.job.trial.settings));
                    members.push(Member::new(*place, trial, learner.sharing_encoder(shares)));
                }
                Err(why) => listener.on_end(*place, why.ending()),
            }
        }
        drop(encoder);
        Group::new(listener, &self.warm.device).run(members);
        Ok(())
    }

    /// Prepares what each of `entrants` reads. Those that fail, or are stopped, are over.
    fn prepare_all<'a>(
        &mut self,
        entrants: &[Entrant<'a>],
        listener: &mut dyn Listener,
    ) -> Vec<Prepared<'a, C>> {
        let clocks: Vec<Clock> = entrants.iter().map(|_| Clock::start()).collect();
        for clock in &clocks {
            clock.share(entrants.len());
        }
        let mut prepared: Vec<Prepared<'a, C>> = Vec::with_capacity(entrants.len());
        for ((place, &entrant), clock) in entrants.iter().enumerate().zip(clocks) {
            let go_on = &mut || listener.on_report(place, Report::Alive);
            match self.warm.prepare(entrant.job, entrant.attempt, go_on) {
                Ok((inputs, model)) => {
                    let first = prepared.first().and_then(|first| first.model.as_ref());
                    let shares = first.filter(|_| shares_encoder(&entrant.job.trial.settings));
                    // At once, so that no more than two encoders take memory.
                    let model = match shares {
                        Some(first) => model.sharing_encoder(first),
                        None => model,
                    };
                    prepared.push(Prepared {
                        place,
                        entrant,
                        inputs,
                        model: Some(model),
                        clock: Some(clock),
                    });
                }
                Err(why) => listener.on_end(place, why.ending()),
            }
        }
        prepared
    }
}

/// Refuses trials that cannot be one model: they must read the same, and be alike but for what
/// [`Settings::fusible`] leaves out.
fn check_alike(entrants: &[Entrant<'_>]) -> Result<(), TrainError> {
    let Some(first) = entrants.first().map(|entrant| entrant.job) else { return Ok(()) };
    let shape = first.trial.settings.fusible();
    let other = entrants.iter().find(|Entrant { job, attempt, .. }| {
        let own = job.trial.settings.fusible();
        let reads_other = job.data != first.data || job.trial.fold != first.trial.fold;
        own.is_none() || own != shape || reads_other || attempt.micro_batch.is_some()
    });
    match other {
        Some(other) => Err(TrainError::NotTogether { trial: other.job.trial.id, first: first.trial.id }),
        None => Ok(()),
    }
}

/// Whether all trials with these settings have the same encoder at all times, whatever their seeds.
fn shares_encoder(settings: &Settings) -> bool {
    settings.freeze == Freeze::Encoder
        && settings.checkpoint != Checkpoint::Mini
        && settings.reinit_layers == 0
}

impl<C: Compute> Engine for Trainer<C> {
    fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished> {
        let clock = Clock::start();
        let (inputs, model) = self.warm.prepare(job, attempt, &mut || observe(Report::Alive))?;
        let (trial, learner) =
            inputs.trial(Entrant { job, attempt, folder }, model, clock, &self.warm.device);
        let learner = trial.restore(learner, &inputs.config, observe)?;
        trial.run(learner, observe)
    }

    fn run_together(
        &mut self,
        entrants: &[Entrant<'_>],
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        self.train_together(entrants, listener)
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
