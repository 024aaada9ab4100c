//! Which options of sbatch a user may pass on by `extra`: those that a sweep does not depend on.

/// Options that the batch script sets, or that would make jobs of another kind, each with why it is refused.
const REFUSED: [(&str, &str); 32] = [
    ("job-name", "jobs are found again by their names"),
    ("output", "what a job prints goes to the folder cluster/logs of the sweep"),
    ("error", "what a job prints goes to the folder cluster/logs of the sweep"),
    ("open-mode", "a job that is requeued goes on in the same log"),
    ("array", "each worker is a job of its own: `workers` says how many"),
    ("wrap", "the job runs `sweep`: put lines before it into `setup`"),
    ("input", "the job reads no input"),
    ("requeue", "jobs are always requeued: a second copy of a trial cannot do harm"),
    ("no-requeue", "jobs are always requeued: a second copy of a trial cannot do harm"),
    ("signal", "a signal before the time limit makes workers write their checkpoints"),
    ("nodes", "a worker is on one node: `workers` says how many there are"),
    ("ntasks", "a worker is one process: `workers` says how many there are"),
    ("ntasks-per-node", "a worker is one process: `workers` says how many there are"),
    ("wait", "a sweep looks at its jobs by itself"),
    ("test-only", "`--dry-run` of `sweep run` submits nothing"),
    ("parsable", "it is set anyway"),
    ("help", "it submits nothing"),
    ("usage", "it submits nothing"),
    ("version", "it submits nothing"),
    ("clusters", "a sweep is on one cluster: set SLURM_CLUSTERS for the whole command"),
    ("bb", "it would be of no use to a worker"),
    ("bbf", "it would be of no use to a worker"),
    ("ignore-pbs", "the script has no such lines"),
    ("uid", "jobs run as the user who starts the sweep"),
    ("gid", "jobs run as the user who starts the sweep"),
    ("partition", "write partition = \"…\" in [executor]"),
    ("account", "write account = \"…\" in [executor]"),
    ("qos", "write qos = \"…\" in [executor]"),
    ("time", "write time = \"2h\", or the like, in [executor]"),
    ("cpus-per-task", "write cpus = 4, or the like, in [executor]"),
    ("mem", "write memory = \"16GB\", or the like, in [executor]"),
    ("constraint", "write constraint = \"…\" in [executor]"),
];

/// Why the option `extra`, as a user wrote it, cannot be passed on; `None` if it can.
pub(crate) fn refusal(extra: &str) -> Option<&'static str> {
    let Some(option) = extra.strip_prefix("--") else {
        return Some("an option is written as \"--name=value\"");
    };
    let (name, has_value) = option.split_once('=').map_or((option, false), |(name, _)| (name, true));
    let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
    if name.contains([' ', '\t']) && !has_value {
        return Some("a value stands behind `=`: \"--name=value\"");
    }
    if name.is_empty() || !name.chars().all(is_name) {
        return Some("an option is written as \"--name=value\"");
    }
    // sbatch takes the beginning of an option for the option.
    REFUSED
        .iter()
        .find(|(refused, _)| *refused == name)
        .or_else(|| {
            let mut begun = REFUSED.iter().filter(|(refused, _)| refused.starts_with(name));
            begun.next().filter(|_| name.len() > 1)
        })
        .map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_a_sweep_does_not_depend_on_is_passed_on() {
        for extra in [
            "--exclude=n7",
            "--gres=shard:1",
            "--gpus=a100:1",
            "--exclusive",
            "--comment=two words",
            "--mem-per-gpu=20G",
            "--nodelist=n[1-3]",
            "--reservation=course",
            "--mail-type=FAIL",
            "--time-min=30",
        ] {
            assert_eq!(refusal(extra), None, "{extra}");
        }
    }

    #[test]
    fn an_option_that_the_script_sets_is_refused_even_where_it_is_cut_short() {
        for extra in [
            "--job-name=x",
            "--job=x",
            "--output=x",
            "--arr=1-9",
            "--wrap=ls",
            "--no-req",
            "--tim=9",
            "--mem=1G",
        ] {
            assert!(refusal(extra).is_some(), "{extra}");
        }
    }

    #[test]
    fn what_is_no_long_option_is_refused() {
        for extra in ["partition=x", "-p x", "--", "--=x", "--reservation course", "", "--Exclude=n7"] {
            assert!(refusal(extra).is_some(), "{extra}");
        }
    }
}
