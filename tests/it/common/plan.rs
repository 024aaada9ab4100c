//! Made-up plans and data.

use std::{collections::BTreeMap, path::PathBuf};

use sweep::{
    data::{Alike, DataSpec, Duplicates, Limit, Shares, Source},
    fingerprint::Fingerprints,
    metrics::ClassCounts,
    plan::{Plan, Removed},
    policy::Policy,
    settings::Settings,
    trial::{Params, Trial, TrialId},
};

/// The columns `text` and `label` of `source`.
pub(crate) fn data(source: Source) -> DataSpec {
    DataSpec {
        source,
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        encoding: None,
        duplicates: Duplicates::Drop,
        alike: Alike::default(),
        group: None,
        limit: Limit::default(),
        folds: None,
        seed: 1,
    }
}

pub(crate) fn trial(id: u32, settings: Settings) -> Trial {
    Trial {
        id: TrialId(id),
        params: Params::default(),
        repeat: 0,
        fold: None,
        seed: u64::from(id),
        settings,
        origin: None,
        confirms: None,
    }
}

/// A plan of trials that are alike, over data that is not there.
pub(crate) fn plan(sweep: &str, trials: u32) -> Plan {
    Plan {
        sweep: sweep.to_owned(),
        seed: 1,
        labels: vec!["0".to_owned(), "1".to_owned()],
        positive: Some(1),
        average: None,
        classes: ClassCounts::default(),
        notes: Vec::new(),
        leaks: None,
        swept: Vec::new(),
        scales: BTreeMap::new(),
        search: None,
        confirm: None,
        data: data(Source::Single { path: PathBuf::from("/nowhere.csv"), split: Shares::default() }),
        fingerprints: Fingerprints::default(),
        hub: BTreeMap::new(),
        policy: Policy::default(),
        trials: (1..=trials).map(|id| trial(id, Settings::default())).collect(),
        removed: Removed::default(),
    }
}
