//! Whether a GPU works with CUDA.
//!
//! The steps are those of a worker's start, smallest first, so that the answer names the part that is missing: the
//! driver's library, the device, CUDA's headers, the compiler (NVRTC), and whether the driver loads what it has compiled.

use std::{
    panic::{UnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use cudarc::{
    driver::{
        CudaContext, DriverError, result,
        sys::{CUDA_VERSION, CUresult},
    },
    nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts},
};

use crate::{
    error_chain::panic_text,
    system::{files::named, gpus::cuda_version},
};

/// What kernels include first, and a check that headers and compiler are of one version.
const KERNEL: &str = "#include <cuda_runtime.h>\n\
    #if CUDART_VERSION / 1000 != __CUDACC_VER_MAJOR__\n#error headers of another version\n#endif\n\
    extern \"C\" __global__ void probe(float *values) { values[threadIdx.x] = 1.0f; }\n";
/// Where CUDA is looked for without `CUDA_PATH`, and what must be there (cubecl-cuda 0.10, `cuda_path`).
const PLACES: [(&str, &str); 3] =
    [("/usr/local/cuda", "/usr/local/cuda"), ("/opt/cuda", "/opt/cuda"), ("/usr", "/usr/bin/nvcc")];

pub(super) fn attempt(index: usize, driver_cuda: Option<u32>) -> Result<(), String> {
    driver(driver_cuda)?;
    let context = context(index)?;
    let headers = headers()?;
    let ptx = compile(&context, &headers)?;
    let loaded = context.load_module(ptx);
    loaded.map(drop).map_err(|error| load_fault(error, driver_cuda))
}

/// Does what panics where a library, or a function of one, is missing.
fn guarded<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    catch_unwind(work).map_err(|panic| panic_text(&*panic))
}

/// Loads the driver's library and starts it.
fn driver(driver_cuda: Option<u32>) -> Result<(), String> {
    let built = CUDA_VERSION;
    let started = guarded(result::init).map_err(|_| {
        "the library of NVIDIA's driver (libcuda.so.1) cannot be loaded; install the driver, or give the container \
         its `compute` part"
            .to_owned()
    })?;
    started.map_err(start_fault)?;
    match driver_cuda {
        Some(driver) if driver / 1000 < built / 1000 => Err(format!(
            "NVIDIA's driver serves CUDA {} at most, and this program was built for CUDA {}; update the driver, or \
             build again with CUDARC_CUDA_VERSION={} set",
            cuda_version(driver),
            cuda_version(built),
            driver / 10 * 10
        )),
        _ => Ok(()),
    }
}

/// Why the driver does not start.
fn start_fault(DriverError(code): DriverError) -> String {
    match code {
        CUresult::CUDA_ERROR_NO_DEVICE => "the driver finds no GPU; does `nvidia-smi` show one, and does \
                                           CUDA_VISIBLE_DEVICES name it?"
            .to_owned(),
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "the kernel module of NVIDIA's driver is of another version than its libraries: restart the machine"
                .to_owned()
        }
        other => format!("NVIDIA's driver does not start ({other:?}); does `nvidia-smi` work?"),
    }
}

fn context(index: usize) -> Result<Arc<CudaContext>, String> {
    guarded(move || CudaContext::new(index))?.map_err(|DriverError(code)| match code {
        CUresult::CUDA_ERROR_INVALID_DEVICE => {
            "the driver has no such GPU; does `nvidia-smi` show it?".to_owned()
        }
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            "it has no memory left for another process; `nvidia-smi` shows who has it".to_owned()
        }
        CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE => {
            "another process has it for itself (compute mode exclusive, `nvidia-smi -c 0` ends that)"
                .to_owned()
        }
        other => format!("the driver cannot use it ({other:?})"),
    })
}

/// The folder of CUDA's headers.
fn headers() -> Result<PathBuf, String> {
    let set = std::env::var("CUDA_PATH").ok().map(PathBuf::from);
    let is_there = |(_, proof): &&(&str, &str)| named::exists(Path::new(proof));
    let found = set.clone().or_else(|| PLACES.iter().find(is_there).map(|(folder, _)| PathBuf::from(folder)));
    let remedy = "install CUDA's headers (the package cuda-cudart-dev, or nvidia-cuda-runtime of pip) and set \
                  CUDA_PATH to the folder above their include/";
    let Some(folder) = found else {
        return Err(format!(
            "CUDA's headers are missing: CUDA_PATH is not set, and /usr/local/cuda is not there; {remedy}"
        ));
    };
    let include = folder.join("include");
    if named::exists(&include.join("cuda_runtime.h")) {
        return Ok(include);
    }
    let whence = if set.is_some() { " (CUDA_PATH)" } else { "" };
    Err(format!(
        "CUDA's headers are missing: no include/cuda_runtime.h in {}{whence}; {remedy}",
        folder.display()
    ))
}

/// Compiles a small kernel as cubecl compiles its own.
fn compile(context: &Arc<CudaContext>, include: &Path) -> Result<Ptx, String> {
    let (major, minor) =
        context.compute_capability().map_err(|error| format!("the GPU says nothing: {error}"))?;
    let specific = if major >= 9 { "a" } else { "" };
    let arch = format!("sm_{major}{minor}{specific}");
    let options = CompileOptions {
        include_paths: vec![include.display().to_string(), include.join("cccl").display().to_string()],
        options: vec![format!("--gpu-architecture={arch}")],
        ..CompileOptions::default()
    };
    let compiled = guarded(move || compile_ptx_with_opts(KERNEL, options)).map_err(|_| {
        format!(
            "CUDA's compiler (NVRTC, libnvrtc.so.{}) cannot be loaded; install it (the package cuda-nvrtc, or \
             nvidia-cuda-nvrtc of pip) and put its folder into LD_LIBRARY_PATH",
            CUDA_VERSION / 1000
        )
    })?;
    compiled.map_err(|error| compile_fault(&error, &arch, include))
}

/// Why the kernel could not be compiled.
fn compile_fault(error: &CompileError, arch: &str, include: &Path) -> String {
    let CompileError::CompileError { nvrtc, log, .. } = error else {
        return format!("CUDA's compiler (NVRTC) does not work: {error:?}; install it again");
    };
    let log = log.to_string_lossy();
    if log.contains("headers of another version") {
        return format!(
            "CUDA's headers in {} are of another version than its compiler (NVRTC); install both of one version, and \
             set CUDA_PATH and LD_LIBRARY_PATH to them",
            include.display()
        );
    }
    if log.contains("--gpu-architecture") {
        return format!(
            "CUDA's compiler (NVRTC) does not know this GPU ({arch}); install NVRTC and headers of another CUDA \
             version: a newer one for a new GPU, an older one for an old GPU"
        );
    }
    let first =
        log.lines().map(str::trim).find(|line| line.contains("error")).unwrap_or("no word of why").to_owned();
    format!(
        "CUDA's compiler (NVRTC) fails ({:?}): {first}; are its headers in {} whole?",
        nvrtc.0,
        include.display()
    )
}

/// Why the driver does not take what was compiled.
fn load_fault(DriverError(code): DriverError, driver_cuda: Option<u32>) -> String {
    let serves =
        driver_cuda.map_or_else(String::new, |driver| format!(" (it serves CUDA {})", cuda_version(driver)));
    match code {
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => format!(
            "NVIDIA's driver is older than CUDA's compiler (NVRTC) and cannot load what that makes{serves}; update \
             the driver, or install NVRTC and headers of the driver's CUDA version"
        ),
        other => format!("the driver cannot load a compiled kernel ({other:?})"),
    }
}
