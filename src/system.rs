//! What the operating system offers: processors and GPUs, memory, disks, files, and what it is short of.
//!
//! Nothing here knows of trials or sweeps.

pub mod clock;
pub mod device;
pub mod disk;
pub mod files;
pub mod gpus;
pub mod machine;
pub mod memory;
pub(crate) mod oom_kills;
pub(crate) mod panics;
pub mod selection;
pub mod shortage;
pub mod signals;
pub mod threads;
