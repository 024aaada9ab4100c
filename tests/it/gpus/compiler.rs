//! CUDA's compiler, where it is there. `SWEEP_TEST_CUDA` names a folder with `lib/` (libnvrtc.so) and `include/`, as the
//! packages of pip have them (`nvidia/cu13` in their site-packages).

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::common::stand_in;

/// The folder of the real compiler, with its headers.
pub(super) fn compiler() -> Option<PathBuf> {
    let folder = env::var_os("SWEEP_TEST_CUDA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: SWEEP_TEST_CUDA names no folder with NVRTC (lib/) and CUDA's headers (include/)");
    }
    folder
}

/// Variables by which a compiler is found, and headers.
pub(super) fn found(compiler: &Path, headers: &Path) -> [(&'static str, String); 2] {
    let libraries = env::join_paths([stand_in::driver(), compiler.join("lib")]).unwrap();
    [
        ("LD_LIBRARY_PATH", libraries.into_string().unwrap()),
        ("CUDA_PATH", headers.to_str().unwrap().to_owned()),
    ]
}
