//! Slurm's commands: the options of `[executor]`, the batch script of a worker's job, and sbatch, squeue, scancel and
//! scontrol with what they answer.
//!
//! Text goes in and out: no library of Slurm's, no JSON (its schema differs between versions, and 22.05's is wrong in
//! places). Nothing here knows of trials. A query that fails says nothing about jobs, and a state that is unknown is
//! no error.
//!
//! ```text
//! options   what a spec asks of Slurm         script    the batch script of a job
//! commands  running the programs              answers   what they print, read
//! advice    what a user can do about a reason of Slurm's
//! extras    which options a user may pass on
//! error     why a command or a script failed
//! ```

mod advice;
mod answers;
mod commands;
mod error;
mod extras;
mod options;
mod script;

pub use self::{
    advice::{advice, is_limit},
    answers::{JobReport, JobState, QueuedJob},
    commands::{Slurm, Submission},
    error::SlurmError,
    options::{
        CPUS_MAX, JOBS_MAX, KEYS, LOST_AFTER_MIN, Mode, POLL_MIN, SlurmOptions, TIME_MIN, WORKERS_DEFAULT_MAX,
    },
    script::{BatchJob, script},
};
pub(crate) use self::{extras::refusal, options::gpus_of_words};
