//! What happens before the trials of a run start: checks, fingerprints, the plan in the folder, and what an
//! earlier run left there.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use super::{
    changes,
    exit::{Stop, with_causes},
    open::read_plan,
    terminal::eprint_lossy,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointFacts},
    display::plain,
    export, fingerprint,
    plan::{DiskForecast, Plan},
    policy::Policy,
    results::{Lock, Results, SweepFolder, json, write_atomic},
    study::Study,
    system::{device::Device, files::Place},
    train::Exported,
    trial::{Trial, TrialId},
};

/// Refuses a results folder or a spec whose path is not UTF-8: jobs and plans hold paths as JSON.
pub(super) fn check_paths(spec: &Path, results: &Results) -> Result<(), Stop> {
    check_path("the spec's path", spec)?;
    check_path("the results folder's path", results.root())
}

/// Refuses files with data whose path is not UTF-8.
pub(super) fn check_data_paths(plan: &Plan) -> Result<(), Stop> {
    plan.data.source.files().into_iter().try_for_each(|path| check_path("the path of the data", path))
}

/// Refuses a path that is not UTF-8; `what` begins the message.
fn check_path(what: &str, path: &Path) -> Result<(), Stop> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Stop::usage(format!("cannot find {}: {error}", path.display())))?;
    match absolute.to_str() {
        Some(_) => Ok(()),
        None => Err(Stop::usage(format!(
            "{what} is not UTF-8: {}; rename the folder or file, or use another one",
            plain(&absolute.display().to_string())
        ))),
    }
}

/// Reads every checkpoint file of the plan and adds their digests to it.
pub(super) fn take_fingerprints(plan: &mut Plan) -> Result<(), Stop> {
    let names = plan.trials.iter().map(|trial| &trial.settings.checkpoint);
    plan.fingerprints.checkpoints =
        fingerprint::checkpoints(names).map_err(|error| Stop::usage(with_causes(&error)))?;
    Ok(())
}

/// The disk space that the remaining trials of `study` need; `None` if it is not known.
pub(super) fn forecast_disk(
    study: &Study,
    facts: &BTreeMap<Checkpoint, CheckpointFacts>,
    devices: &[Device],
    policy: &Policy,
) -> Option<DiskForecast> {
    let remaining: HashSet<TrialId> = study.to_run().into_iter().map(|(trial, _)| trial).collect();
    let trials: Vec<&Trial> = study
        .trials
        .iter()
        .map(|record| &record.trial)
        .filter(|trial| remaining.contains(&trial.id))
        .collect();
    // Which configurations will be confirmed is not known yet: the largest ones are assumed to be.
    let parameters = |trial: &&Trial| facts.get(&trial.settings.checkpoint).map(|facts| facts.parameters);
    let largest = study.of_search().map(|record| &record.trial).max_by_key(parameters);
    let to_come = largest.into_iter().cycle().take(study.confirmations_to_come());
    let trials: Vec<&Trial> = trials.into_iter().chain(to_come).collect();
    let are_fused = trials.iter().any(|trial| trial.settings.fusible().is_some());
    let at_once = |device: &Device| {
        let is_gpu = !matches!(device, Device::Cpu { .. });
        if are_fused { policy.fuse.trials_max(is_gpu) } else { 1 }
    };
    let at_once = devices.iter().map(at_once).fold(0, usize::saturating_add);
    DiskForecast::new(trials, facts, at_once, policy.keep)
}

/// Removes what killed processes did not finish to write.
pub(super) fn clean(folder: &SweepFolder, lock: &Lock) {
    folder.remove_leftovers(lock);
    export::remove_leftovers(folder.place());
}

/// Removes what an earlier run left, and what was exported to its default place, but for its plan, which [`prepare_anew`]
/// replaces.
pub(super) fn forget(folder: &SweepFolder, lock: &Lock) -> Result<(), Stop> {
    let model = folder.best_model();
    if is_our_export(&model) {
        export::remove(&model)
            .map_err(|error| Stop::results(&format!("cannot remove {}: {error}", model.display())))?;
    }
    export::forget_figures(folder.place())
        .map_err(|(place, error)| Stop::results(&format!("cannot remove {}: {error}", place.display())))?;
    Ok(folder.clear(lock)?)
}

/// Whether `sweep export-best` wrote the folder. Any other folder belongs to the user.
fn is_our_export(folder: &Place) -> bool {
    let config = folder.join("config.json").read().unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    config.get("sweep").is_some() && Exported::read(folder.path()).is_ok()
}

/// Writes the plan and its spec into the folder. If the folder holds a plan already, that one is revised:
/// trials keep their numbers, and the user learns what has changed.
///
/// Returns the plan that the folder then holds.
pub(super) fn prepare(folder: &SweepFolder, plan: Plan, spec: &str) -> Result<Plan, Stop> {
    let path = folder.plan();
    let Some(found) = read_plan(folder)? else { return prepare_anew(folder, plan, spec) };
    let revision = changes::revise(folder, &found, &plan)?;
    eprint_lossy(&changes::describe(&revision));
    // The spec comes first: as long as the plan is the old one, the same command finds the same change again.
    if folder.spec().read().ok().as_deref() != Some(spec.as_bytes()) {
        write_atomic(&folder.spec(), spec.as_bytes())?;
    }
    if found != revision.plan {
        write_atomic(&path, json(path.path(), &revision.plan)?.as_bytes())?;
    }
    Ok(revision.plan)
}

