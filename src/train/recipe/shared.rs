//! What the trials of one worker share: data, the checkpoint, and what its frozen part makes of texts.

use std::{path::PathBuf, rc::Rc};

use burn::module::AutodiffModule;

use super::Trainer;
use crate::{
    cache::{Cache, Stopped},
    checkpoint::Checkpoint,
    data::{self, Dataset},
    fingerprint,
    job::Job,
    settings::{MatmulPrecision, Settings},
    system::machine,
    train::{
        self, TrainError,
        backend::Compute,
        checkpoint::Catalog,
        config::EncoderConfig,
        corpus::Corpus,
        frozen::{self, Frozen, Part},
        layout, mini,
        model::{Classifier, Form},
        unchanged,
        weights::Pretrained,
    },
    trial,
};

impl<C: Compute> Trainer<C> {
    pub(super) fn dataset(&mut self, job: &Job) -> Result<(u64, Rc<Dataset>), TrainError> {
        let spec = &job.data;
        if let Some(known) = self.datasets.get(spec) {
            return Ok(known.clone());
        }
        let dataset = data::load(spec).map_err(|error| TrainError::Data(Box::new(error)))?;
        unchanged::data(&dataset, spec, job.data_digest.as_ref())?;
        let known = (self.datasets.len() as u64, Rc::new(dataset));
        self.datasets.insert(spec.clone(), known.clone());
        Ok(known)
    }

    /// The tensors of a checkpoint, which has all that a model with this head takes.
    fn catalog(
        &mut self,
        config: &EncoderConfig,
        settings: &Settings,
        folder: PathBuf,
        classes: usize,
    ) -> Result<Rc<Catalog>, TrainError> {
        let key = (settings.checkpoint.clone(), settings.pooling, classes);
        if let Some((known, catalog)) = &self.checkpoint
            && *known == key
        {
            return Ok(catalog.clone());
        }
        let catalog = Rc::new(Catalog::open(&folder)?);
        let parameters = layout::parameters(config, settings.pooling, classes);
        layout::fit(&parameters, config.family(), false, catalog.shapes())
            .map_err(|source| TrainError::Misfit { folder, source })?;
        self.checkpoint = Some((key, catalog.clone()));
        Ok(catalog)
    }

    pub(super) fn model(
        &mut self,
        config: &EncoderConfig,
        settings: &Settings,
        classes: usize,
        seed: u64,
    ) -> Result<Classifier<C>, TrainError> {
        let model = match settings.checkpoint.folder() {
            None => {
                let source = mini::Initial { seed };
                Classifier::build(config, Form::of(settings), classes, &source, &self.device)?
            }
            Some(folder) => {
                let catalog = self.catalog(config, settings, folder, classes)?;
                let family = config.family();
                let anew = layout::top(config, settings.reinit_layers);
                let source = Pretrained { weights: &*catalog, family, seed, anew, complete: false };
                Classifier::build(config, Form::of(settings), classes, &source, &self.device)?
            }
        };
        Ok(model)
    }

    /// What the frozen part of `model` makes of `corpus`.
    pub(super) fn freeze(
        &mut self,
        (model, config): (&Classifier<C>, &EncoderConfig),
        planned: &trial::Trial,
        corpus: &Corpus,
        cache: &Cache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Frozen, Stopped> {
        let settings = &planned.settings;
        let layers = config.num_hidden_layers;
        let part = Part::of(settings.freeze, layers);
        let anew = layers.saturating_sub(settings.reinit_layers);
        let is_fresh = settings.checkpoint == Checkpoint::Mini
            || match part {
                Part::Nothing => false,
                Part::Lower(frozen) => frozen > anew,
                Part::Whole => settings.reinit_layers > 0,
            };
        let digest = match part {
            Part::Nothing => None,
            Part::Lower(_) | Part::Whole => self.digest(&settings.checkpoint),
        };
        let mut identity = vec![C::name(&self.device), machine::processor_name().unwrap_or_default()];
        identity.push(digest.clone().unwrap_or_else(|| settings.checkpoint.to_string()));
        if is_fresh {
            identity.push(format!("{} {}", planned.seed, settings.reinit_layers));
        }
        if part == Part::Whole {
            identity.push(settings.pooling.as_str().to_owned());
        }
        if settings.matmul_precision != MatmulPrecision::F32 {
            let how = if train::has_bf16() { "native" } else { "emulated" };
            identity.push(format!("{} {how}", settings.matmul_precision.as_str()));
        }
        let encoder = frozen::Encoder {
            part,
            model: &model.valid(),
            device: &self.device,
            width: config.hidden_size,
            identity: identity.into_iter().map(String::into_bytes).collect(),
            is_shared: digest.is_some() && !is_fresh,
            title: &settings.checkpoint.title(),
        };
        self.frozen.get(&encoder, corpus, cache, go_on)
    }

    /// The digest of a checkpoint's files.
    fn digest(&mut self, checkpoint: &Checkpoint) -> Option<String> {
        let folder = checkpoint.folder()?;
        let digest = || fingerprint::checkpoint(&folder).ok();
        self.digests.entry(checkpoint.clone()).or_insert_with(digest).clone()
    }
}
