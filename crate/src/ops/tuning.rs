//! What kernels are tuned by: the kind of adapter, and the constants of `shaders/topk_plan.json` (which `js/src/topk/plan.ts` reads too).

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The kind of adapter a plan is made for. On a software adapter the cost of a barrier grows with the
/// threads; on hardware it is nearly free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Gpu,
    /// A software adapter (`isFallbackAdapter`).
    Fallback,
}

/// Constants of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Least threads of a workgroup, a power of two.
    pub threads: usize,
    /// There are more (to 256 at most) where a thread would have more values than this.
    pub values_per_thread: usize,
    /// Largest k of the bitonic select, at most 128.
    pub bitonic_most: usize,
    /// Workgroups that keep the device busy: rows are cut into segments until there are so many.
    pub groups: usize,
    /// Least values of a segment.
    pub segment_least: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    pub gpu: Tuning,
    pub fallback: Tuning,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Threads of a workgroup where each has one thing to do and none waits for another.
    pub flat_threads: usize,
    pub profiles: Profiles,
    pub sort_block: usize,
    pub aligned_words: usize,
}

/// Compiled in; a test reads it too.
#[allow(clippy::expect_used)]
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/topk_plan.json")))
            .expect("shaders/topk_plan.json has this form")
    })
}

/// The constants of a profile.
pub fn tuning(profile: Profile) -> Tuning {
    let profiles = table().profiles;
    match profile {
        Profile::Gpu => profiles.gpu,
        Profile::Fallback => profiles.fallback,
    }
}

impl Tuning {
    /// Threads of a workgroup that works on `width` values.
    pub fn threads_for(&self, width: usize) -> usize {
        let mut threads = self.threads;
        while threads < 256 && width > threads * self.values_per_thread {
            threads *= 2;
        }
        threads
    }
}
