//! How a sweep is run: settings that change no number, and may therefore change between runs.
//!
//! They are written as in a spec's `[run]`.

mod fuse;
mod trials_per_gpu;

use std::{fmt, num::NonZeroUsize, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::{fuse::Fuse, trials_per_gpu::TrialsPerGpu};
use crate::{
    byte_size::{self, ByteSize},
    trial::FailureKind,
};

/// Keys of `[run]`.
pub const KEYS: [&str; 10] = [
    "checkpoint_every",
    "keep",
    "reuse",
    "cache",
    "fuse",
    "trials_per_gpu",
    "start_up_limit",
    "stall_limit",
    "time_limit",
    "retries",
];
/// The longest time that a limit may be: adding it to a clock cannot overflow.
pub const TIME_MAX: Duration = Duration::from_hours(10 * 365 * 24);
/// The shortest.
pub const TIME_MIN: Duration = Duration::from_secs(1);
/// The most further attempts after failures of one kind.
pub const RETRIES_MAX: u32 = 100;

/// How a sweep is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// How often a resumable checkpoint is written while an epoch lasts; one follows each epoch too.
    pub checkpoint_every: CheckpointEvery,
    /// Whose parameters stay.
    pub keep: Keep,
    /// Whether complete trials of other sweeps with the same settings are reused.
    pub reuse: bool,
    /// The largest size of the cache that trials share; `None`: no cache.
    #[serde(with = "byte_size::or_none")]
    pub cache: Option<ByteSize>,
    /// How many trials are trained together, as one model. Older plans lack it.
    #[serde(skip_serializing_if = "Fuse::is_default")]
    pub fuse: Fuse,
    /// Trials that a GPU has at once, each in a process of its own. Older plans lack it.
    #[serde(skip_serializing_if = "TrialsPerGpu::is_default")]
    pub trials_per_gpu: TrialsPerGpu,
    /// From the start of a worker's process to its report that it is ready.
    #[serde(with = "time")]
    pub start_up_limit: Duration,
    /// How long a worker that has a trial may send nothing.
    #[serde(with = "time")]
    pub stall_limit: Duration,
    /// Wall-clock time of one attempt; `None`: no limit.
    #[serde(with = "time_or_none")]
    pub time_limit: Option<Duration>,
    /// Further attempts in one run, by what failed.
    pub retries: Retries,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            checkpoint_every: CheckpointEvery::default(),
            keep: Keep::All,
            reuse: false,
            cache: Some(ByteSize(4_000_000_000)),
            fuse: Fuse::Auto,
            trials_per_gpu: TrialsPerGpu::default(),
            start_up_limit: Duration::from_mins(1),
            stall_limit: Duration::from_mins(10),
            time_limit: None,
            retries: Retries::default(),
        }
    }
}

/// The distance between two resumable checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointEvery {
    /// A time, from [`TIME_MIN`] to [`TIME_MAX`].
    Time(Duration),
    /// A number of optimiser steps, at least one.
    Steps(u64),
}

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self::Time(Duration::from_mins(5))
    }
}

/// Which trials' parameters stay. Figures, predictions and pictures of every trial stay in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every trial's.
    All,
    /// Only the best trial's.
    BestOfSweep,
    /// Those of this number of trials, the best so far.
    Best(NonZeroUsize),
}

impl Keep {
    /// The word for [`Self::All`].
    pub const ALL: &'static str = "all";
    /// The word for [`Self::BestOfSweep`].
    pub const BEST_OF_SWEEP: &'static str = "best-of-sweep";
}

/// Further attempts at a trial in one run, by the kind of failure; the log uses the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each field is named after its kind")]
pub struct Retries {
    pub spawn: u32,
    pub exit: u32,
    pub signal: u32,
    pub startup_timeout: u32,
    pub time_limit: u32,
    pub stalled: u32,
    pub protocol: u32,
    pub non_finite: u32,
    pub out_of_memory: u32,
    pub data: u32,
    pub checkpoint: u32,
    pub disk: u32,
    pub panic: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            spawn: 1,
            exit: 1,
            signal: 2,
            startup_timeout: 1,
            time_limit: 0,
            stalled: 1,
            protocol: 1,
            non_finite: 0,
            // Enough for a repetition, for halving the largest batch down to 1, and for a device alone.
            out_of_memory: 20,
            data: 0,
            checkpoint: 0,
            disk: 1,
            panic: 1,
        }
    }
}

impl Retries {
    /// Every kind.
    pub const KEYS: [&'static str; 13] = [
        "spawn",
        "exit",
        "signal",
        "startup_timeout",
        "time_limit",
        "stalled",
        "protocol",
        "non_finite",
        "out_of_memory",
        "data",
        "checkpoint",
        "disk",
        "panic",
    ];

    /// Further attempts after failures of a kind.
    #[must_use]
    pub fn of(mut self, kind: &FailureKind) -> u32 {
        // A full disk and a shortage are waited out, after a changed cache entry the cache is left out, and a lost GPU
        // is set aside: none counts.
        self.entry(kind.name()).map_or(u32::MAX, |number| *number)
    }

    /// The number for the kind that is called so.
    pub(crate) fn entry(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "spawn" => &mut self.spawn,
            "exit" => &mut self.exit,
            "signal" => &mut self.signal,
            "startup_timeout" => &mut self.startup_timeout,
            "time_limit" => &mut self.time_limit,
            "stalled" => &mut self.stalled,
            "protocol" => &mut self.protocol,
            "non_finite" => &mut self.non_finite,
            "out_of_memory" => &mut self.out_of_memory,
            "data" => &mut self.data,
            "checkpoint" => &mut self.checkpoint,
            "disk" => &mut self.disk,
            "panic" => &mut self.panic,
            _ => return None,
        })
    }
}

