//! `CUDA_VISIBLE_DEVICES`: which of NVIDIA's GPUs may be used, and how one of them is named to a worker.

use super::report::Gpu;

/// The variable.
pub const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

/// The GPUs that may be used, and what of the variable leads nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// The GPUs, numbered anew.
    pub gpus: Vec<Gpu>,
    /// The first entry that names no GPU. It and all behind it count for nothing.
    pub unknown: Option<String>,
}

/// The GPUs of `all` that `list` names, in its order; all of them without a list.
///
/// As CUDA does, an entry is a number in PCI bus order, or a name such as `GPU-ab12…` or `MIG-ab12…`, which may be
/// shortened as long as it fits one GPU alone. The first entry that names no GPU, or one that was named before, ends
/// the list. The number of a divided GPU names its first instance.
#[must_use]
pub fn visible(all: &[Gpu], list: Option<&str>) -> Visible {
    let Some(list) = list.map(str::trim) else { return Visible { gpus: all.to_vec(), unknown: None } };
    let mut found = Visible::default();
    for entry in list.split(',').map(str::trim) {
        let is_new = |gpu: &&Gpu| found.gpus.iter().all(|other| !is_same(gpu, other));
        let Some(gpu) = entry_of(all, entry).filter(is_new) else {
            // An empty list, or -1, is how nothing is named on purpose.
            let is_meant = entry.is_empty() || entry == "-1";
            found.unknown = (!is_meant).then(|| entry.to_owned());
            break;
        };
        let index = found.gpus.len();
        found.gpus.push(Gpu { index, ..gpu.clone() });
    }
    found
}

fn is_same(one: &Gpu, other: &Gpu) -> bool {
    (one.physical, &one.uuid) == (other.physical, &other.uuid)
}

fn entry_of<'a>(all: &'a [Gpu], entry: &str) -> Option<&'a Gpu> {
    if let Ok(number) = entry.parse::<usize>() {
        return all.iter().find(|gpu| gpu.physical == number);
    }
    if !entry.starts_with("GPU-") && !entry.starts_with("MIG-") {
        return None;
    }
    let mut fitting = all.iter().filter(|gpu| gpu.uuid.starts_with(entry));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// The variables of a process that is to see the GPU of this name alone.
#[must_use]
pub fn environment(name: &str) -> [(&'static str, String); 2] {
    [(VARIABLE, name.to_owned()), ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned())]
}

/// What the variable is set to for a worker that is to see this GPU alone.
#[must_use]
pub fn name_of(gpu: &Gpu) -> String {
    if gpu.uuid.is_empty() { gpu.physical.to_string() } else { gpu.uuid.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(physical: usize, uuid: &str) -> Gpu {
        Gpu {
            index: physical,
            physical,
            name: format!("GPU {physical}"),
            uuid: uuid.to_owned(),
            ..Gpu::default()
        }
    }

    fn machine() -> Vec<Gpu> {
        vec![
            gpu(0, "GPU-aa10"),
            gpu(1, "GPU-aa11"),
            gpu(2, "GPU-bb12"),
            gpu(3, "MIG-cc13"),
            gpu(3, "MIG-cd14"),
            gpu(4, "GPU-ee15"),
        ]
    }

    /// The names of the GPUs that a list leaves, and the entry that names none.
    fn left(list: &str) -> (Vec<String>, Option<String>) {
        let Visible { gpus, unknown } = visible(&machine(), Some(list));
        let numbers: Vec<usize> = gpus.iter().map(|gpu| gpu.index).collect();
        assert_eq!(numbers, (0..gpus.len()).collect::<Vec<_>>());
        (gpus.into_iter().map(|gpu| gpu.uuid).collect(), unknown)
    }

    fn uuids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn without_the_variable_all_gpus_may_be_used() {
        assert_eq!(visible(&machine(), None), Visible { gpus: machine(), unknown: None });
    }

    #[test]
    fn numbers_are_those_of_whole_gpus_in_the_order_of_the_list() {
        assert_eq!(left("2, 0"), (uuids(&["GPU-bb12", "GPU-aa10"]), None));
        assert_eq!(left("3"), (uuids(&["MIG-cc13"]), None), "the first instance of a divided GPU");
    }

    #[test]
    fn names_may_be_shortened_as_long_as_they_fit_one_gpu_alone() {
        assert_eq!(left("GPU-b,MIG-cd14,GPU-aa11").0, uuids(&["GPU-bb12", "MIG-cd14", "GPU-aa11"]));
        assert_eq!(left("GPU-aa"), (Vec::new(), Some("GPU-aa".to_owned())));
    }

    #[test]
    fn an_entry_that_names_no_gpu_ends_the_list() {
        assert_eq!(left("1,9,0"), (uuids(&["GPU-aa11"]), Some("9".to_owned())));
        assert_eq!(left("0,GPU-aa10,1"), (uuids(&["GPU-aa10"]), Some("GPU-aa10".to_owned())));
        assert_eq!(left("gpu0").1, Some("gpu0".to_owned()));
    }

    #[test]
    fn nothing_may_be_named_on_purpose() {
        assert_eq!(left(""), (Vec::new(), None));
        assert_eq!(left("-1,0"), (Vec::new(), None));
    }

    #[test]
    fn a_worker_is_told_its_gpu_by_name_or_else_by_number() {
        assert_eq!(name_of(&gpu(2, "GPU-bb12")), "GPU-bb12");
        assert_eq!(name_of(&gpu(2, "")), "2");
    }
}
