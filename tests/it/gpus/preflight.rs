//! What is found wrong with a CUDA GPU before a run: a stand-in for the driver, and the real compiler where it is there.

use std::{env, fs};

use super::compiler::{compiler, found};
use crate::common::{
    place::Place,
    program::{Written, sweep},
    stand_in,
};

/// The answer of the process that tries a GPU: `null`, or what is wrong.
fn tried(facts: &[(&str, &str)], variables: &[(&str, String)]) -> String {
    let mut command = sweep(&["probe", "works", "--device", "cuda:0", "--driver-cuda", "13000"]);
    stand_in::machine(&mut command, facts);
    command.env_remove("CUDA_PATH").envs(variables.iter().map(|(name, value)| (name, value)));
    let written = Written::by(&mut command).succeeded();
    serde_json::from_str::<Option<String>>(&written.stdout).unwrap().unwrap_or_else(|| "it works".to_owned())
}

/// Variables by which the stand-in for the driver is found, and no compiler.
fn driver_alone() -> [(&'static str, String); 1] {
    [("LD_LIBRARY_PATH", stand_in::driver().to_str().unwrap().to_owned())]
}

#[test]
fn a_missing_driver_library_is_told() {
    let told = tried(&[], &[]);
    assert!(told.contains("(libcuda.so.1) cannot be loaded; install the driver"), "{told}");
}

#[test]
fn a_driver_that_finds_no_gpu_is_told() {
    let told = tried(&[("CUDA_FAULT", "no-device")], &driver_alone());
    assert!(told.starts_with("the driver finds no GPU; does `nvidia-smi` show one"), "{told}");
}

#[test]
fn a_driver_that_does_not_start_is_told() {
    let told = tried(&[("CUDA_FAULT", "start")], &driver_alone());
    assert_eq!(told, "NVIDIA's driver does not start (CUDA_ERROR_UNKNOWN); does `nvidia-smi` work?");
}

#[test]
fn a_gpu_without_memory_for_another_process_is_told() {
    let told = tried(&[("CUDA_FAULT", "memory")], &driver_alone());
    assert!(told.starts_with("it has no memory left for another process"), "{told}");
}

#[test]
fn a_gpu_that_another_process_has_for_itself_is_told() {
    let told = tried(&[("CUDA_FAULT", "exclusive")], &driver_alone());
    assert!(told.starts_with("another process has it for itself"), "{told}");
}

#[test]
fn a_driver_older_than_the_build_is_told_with_both_versions() {
    let mut command = sweep(&["probe", "works", "--device", "cuda:0", "--driver-cuda", "11040"]);
    stand_in::machine(&mut command, &[]).env("LD_LIBRARY_PATH", stand_in::driver());
    let told = Written::by(&mut command).succeeded().stdout;
    assert!(
        told.contains("serves CUDA 11.4 at most") && told.contains("CUDARC_CUDA_VERSION=11040"),
        "{told}"
    );
}

#[test]
fn missing_headers_are_told() {
    let place = Place::empty();
    let mut variables = driver_alone().to_vec();
    variables.push(("CUDA_PATH", place.path("").to_str().unwrap().to_owned()));
    let told = tried(&[], &variables);
    assert!(told.starts_with("CUDA's headers are missing: no include/cuda_runtime.h in"), "{told}");
}

#[test]
fn a_missing_compiler_is_told() {
    let place = Place::empty();
    place.write("include/cuda_runtime.h", "");
    let mut variables = driver_alone().to_vec();
    variables.push(("CUDA_PATH", place.path("").to_str().unwrap().to_owned()));
    let told = tried(&[], &variables);
    if env::var_os("SWEEP_TEST_CUDA").is_none() && !told.contains("(NVRTC, libnvrtc.so.") {
        eprintln!("SKIPPED: this machine has NVRTC");
        return;
    }
    assert!(told.contains("cannot be loaded; install it") && told.contains("LD_LIBRARY_PATH"), "{told}");
}

#[test]
fn a_gpu_works_whose_kernels_the_real_compiler_makes() {
    let Some(compiler) = compiler() else { return };
    assert_eq!(tried(&[], &found(&compiler, &compiler)), "it works");
}

#[test]
fn a_gpu_that_the_compiler_does_not_know_is_told() {
    let Some(compiler) = compiler() else { return };
    let told = tried(&[("ARCH", "35")], &found(&compiler, &compiler));
    assert!(told.contains("(NVRTC) does not know this GPU (sm_35)"), "{told}");
}

#[test]
fn a_driver_older_than_the_compiler_is_told() {
    let Some(compiler) = compiler() else { return };
    let told = tried(&[("CUDA_FAULT", "old")], &found(&compiler, &compiler));
    let begin = "NVIDIA's driver is older than CUDA's compiler (NVRTC) and cannot load what that makes (it serves CUDA 13.0)";
    assert!(told.starts_with(begin), "{told}");
}

#[test]
fn headers_of_another_version_than_the_compiler_are_told() {
    let Some(compiler) = compiler() else { return };
    let place = Place::empty();
    fs::create_dir(place.path("include")).unwrap();
    place.write("include/cuda_runtime.h", "#define CUDART_VERSION 11040\n");
    let told = tried(&[], &found(&compiler, &place.path("")));
    assert!(told.contains("are of another version than its compiler (NVRTC)"), "{told}");
}

#[test]
fn a_run_on_a_gpu_with_a_fault_ends_before_it_begins() {
    let place = Place::new("small", super::SPEC);
    let mut command = place.run_command(&["--devices", "cuda"]);
    stand_in::machine(&mut command, &[("CUDA_FAULT", "exclusive")]);
    let folders = [stand_in::driver(), stand_in::management()];
    command.env("LD_LIBRARY_PATH", env::join_paths(folders).unwrap());
    let written = Written::by(&mut command).with_code(2);
    let begin = "error: cuda:0 (Stand-in GPU) cannot be used: another process has it for itself";
    assert!(written.stderr.contains(begin), "{}", written.stderr);
    assert!(!place.has_results());
}

#[test]
fn a_run_on_a_gpu_that_others_fill_ends_before_it_begins() {
    let place = Place::new("small", super::SPEC);
    let mut command = place.run_command(&["--devices", "cuda"]);
    let facts = [("GPUS", "2"), ("USED", "1:79500000000"), ("PROCESSES", "1:999999:79000000000")];
    let written = Written::by(stand_in::machine(&mut command, &facts)).with_code(2);
    let told = "cuda:1 (Stand-in GPU) cannot be used: 500 MB of its 80.0 GB of memory are free";
    assert!(written.stderr.contains(told), "{}", written.stderr);
    assert!(written.stderr.contains("it is used by process 999999 (79.0 GB)"), "{}", written.stderr);
}

#[test]
fn auto_stops_at_a_driver_that_does_not_work() {
    let place = Place::new("small", super::SPEC);
    let mut command = place.run_command(&["--devices", "auto"]);
    let written = Written::by(stand_in::machine(&mut command, &[("FAULT", "not-loaded")])).with_code(2);
    assert!(written.stderr.contains("To run without them, write --devices cpu"), "{}", written.stderr);
}
