//! What the program says of GPUs and their drivers, on machines that stand-ins describe.

#[cfg(feature = "cuda")]
mod compiler;
#[cfg(feature = "cuda")]
mod preflight;
#[cfg(feature = "cuda")]
mod workers;

use std::path::Path;

use serde_json::Value;

#[cfg(any(not(feature = "cuda"), feature = "wgpu"))]
use crate::common::place::Place;
use crate::common::{
    program::{Written, sweep},
    stand_in,
};

/// What `sweep devices` writes on a machine with these facts.
fn devices(facts: &[(&str, &str)], visible: Option<&str>) -> String {
    let mut command = sweep(&["devices"]);
    stand_in::machine(&mut command, facts);
    if let Some(visible) = visible {
        command.env("CUDA_VISIBLE_DEVICES", visible);
    }
    Written::by(&mut command).succeeded().stdout
}

/// The line of a listing that begins so.
#[track_caller]
fn line<'a>(listing: &'a str, begin: &str) -> &'a str {
    let found = listing.lines().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("no line {begin:?} in {listing}"))
}

/// Numbers of the GPUs that are listed.
fn indices(listing: &str) -> Vec<usize> {
    let numbers = listing.lines().filter_map(|line| line.strip_prefix("cuda:"));
    numbers.map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn gpus_are_listed_in_the_order_of_their_addresses() {
    let listing = devices(&[("GPUS", "16")], None);
    assert_eq!(indices(&listing), (0..16).collect::<Vec<_>>());
    assert_eq!(
        line(&listing, "cuda:9 "),
        "cuda:9   Stand-in GPU, 80.0 GB (80.0 GB free), 00000000:0A:00.0, GPU-09000000-0000-0000-0000-000000000000"
    );
    assert_eq!(line(&listing, "cuda  "), "cuda     driver 580.00.00, CUDA 13.0");
}

#[test]
fn memory_that_others_take_is_listed() {
    let used = [("USED", "0:30000000000"), ("PROCESSES", "0:1:10000000000,0:999999:20000000000")];
    let listing = devices(&used, None);
    assert!(line(&listing, "cuda:0").contains("80.0 GB (50.0 GB free)"), "{listing}");
    assert!(line(&listing, "cuda:0").ends_with("used by 2 processes"), "{listing}");
}

#[test]
fn the_processes_of_a_gpu_stand_in_the_json() {
    let mut command = sweep(&["devices", "--format", "json"]);
    stand_in::machine(&mut command, &[("PROCESSES", "0:999999:20000000000")]);
    let json: Value = serde_json::from_str(&Written::by(&mut command).succeeded().stdout).unwrap();
    let expected = serde_json::json!([{ "pid": 999_999, "memory_bytes": 20_000_000_000_u64 }]);
    assert_eq!(json["gpus"][0]["processes"], expected);
}

#[test]
fn the_instances_of_a_divided_gpu_take_its_place() {
    let listing = devices(&[("GPUS", "3"), ("DIVIDED", "1:2")], None);
    assert_eq!(indices(&listing), [0, 1, 2, 3]);
    let second = line(&listing, "cuda:2");
    assert!(second.contains("MIG 1g, 40.0 GB") && second.contains("MIG-01010000-"), "{listing}");
    assert!(line(&listing, "cuda:3").contains("GPU-02000000-"), "{listing}");
}

#[test]
fn cuda_visible_devices_leaves_what_it_names_by_number_name_or_instance() {
    let facts = [("GPUS", "4"), ("DIVIDED", "3:2")];
    let listing = devices(&facts, Some("2,GPU-00,MIG-0301"));
    assert_eq!(indices(&listing), [0, 1, 2]);
    for (begin, name) in [("cuda:0", "GPU-02"), ("cuda:1", "GPU-00"), ("cuda:2", "MIG-0301")] {
        assert!(line(&listing, begin).contains(name), "{listing}");
    }
}

#[test]
fn an_entry_of_cuda_visible_devices_that_leads_nowhere_is_told() {
    let listing = devices(&[("GPUS", "2")], Some("1,GPU-77,0"));
    assert_eq!(indices(&listing), [0]);
    assert!(line(&listing, "note     CUDA_VISIBLE_DEVICES").contains("`GPU-77` names no GPU"), "{listing}");
}

#[test]
fn a_variable_that_hides_all_gpus_is_told() {
    let listing = devices(&[("GPUS", "2")], Some(""));
    assert_eq!(line(&listing, "cuda  "), "cuda     CUDA_VISIBLE_DEVICES=\"\" leaves none of 2");
}

#[test]
fn a_lost_gpu_is_listed_with_its_fault() {
    let listing = devices(&[("GPUS", "3"), ("LOST", "1")], None);
    assert_eq!(indices(&listing), [0, 1, 2]);
    assert!(line(&listing, "cuda:2").contains("cannot be reached"), "{listing}");
}

#[test]
fn a_driver_that_is_missing_is_told() {
    if Path::new("/proc/driver/nvidia").exists() {
        eprintln!("SKIPPED: this machine has NVIDIA's driver");
        return;
    }
    let listing = Written::by(&mut sweep(&["devices"])).succeeded().stdout;
    assert!(
        line(&listing, "cuda  ").contains("NVIDIA's driver is not there (no libnvidia-ml.so.1)"),
        "{listing}"
    );
}

#[test]
fn a_driver_that_is_not_loaded_is_told() {
    let listing = devices(&[("FAULT", "not-loaded")], None);
    assert!(
        line(&listing, "cuda  ").contains("its kernel module is not loaded: `modprobe nvidia`"),
        "{listing}"
    );
}

#[test]
fn a_driver_of_two_versions_is_told() {
    let listing = devices(&[("FAULT", "mismatch")], None);
    assert!(line(&listing, "cuda  ").contains("of another version than its libraries: restart"), "{listing}");
}

#[test]
fn a_driver_that_crashes_takes_no_command_along() {
    let listing = devices(&[("FAULT", "crash")], None);
    let told = line(&listing, "cuda  ");
    assert!(told.contains("signal: 11 (SIGSEGV") && told.ends_with("does `nvidia-smi` work?"), "{listing}");
}

/// A sweep of one small trial.
const SPEC: &str =
    "name = \"small\"\n[data]\npath = \"builtin:reviews\"\n[search.space]\ndropout = { grid = [0.1] }\n";

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_refuses_nvidias_gpus_and_says_which_build_takes_them() {
    eprintln!("SKIPPED: what is tried before a run on CUDA needs a build with `--features cuda`");
    let place = Place::new("small", SPEC);
    let mut command = place.run_command(&["--devices", "cuda:0"]);
    let written = Written::by(stand_in::machine(&mut command, &[])).with_code(2);
    let told = "`cuda:0` needs a build with the cuda feature: cargo build --release --features cuda";
    assert!(written.stderr.contains(told), "{}", written.stderr);
    assert!(!place.has_results());
}

#[cfg(feature = "wgpu")]
#[test]
fn what_wgpu_reaches_first_computes() {
    let listing = Written::by(&mut sweep(&["devices"])).succeeded().stdout;
    if !listing.contains("wgpu:0") {
        eprintln!("SKIPPED: wgpu reaches no device here; mesa-vulkan-drivers has one in software");
        return;
    }
    let written = Written::by(&mut sweep(&["probe", "works", "--device", "wgpu:0"])).succeeded();
    assert_eq!(written.stdout, "null\n");
}

#[cfg(feature = "wgpu")]
#[test]
fn a_device_that_wgpu_does_not_reach_is_refused_with_what_there_is() {
    let place = Place::new("small", SPEC);
    let written = place.run(&["--devices", "wgpu:99"]).with_code(2);
    assert!(written.stderr.contains("`wgpu:99` is not there: this machine has"), "{}", written.stderr);
}
