//! Deeds of workers on GPUs: that they see one, that they share it with so many others, that it is lost.

use std::{env, fs, path::Path, thread, time::Duration};

use sweep::{
    protocol::WorkerLine,
    trial::{Failure, FailureKind, TrialId},
};

use super::{complete, say};

/// Looks for others, and the time between two of them.
const LOOKS: u32 = 6_000;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The GPU that this process sees.
fn own() -> String {
    env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default()
}

/// Notes the GPU in the trial's folder, a line for each attempt.
pub(super) fn note(folder: &Path) {
    let path = folder.join("gpus");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let order = env::var("CUDA_DEVICE_ORDER").unwrap_or_default();
    fs::write(&path, format!("{before}{} {order}\n", own())).expect("the folder of a trial is writable");
}

/// Does a deed, if it is one of these. A failure that was reported is `Some(false)`.
pub(super) fn obey(deed: &str, trial: TrialId) -> Option<bool> {
    let (deed, argument) = deed.split_once(' ')?;
    match deed {
        "gathers" => Some(gather(trial, argument.parse().expect("a number of workers"))),
        "occupies" => Some(occupy(trial, argument.parse().expect("a number of trials"))),
        "takes-gpu-memory" => {
            say(&WorkerLine::GpuMemory(trial, argument.parse().expect("a number of bytes")));
            complete(trial);
            Some(true)
        }
        "lost-on" if argument == own() => {
            Some(fail(trial, FailureKind::DeviceLost, "CUDA_ERROR_ECC_UNCORRECTABLE"))
        }
        "lost-on" => {
            complete(trial);
            Some(true)
        }
        _ => None,
    }
}

fn fail(trial: TrialId, kind: FailureKind, message: &str) -> bool {
    say(&WorkerLine::Failed(trial, Failure { kind, message: message.to_owned() }));
    false
}

/// Where workers of one program leave notes for each other.
fn notes() -> String {
    let notes = format!("{}.notes", env::args().next().unwrap_or_default());
    fs::create_dir_all(&notes).expect("the program's folder is writable");
    notes
}

/// Waits until so many workers do the same at once.
fn gather(trial: TrialId, all: usize) -> bool {
    let folder = notes();
    fs::write(format!("{folder}/{}", std::process::id()), own()).expect("the folder is writable");
    for _ in 0..LOOKS {
        if fs::read_dir(&folder).expect("the folder is readable").count() >= all {
            complete(trial);
            return true;
        }
        say(&WorkerLine::Alive(trial));
        thread::sleep(LOOK_EVERY);
    }
    fail(trial, FailureKind::Data, "the others did not come")
}

/// Takes one of so many places on its GPU for the time of the trial; there must be one.
fn occupy(trial: TrialId, places: usize) -> bool {
    let folder = notes();
    let taken = (0..places).find_map(|place| {
        let path = format!("{folder}/{}-{place}", own());
        fs::File::create_new(&path).is_ok().then_some(path)
    });
    let Some(place) = taken else { return fail(trial, FailureKind::Data, "the GPU is taken") };
    thread::sleep(LOOK_EVERY);
    // Before the end is told: the next worker may be started at once.
    fs::remove_file(place).expect("the place is this trial's own");
    complete(trial);
    true
}
