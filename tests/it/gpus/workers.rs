//! Real workers on CUDA GPUs: a stand-in for the driver, whose kernels compute nothing, and the real compiler, where it
//! is there.

use std::{env, ffi::OsString, fs, path::Path, process::Command, sync::LazyLock};

use sweep::{event::Event, trial::FailureKind};

use super::compiler::{compiler, found};
use crate::common::{place::Place, program::Written, results::files_under, stand_in};

/// Where kernels are kept, for all tests of a process: to compile them takes longest.
static KERNELS: LazyLock<Place> = LazyLock::new(|| Place::shared("kernels", ""));

/// Trials of 24 steps.
fn spec(model: &str, dropout: &str) -> String {
    format!(
        "name = \"small\"\n[data]\npath = \"builtin:reviews\"\n\
         limit = {{ train = 384, validation = 8, test = 8 }}\n[train]\nepochs = 1\nbatch_size = 16\n\
         {model}\n[search.space]\ndropout = {{ grid = {dropout} }}\n"
    )
}

/// Has `command` find the GPUs of a machine with these facts, and a compiler for them.
fn with_gpus<'a>(command: &'a mut Command, compiler: &Path, facts: &[(&str, &str)]) -> &'a mut Command {
    stand_in::machine(command, facts).env("XDG_CACHE_HOME", KERNELS.path(""));
    let [(libraries, folders), (headers, folder)] = found(compiler, compiler);
    let folders = [stand_in::management()].into_iter().chain(env::split_paths(&folders));
    let folders: OsString = env::join_paths(folders).unwrap();
    command.env(libraries, folders).env(headers, folder)
}

/// Runs the sweep on all GPUs of a machine with these facts. `None` without a compiler.
fn run(place: &Place, facts: &[(&str, &str)], fuse: &str) -> Option<Written> {
    let compiler = compiler()?;
    let mut command = place.run_command(&["--devices", "cuda", "--fuse", fuse]);
    Some(Written::by(with_gpus(&mut command, &compiler, facts)).succeeded())
}

/// The failures of all trials, and whether each was tried again.
fn failures(place: &Place) -> Vec<(FailureKind, bool)> {
    let records = place.results().records().into_iter();
    let failed = |event| match event {
        Event::Failed { failure, retry } => Some((failure.kind, retry)),
        _ => None,
    };
    records.filter_map(|record| failed(record.event)).collect()
}

#[test]
fn a_gpu_that_is_lost_in_the_midst_of_a_trial_fails_none_and_the_other_one_finishes_the_sweep() {
    let place = Place::new("small", &spec("", "[0.1, 0.2, 0.3, 0.4]"));
    // CUDA_ERROR_LAUNCH_FAILED after some ten steps, in each worker that sees the second GPU.
    let facts = [("GPUS", "2"), ("BREAKS", "GPU-01:2500:719")];
    let Some(written) = run(&place, &facts, "off") else { return };
    let told = "cuda:1 is set aside: it was lost twice in a row (the GPU is lost: CUDA_ERROR_LAUNCH_FAILED)";
    assert!(written.stderr.contains(told), "{}", written.stderr);
    assert_eq!(failures(&place), vec![(FailureKind::DeviceLost, true); 2]);
    let devices: Vec<String> =
        place.results().rows().iter().map(|row| row["device"].as_str().unwrap().to_owned()).collect();
    assert_eq!(devices, ["cuda:0"; 4]);
}

/// The thread of the device panics where memory runs out, and the trial goes on for a while without what it asked for.
#[test]
fn after_the_memory_of_a_gpu_ran_out_no_attempt_begins_with_what_was_computed_behind_that() {
    let place = Place::new("small", &spec("", "[0.1]"));
    // The longest texts, which come after some steps, take more.
    let Some(written) = run(&place, &[("ROOM", "250000000")], "off") else { return };
    let failed = failures(&place);
    let is_full = |(kind, retry): &(FailureKind, bool)| matches!(kind, FailureKind::OutOfMemory(_)) && *retry;
    assert!(!failed.is_empty() && failed.iter().all(is_full), "{failed:?}");
    let resumed = |event| matches!(event, Event::Resumed { .. });
    assert!(!place.results().records().into_iter().any(|record| resumed(record.event)), "{}", written.stderr);
}

/// Losses are read for the first time after sixteen steps, and few batches have the size of another one.
fn nothing_is_compiled_after_the_tenth_step(model: &str, dropout: &str) {
    let place = Place::new("small", &spec(model, dropout));
    let log = place.path("driver/log");
    fs::create_dir(place.path("driver")).unwrap();
    let Some(_) = run(&place, &[("DRIVER_LOG", log.to_str().unwrap())], "4") else { return };
    let text: String =
        files_under(&place.path("driver")).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("step ")).collect();
    let modules = |step: usize| steps[step - 1].rsplit(' ').next().unwrap();
    assert_eq!((steps.len(), modules(24)), (24, modules(10)), "{model} {dropout}: {text}");
}

#[test]
fn no_kernel_is_compiled_after_the_tenth_step_of_a_trial() {
    nothing_is_compiled_after_the_tenth_step("", "[0.1]");
    nothing_is_compiled_after_the_tenth_step("[model]\npooling = \"mean\"", "[0.1]");
}

#[test]
fn no_kernel_is_compiled_after_the_tenth_step_of_trials_together() {
    for model in ["", "[model]\nfreeze = \"encoder\"", "[model]\npooling = \"mean\""] {
        nothing_is_compiled_after_the_tenth_step(model, "[0.1, 0.2, 0.3, 0.4]");
    }
}

/// The device's thread panics, and goes on; or the thread that reads its answer panics too.
#[test]
fn a_prediction_ends_where_the_gpu_fails() {
    let Some(compiler) = compiler() else { return };
    let place = Place::new("small", &spec("", "[0.1]").replace("384", "16"));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place.sweep(&["export-best", "small", "--trial", "1", "--out", "model"]).succeeded();
    let predicted = |facts: &[(&str, &str)]| {
        let mut command = place.command(&["predict", "--model", "model", "--device", "cuda:0", "好", "差"]);
        let command = with_gpus(&mut command, &compiler, facts);
        // As a worker sees it: by its name the stand-in knows which GPU is meant.
        Written::by(command.env("CUDA_VISIBLE_DEVICES", "GPU-00000000-0000-0000-0000-000000000000"))
    };
    assert_eq!(predicted(&[]).succeeded().stdout.lines().count(), 2);
    let full = "error: the device failed: the GPU's memory ran out: can't allocate buffer of size: ";
    for (facts, told) in [
        (("ROOM", "20000000"), full),
        (("FULL", "0"), full),
        (("FULL", "1"), full),
        (("BREAKS", "GPU-00:20:719"), "error: the device failed: the GPU is lost: CUDA_ERROR_LAUNCH_FAILED"),
    ] {
        let written = predicted(&[facts]);
        assert_eq!((written.code, written.stdout.as_str()), (Some(2), ""), "{facts:?}: {}", written.stderr);
        let last = written.stderr.lines().last().unwrap();
        assert!(last.starts_with(told), "{facts:?}: {}", written.stderr);
    }
}
