//! Libraries that play NVIDIA's on machines without a GPU: `tests/gpu/stand_in/`.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use super::{place::Place, program, repository};

/// The stand-ins, compiled once: a folder for each.
static LIBRARIES: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("stand-in", "");
    for (folder, source, library) in
        [("management", "nvml.c", "libnvidia-ml.so.1"), ("driver", "libcuda.c", "libcuda.so.1")]
    {
        fs::create_dir(place.path(folder)).unwrap();
        compile(source, &place.path(folder).join(library));
    }
    place
});

/// The folder of the stand-in for NVIDIA's management library.
pub(crate) fn management() -> PathBuf {
    LIBRARIES.path("management")
}

/// The folder of the stand-in for the CUDA driver.
#[cfg(feature = "cuda")]
pub(crate) fn driver() -> PathBuf {
    LIBRARIES.path("driver")
}

/// Compiles a source of `tests/gpu/stand_in` into a library.
fn compile(source: &str, library: &Path) {
    let source = repository().join("tests/gpu/stand_in").join(source);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(library).arg(source);
    let output = cc.output().expect("cc is there: the README asks for it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Has `command` find the stand-in and what it says of the machine: variables without their `STAND_IN_`.
pub(crate) fn machine<'a>(command: &'a mut Command, facts: &[(&str, &str)]) -> &'a mut Command {
    let inherited = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = [management()].into_iter().chain(env::split_paths(&inherited));
    command.env("LD_LIBRARY_PATH", env::join_paths(folders).unwrap()).env_remove("CUDA_VISIBLE_DEVICES");
    command.envs(facts.iter().map(|(name, value)| (format!("STAND_IN_{name}"), value)))
}

/// A program in `place` that is `sweep` on such a machine.
pub(crate) fn program(place: &Place, facts: &[(&str, &str)]) -> PathBuf {
    let mut command = program::sweep(&[]);
    machine(&mut command, facts);
    let line = |(name, value): (&OsStr, Option<&OsStr>)| match (name.to_str().unwrap(), value) {
        (name, Some(value)) => format!("export {name}='{}'", value.to_str().unwrap()),
        (name, None) => format!("unset {name}"),
    };
    let mut lines = vec!["#!/bin/sh".to_owned()];
    lines.extend(command.get_envs().map(line));
    lines.push(format!("exec '{}' \"$@\"\n", command.get_program().to_str().unwrap()));
    let script = lines.join("\n");
    place.write("sweep-with-gpus", script);
    let path = place.path("sweep-with-gpus");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}