/// The time that a text such as `90s`, `5min` or `1h 30min` stands for, if it lies within the bounds.
#[must_use]
pub fn parse_time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| (TIME_MIN..=TIME_MAX).contains(time))
}

/// A time as a spec writes it: `5min`, `90s`, `1500ms`.
#[must_use]
pub fn spell_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match time.subsec_nanos() {
        0 if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 if seconds > 0 && seconds.is_multiple_of(60) => format!("{}min", seconds / 60),
        0 => format!("{seconds}s"),
        nanos if nanos.is_multiple_of(1_000_000) => format!("{}ms", time.as_millis()),
        _ => format!("{}ns", time.as_nanos()),
    }
}

impl fmt::Display for CheckpointEvery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&spell_time(*time)),
            Self::Steps(1) => f.write_str("1 step"),
            Self::Steps(steps) => write!(f, "{steps} steps"),
        }
    }
}

impl Serialize for CheckpointEvery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(time) => serializer.serialize_str(&spell_time(*time)),
            Self::Steps(steps) => serializer.serialize_u64(*steps),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str(Self::ALL),
            Self::BestOfSweep => serializer.serialize_str(Self::BEST_OF_SWEEP),
            Self::Best(count) => serializer.serialize_u64(count.get() as u64),
        }
    }
}

/// A text or a whole number, as both may stand in a spec.
enum Word {
    Text(String),
    Number(u64),
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Word;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Word, E> {
                Ok(Word::Number(number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Word, E> {
                Ok(Word::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for CheckpointEvery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Word::deserialize(deserializer)? {
            Word::Number(0) => Err(de::Error::custom("0 steps")),
            Word::Number(steps) => Ok(Self::Steps(steps)),
            Word::Text(text) => time::parse(&text).map(Self::Time),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unknown = || de::Error::custom("neither \"all\", \"best-of-sweep\" nor a number of trials");
        match Word::deserialize(deserializer)? {
            Word::Text(text) if text == Self::ALL => Ok(Self::All),
            Word::Text(text) if text == Self::BEST_OF_SWEEP => Ok(Self::BestOfSweep),
            Word::Text(_) => Err(unknown()),
            Word::Number(count) => {
                usize::try_from(count).ok().and_then(NonZeroUsize::new).map(Self::Best).ok_or_else(unknown)
            }
        }
    }
}

/// A [`Duration`] as a spec writes it.
mod time {
    use super::{Deserialize, Deserializer, Duration, Serializer, TIME_MAX, de, spell_time};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&spell_time(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }

    pub(super) fn parse<E: de::Error>(text: &str) -> Result<Duration, E> {
        let time = humantime::parse_duration(text).map_err(E::custom)?;
        if time > TIME_MAX { Err(E::custom("a time of more than ten years")) } else { Ok(time) }
    }
}

/// As [`time`], with a word for none.
mod time_or_none {
    use super::{Deserialize, Deserializer, Duration, Serializer, spell_time, time};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.map_or_else(|| super::NONE.to_owned(), spell_time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == super::NONE { Ok(None) } else { time::parse(&text).map(Some) }
    }
}

/// The word for no limit.
pub const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_from_the_words_of_a_spec() {
        let policy = Policy {
            checkpoint_every: CheckpointEvery::Steps(500),
            keep: Keep::Best(NonZeroUsize::MIN),
            cache: None,
            fuse: Fuse::Groups(NonZeroUsize::MIN),
            trials_per_gpu: TrialsPerGpu::Auto,
            stall_limit: Duration::from_millis(1500),
            time_limit: Some(Duration::from_secs(90)),
            ..Policy::default()
        };
        let json = serde_json::to_value(policy).unwrap();
        assert_eq!((&json["checkpoint_every"], &json["keep"]), (&500.into(), &1.into()));
        assert_eq!(json["trials_per_gpu"], "auto");
        assert_eq!((&json["stall_limit"], &json["time_limit"]), (&"1500ms".into(), &"90s".into()));
        assert_eq!(serde_json::from_value::<Policy>(json).unwrap(), policy);
        let json = serde_json::to_string(&Policy::default()).unwrap();
        assert!(
            json.starts_with(
                r#"{"checkpoint_every":"5min","keep":"all","reuse":false,"cache":"4GB","start_up_limit":"1min""#
            ),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), Policy::default());
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
    }

    #[test]
    fn what_no_spec_could_say_is_no_policy() {
        for wrong in [
            r#"{"keep":0}"#,
            r#"{"keep":"best"}"#,
            r#"{"checkpoint_every":0}"#,
            r#"{"cache":"all"}"#,
            r#"{"fuse":0}"#,
            r#"{"fuse":"on"}"#,
            r#"{"trials_per_gpu":0}"#,
            r#"{"trials_per_gpu":65}"#,
            r#"{"trials_per_gpu":"many"}"#,
            r#"{"stall_limit":"soon"}"#,
            r#"{"time_limit":"9999999y"}"#,
        ] {
            assert!(serde_json::from_str::<Policy>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_reads_back_as_it_was_spelt() {
        for (text, seconds) in [("1h", 3600), ("90min", 5400), ("90s", 90), ("2h", 7200), ("61s", 61)] {
            assert_eq!(parse_time(text), Some(Duration::from_secs(seconds)));
            assert_eq!(spell_time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_time("0s"), None);
        assert_eq!(parse_time("11years"), None);
    }

    #[test]
    fn every_kind_has_an_entry() {
        let mut retries = Retries::default();
        let json = serde_json::to_value(retries).unwrap();
        let names: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(names, Retries::KEYS);
        for name in Retries::KEYS {
            *retries.entry(name).unwrap() = 7;
            assert_eq!(serde_json::to_value(retries).unwrap()[name], 7);
        }
    }
}