/// Writes the plan and its spec into the folder, whatever plan it holds.
pub(super) fn prepare_anew(folder: &SweepFolder, plan: Plan, spec: &str) -> Result<Plan, Stop> {
    let path = folder.plan();
    // The plan comes first, since it marks the folder as a sweep's. If the spec is missing after a crash, the same
    // command writes it.
    write_atomic(&path, json(path.path(), &plan)?.as_bytes())?;
    write_atomic(&folder.spec(), spec.as_bytes())?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    use super::*;
    use crate::{cli::exit::Exit, samples};

    fn folder() -> (tempfile::TempDir, SweepFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = Results::new(root.path()).sweep("test");
        (root, folder)
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_spec_is_written_as_it_runs_with_the_same_plan() {
        let (_root, folder) = folder();
        let _lock = folder.lock().unwrap();
        let plan = samples::plan(2);
        prepare(&folder, plan.clone(), "the spec").unwrap();
        assert_eq!(prepare(&folder, plan.clone(), "the spec, with a comment").unwrap(), plan);
        assert_eq!(text(folder.spec().path()), "the spec, with a comment");
    }

    #[test]
    fn a_crash_between_plan_and_spec_is_mended_by_the_same_command() {
        let (_root, folder) = folder();
        let _lock = folder.lock().unwrap();
        let plan = samples::plan(2);
        prepare(&folder, plan.clone(), "the spec").unwrap();
        fs::remove_file(folder.spec()).unwrap();
        prepare(&folder, plan.clone(), "the spec").unwrap();
        assert_eq!(text(folder.spec().path()), "the spec");

        fs::write(folder.spec(), "a larger spec").unwrap();
        let larger = prepare(&folder, samples::plan(3), "a larger spec").unwrap();
        assert_eq!((larger.trials.len(), read_plan(&folder).unwrap()), (3, Some(larger)));
    }

    #[test]
    fn a_plan_whose_data_were_moved_is_written_with_the_new_paths() {
        let (_root, folder) = folder();
        let _lock = folder.lock().unwrap();
        let digests = crate::fingerprint::DataDigests {
            train: "1".to_owned(),
            validation: "2".to_owned(),
            test: "3".to_owned(),
        };
        let mut plan = samples::plan(1);
        plan.fingerprints.data = Some(digests);
        prepare(&folder, plan.clone(), "").unwrap();
        let split = crate::data::Shares::default();
        plan.data.source = crate::data::Source::Single { path: "/elsewhere.csv".into(), split };
        prepare(&folder, plan.clone(), "").unwrap();
        assert_eq!(read_plan(&folder).unwrap(), Some(plan));
    }

    #[test]
    fn a_damaged_plan_says_how_to_go_on() {
        let (_root, folder) = folder();
        let _lock = folder.lock().unwrap();
        fs::write(folder.plan(), "{\"sweep\": \"te").unwrap();
        let stop = prepare(&folder, samples::plan(1), "").unwrap_err();
        assert_eq!(stop.exit, Exit::Results);
        assert!(stop.message.contains("plan.json") && stop.message.contains("--fresh"), "{}", stop.message);
    }

    fn not_utf8() -> &'static Path {
        Path::new(OsStr::from_bytes(b"r\xffs"))
    }

    #[test]
    fn a_results_folder_that_is_not_utf8_is_refused() {
        let stop = check_paths(Path::new("a.toml"), &Results::new(not_utf8())).unwrap_err();
        assert_eq!(stop.exit, Exit::Usage);
        assert!(stop.message.starts_with("the results folder's path is not UTF-8"), "{}", stop.message);
    }

    #[test]
    fn a_spec_whose_path_is_not_utf8_is_refused() {
        assert!(check_paths(not_utf8(), &Results::new("results")).is_err());
    }

    #[test]
    fn a_results_folder_may_have_a_chinese_name() {
        assert!(check_paths(Path::new("a.toml"), &Results::new("结果")).is_ok());
    }

    #[test]
    fn data_whose_path_is_not_utf8_are_refused() {
        let mut plan = samples::plan(1);
        let split = crate::data::Shares::default();
        plan.data.source = crate::data::Source::Single { path: not_utf8().to_owned(), split };
        assert!(check_data_paths(&plan).is_err());
    }

    #[test]
    fn forgetting_an_earlier_run_spares_the_model_of_another_program() {
        let (_root, folder) = folder();
        let lock = folder.lock().unwrap();
        let model = folder.best_model();
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join("config.json"), r#"{"model_type":"bert","id2label":{"0":"a"}}"#).unwrap();
        forget(&folder, &lock).unwrap();
        assert!(model.exists(), "the model of another program");
    }
}
