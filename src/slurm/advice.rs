//! What a user can do about what Slurm says of a job that does not run, or that it refuses.

/// Reasons, in lower case without spaces and underscores, by how they begin; the first that fits counts. `None`: the
/// job will run by itself.
const ADVICE: &[Known] = &[
    ("none", None),
    ("resources", None),
    ("priority", None),
    ("begintime", None),
    ("prolog", None),
    ("cleaning", None),
    ("nodenotavail", Some(NODES_AWAY)),
    ("reqnodenotavail", Some(NODES_AWAY)),
    ("nodedown", Some(NODES_AWAY)),
    (
        "partitiontimelimit",
        Some("the partition allows less time: lower `time` in [executor]; `sinfo` shows limits"),
    ),
    (
        "requestedtimelimit",
        Some("the partition allows less time: lower `time` in [executor]; `sinfo` shows limits"),
    ),
    ("partitionnodelimit", Some("the partition has no such node: name another `partition` in [executor]")),
    (
        "partitiondown",
        Some("the partition takes jobs and starts none: wait, or name another `partition` in [executor]"),
    ),
    (
        "partitioninactive",
        Some("the partition is closed: name another `partition` in [executor]; `sinfo` lists them"),
    ),
    (
        "partitionconfig",
        Some(
            "the partition does not give what is asked for: compare [executor] with `scontrol show partition`",
        ),
    ),
    (
        "requiredpartition",
        Some("the partition is closed: name another `partition` in [executor]; `sinfo` lists them"),
    ),
    (
        "reservation",
        Some(
            "the job waits for its reservation: see `scontrol show reservation`, or remove `--reservation` from `extra`",
        ),
    ),
    ("qosmax", Some(QOS)),
    ("qosgrp", Some(QOS_GROUP)),
    (
        "qosmin",
        Some("the quality of service asks for more than the job wants: name another `qos` in [executor]"),
    ),
    ("qos", Some(QOS)),
    ("maxgres", Some(QOS)),
    ("jobviolatesaccounting/qospolicy", Some(POLICY)),
    ("assocgrp", Some(ACCOUNT_GROUP)),
    ("assocmax", Some(ACCOUNT)),
    ("associationjoblimit", Some(ACCOUNT)),
    ("associationresourcelimit", Some(ACCOUNT)),
    ("associationtimelimit", Some("the account allows less time: lower `time` in [executor]")),
    ("maxjobsperaccount", Some(ACCOUNT)),
    ("assoc", Some(ACCOUNT)),
    ("badconstraints", Some(NO_SUCH_NODE)),
    ("requestednodeconfiguration", Some(NO_SUCH_NODE)),
    (
        "memoryspecification",
        Some("no node has so much memory: lower `memory` in [executor]; `sinfo -o '%P %m'` shows MB"),
    ),
    ("nodecountspecification", Some(NO_SUCH_NODE)),
    (
        "moreprocessorsrequested",
        Some("no node has so many processors: lower `cpus` in [executor]; `sinfo -o '%P %c'` shows them"),
    ),
    (
        "invalidfeature",
        Some("no node has this feature: correct `constraint` in [executor]; `sinfo -o '%P %f'` lists them"),
    ),
    ("invalidgenericresource", Some(NO_SUCH_GPU)),
    ("invalidgres", Some(NO_SUCH_GPU)),
    ("invalidpartition", Some("correct `partition` in [executor]; `sinfo` lists them")),
    (
        "invalidaccount",
        Some("correct `account` in [executor]; `sacctmgr show associations user=$USER` lists yours"),
    ),
    (
        "invalidqos",
        Some(
            "correct `qos` in [executor]; `sacctmgr show associations user=$USER format=account,qos` lists yours",
        ),
    ),
    (
        "user'sgroupnotpermitted",
        Some("you may not use this partition: name another `partition` in [executor]; `sinfo` lists them"),
    ),
    (
        "accountnotallowed",
        Some(
            "the account may not use this partition or quality of service: change `account`, `partition` or `qos`",
        ),
    ),
    ("jobhelduser", Some("a user holds the job: `scontrol release ID` lets it go on, `scancel ID` ends it")),
    ("jobheldadmin", Some("an administrator holds the job: ask them; `scontrol release ID` does not help")),
    ("held", Some("the job is held: `scontrol release ID` lets it go on, `scancel ID` ends it")),
    ("launchfailedrequeuedheld", Some(HELD_AGAIN)),
    ("jobrequeuedinheldstate", Some(HELD_AGAIN)),
    ("requeuedheld", Some(HELD_AGAIN)),
    ("jobholdmaxrequeue", Some(HELD_AGAIN)),
    ("jobarraytasklimit", None),
    ("dependency", Some("the job waits for another one, by `--dependency` in `extra`")),
    (
        "dependencyneversatisfied",
        Some("the job waits for one that has failed: remove `--dependency` from `extra`"),
    ),
    ("licenses", Some("the job waits for licences, by `--licenses` in `extra`")),
    ("deadline", Some("the job cannot end before its `--deadline`: change it in `extra`")),
    ("accountingpolicy", Some(POLICY)),
];

const NODES_AWAY: &str =
    "the nodes that fit are down, drained or reserved: wait (`sinfo -R` says why), or ask for other nodes";
