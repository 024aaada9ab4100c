//! What the operating system offers: processors and GPUs, memory, disks, files.
//!
//! Nothing here knows of trials or sweeps.

pub mod device;
pub mod disk;
pub mod files;
pub mod machine;
pub mod memory;
pub(crate) mod oom_kills;
