//! What the trials of one worker share: data, the checkpoint's tensors, and activations of frozen parts.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    rc::Rc,
};

use burn::module::AutodiffModule;

use super::{
    activation_store::{ActivationStore, FrozenEncoder},
    frozen::FrozenPart,
    verify_inputs::{verify_checkpoint, verify_data},
};
use crate::{
    cache::{Cache, CopyRoom, GoOn},
    checkpoint::Checkpoint,
    data::DataSpec,
    fingerprint,
    job::Job,
    settings::{MatmulPrecision, Pooling, Settings},
    system::machine,
    train::{
        backend::Compute,
        checkpoint::catalog::Catalog,
        encoder::{
            config::EncoderConfig,
            layout,
            mini::MiniParameters,
            model::classifier::{Classifier, ModelOptions},
            source::Pretrained,
        },
        error::{TrainError, Unfinished},
        ops,
        text::{
            corpora::{Corpora, NumberedDocuments},
            documents::Documents,
        },
    },
    trial::Trial,
};

/// A head over a checkpoint, whose tensors were checked for it.
#[derive(PartialEq)]
struct CheckedHead {
    checkpoint: Checkpoint,
    pooling: Pooling,
    classes: usize,
}

/// What the trials of one worker share.
pub(super) struct WarmState<C: Compute> {
    pub(super) device: C::Device,
    /// For copies of the cache's entries.
    pub(super) room: CopyRoom,
    data: HashMap<DataSpec, NumberedDocuments>,
    pub(super) corpora: Corpora,
    pub(super) activations: ActivationStore,
    /// The digests of checkpoints that were computed; `None` for one whose files cannot be read.
    digests: HashMap<Checkpoint, Option<String>>,
    /// The tensors of the checkpoint that was used last.
    catalog: Option<(CheckedHead, Rc<Catalog>)>,
    /// Checkpoints whose files were compared with those that the plan was made with.
    compared: HashSet<Checkpoint>,
}

impl<C: Compute> WarmState<C> {
    pub(super) fn new(device: C::Device, activations: ActivationStore, room: CopyRoom) -> Self {
        Self {
            device,
            room,
            data: HashMap::new(),
            corpora: Corpora::default(),
            activations,
            digests: HashMap::new(),
            catalog: None,
            compared: HashSet::new(),
        }
    }

    /// The documents of `job`, which are compared with the plan's the first time.
    pub(super) fn documents(
        &mut self,
        job: &Job,
        cache: &Cache,
        go_on: &mut GoOn<'_>,
    ) -> Result<NumberedDocuments, Unfinished> {
        let (spec, expected) = (&job.data, job.data_digest.as_ref());
        if let Some(known) = self.data.get(spec) {
            return Ok(known.clone());
        }
        let documents = Documents::get(spec, expected, cache, go_on)?;
        verify_data(documents.digests(), spec, expected)?;
        let (spec, documents) = (Rc::new(spec.clone()), Rc::new(documents));
        let known = NumberedDocuments { number: self.data.len() as u64, spec, documents };
        self.data.insert(job.data.clone(), known.clone());
        Ok(known)
    }

    /// Compares the checkpoint's files with those that the plan was made with, the first time.
    pub(super) fn compare_checkpoint(&mut self, job: &Job) -> Result<(), TrainError> {
        if self.compared.insert(job.trial.settings.checkpoint.clone()) {
            verify_checkpoint(job)?;
        }
        Ok(())
    }

    /// The tensors of the checkpoint in `folder`, which has all that a model with this head takes.
    fn catalog(
        &mut self,
        config: &EncoderConfig,
        settings: &Settings,
        folder: PathBuf,
        classes: usize,
    ) -> Result<Rc<Catalog>, TrainError> {
        let pooling = settings.pooling;
        let head = CheckedHead { checkpoint: settings.checkpoint.clone(), pooling, classes };
        if let Some((known, catalog)) = &self.catalog
            && *known == head
        {
            return Ok(catalog.clone());
        }
        let catalog = Rc::new(Catalog::open(&folder)?);
        let parameters = layout::parameters(config, pooling, classes);
        layout::fit(&parameters, config.family(), false, catalog.shapes())
            .map_err(|source| TrainError::Misfit { folder, source })?;
        self.catalog = Some((head, catalog.clone()));
        Ok(catalog)
    }

    /// Builds the model of a trial before its first step.
    pub(super) fn model(
        &mut self,
        config: &EncoderConfig,
        settings: &Settings,
        classes: usize,
        seed: u64,
    ) -> Result<Classifier<C>, TrainError> {
        let options = ModelOptions::of(settings);
        let model = match settings.checkpoint.folder() {
            None => Classifier::build(config, options, classes, &MiniParameters { seed }, &self.device)?,
            Some(folder) => {
                let catalog = self.catalog(config, settings, folder, classes)?;
                let source = Pretrained {
                    weights: &*catalog,
                    family: config.family(),
                    seed,
                    reinitialised: layout::top_prefixes(config, settings.reinit_layers),
                    complete: false,
                };
                Classifier::build(config, options, classes, &source, &self.device)?
            }
        };
        Ok(model)
    }

    /// The frozen part of `model`, the model of `trial` before its first step.
    pub(super) fn frozen_encoder(
        &mut self,
        model: &Classifier<C>,
        config: &EncoderConfig,
        trial: &Trial,
    ) -> FrozenEncoder<C::InnerBackend> {
        let settings = &trial.settings;
        let layers = config.num_hidden_layers;
        let part = FrozenPart::of(settings.freeze, layers);
        let is_fresh = settings.checkpoint == Checkpoint::Mini
            || part.reaches(layers.saturating_sub(settings.reinit_layers), layers);
        let digest = match part {
            FrozenPart::Nothing => None,
            FrozenPart::Lower(_) | FrozenPart::Whole => self.digest(&settings.checkpoint),
        };
        let is_shared = digest.is_some() && !is_fresh;
        let mut identity = vec![C::name(&self.device), machine::processor_name().unwrap_or_default()];
        identity.push(digest.unwrap_or_else(|| settings.checkpoint.to_string()));
        if is_fresh {
            identity.push(format!("{} {}", trial.seed, settings.reinit_layers));
        }
        if part == FrozenPart::Whole {
            identity.push(settings.pooling.as_str().to_owned());
        }
        if settings.matmul_precision != MatmulPrecision::F32 {
            let how = if ops::has_bf16() { "native" } else { "emulated" };
            identity.push(format!("{} {how}", settings.matmul_precision.as_str()));
        }
        FrozenEncoder {
            part,
            model: model.valid(),
            device: self.device.clone(),
            width: config.hidden_size,
            identity: identity.into_iter().map(String::into_bytes).collect(),
            is_shared,
            title: settings.checkpoint.title(),
        }
    }

    /// The digest of a checkpoint's files; `None` when they cannot be read, or when the checkpoint is built in.
    fn digest(&mut self, checkpoint: &Checkpoint) -> Option<String> {
        let folder = checkpoint.folder()?;
        let digest = || fingerprint::checkpoint(&folder).ok();
        self.digests.entry(checkpoint.clone()).or_insert_with(digest).clone()
    }
}