const NO_SUCH_NODE: &str = "no node has what is asked for: lower `gpus`, `cpus` or `memory`, or change `partition` or `constraint`; `sinfo -o '%P %c %m %G %f'` shows what there is";
const NO_SUCH_GPU: &str =
    "the cluster has no such GPU: correct `gpus` in [executor]; `sinfo -o '%P %G'` lists them";
const QOS: &str = "the quality of service allows you no more at once: the job starts when others of yours end; if it never does, lower `time`, `gpus` or `cpus`, or name another `qos`";
const QOS_GROUP: &str = "all users of this quality of service together have reached its limit: the job starts when others end, or name another `qos`";
const ACCOUNT: &str = "the account allows you no more at once: the job starts when others of yours end; if it never does, lower `time`, `gpus` or `cpus`, or name another `account`";
const ACCOUNT_GROUP: &str = "all users of the account together have reached its limit, or its hours are used up: ask who manages it, or name another `account`";
const POLICY: &str = "a limit of the account or of the quality of service: submit fewer jobs (`workers`, `pending`), or change `time`, `account` or `qos`";
const HELD_AGAIN: &str = "Slurm could not start the job and holds it: look at the log of the node (`scontrol show job ID`), then `scontrol release ID`";

/// What a user can do about Slurm's `reason` for a job that waits, or about sbatch's words for one that it refuses;
/// `None` where nothing is needed, or where this version does not know the reason.
#[must_use]
pub fn advice(reason: &str) -> Option<&'static str> {
    let is_letter = |c: &char| !matches!(c, ' ' | '_' | '(' | ')');
    let reason: String = reason.chars().filter(is_letter).flat_map(char::to_lowercase).collect();
    // sbatch begins with its own name, and the reason comes last; squeue begins with the reason.
    let last = reason.rsplit(':').next().unwrap_or_default();
    longest(&reason).or_else(|| longest(last)).and_then(|known| known.1)
}

/// Whether sbatch refuses a job by these words since other jobs, or Slurm itself, are in its way: later it may take it.
#[must_use]
pub fn is_limit(words: &str) -> bool {
    let words = words.to_lowercase();
    let has = |one_of: &[&str]| one_of.iter().any(|word| words.contains(word));
    // A policy's words name all limits that it may mean.
    has(&["accounting/qos policy", "temporarily", "try again"])
        || has(&["limit"]) && !has(&["time limit", "timelimit", "node limit", "nodelimit"])
}

/// A reason as it begins, and what is said about it.
type Known = (&'static str, Option<&'static str>);

/// The longest of the reasons that `reason` begins with.
fn longest(reason: &str) -> Option<&'static Known> {
    let known = ADVICE.iter().filter(|(start, _)| reason.starts_with(start));
    known.max_by_key(|(start, _)| start.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_runs_by_itself_needs_no_advice() {
        for reason in ["None", "Resources", "(Priority)", "BeginTime", "Prolog", "", "AReasonOfTomorrow"] {
            assert_eq!(advice(reason), None, "{reason}");
        }
    }

    #[test]
    fn a_job_that_waits_for_a_person_has_advice() {
        for (reason, word) in [
            ("ReqNodeNotAvail, UnavailableNodes:n[1-4]", "sinfo -R"),
            ("PartitionTimeLimit", "`time`"),
            ("QOSMaxGRESPerUser", "quality of service"),
            ("QOSGrpGRES", "all users"),
            ("AssocGrpGRESMinutes", "hours"),
            ("AssocMaxJobsLimit", "account"),
            ("BadConstraints", "no node"),
            ("JobHeldUser", "scontrol release"),
            ("JobHeldAdmin", "administrator"),
            ("launch failed requeued held", "Slurm could not start"),
            ("launch_failed_requeued_held", "Slurm could not start"),
            ("job requeued in held state", "Slurm could not start"),
            ("DependencyNeverSatisfied", "failed"),
        ] {
            assert!(
                advice(reason).is_some_and(|advice| advice.contains(word)),
                "{reason}: {:?}",
                advice(reason)
            );
        }
    }

    #[test]
    fn a_limit_on_jobs_may_give_way_and_a_limit_on_what_a_job_asks_for_does_not() {
        for (words, may_pass) in [
            (
                "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's \
                 size and/or time limits)",
                true,
            ),
            ("QOSMaxSubmitJobPerUserLimit", true),
            ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", true),
            ("Requested time limit is invalid (missing or exceeds some limit)", false),
            ("sbatch: error: Batch job submission failed: Invalid partition name specified", false),
            ("Requested node configuration is not available", false),
        ] {
            assert_eq!(is_limit(words), may_pass, "{words}");
        }
    }

    #[test]
    fn the_words_of_sbatch_have_advice_too() {
        for (words, key) in [
            ("sbatch: error: Batch job submission failed: Invalid partition name specified", "`partition`"),
            (
                "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
                "`account`",
            ),
            ("sbatch: error: Batch job submission failed: Invalid qos specification", "`qos`"),
            ("sbatch: error: Batch job submission failed: Invalid feature specification", "`constraint`"),
            (
                "sbatch: error: Batch job submission failed: Requested node configuration is not available",
                "`gpus`",
            ),
            ("sbatch: error: Memory specification can not be satisfied", "`memory`"),
            (
                "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's \
                 size and/or time limits)",
                "`workers`",
            ),
        ] {
            assert!(advice(words).is_some_and(|advice| advice.contains(key)), "{words}: {:?}", advice(words));
        }
    }
}
