//! What kernels are tuned by: the kind of adapter, and the constants of `shaders/topk_plan.json` (which `js/src/topk/plan.ts` reads too).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The kind of adapter a plan is made for: a software adapter, where the cost of a barrier grows with the threads, or a real one, where it
/// is nearly free, by its maker. Names are those of `GPUAdapterInfo.vendor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A real adapter that no other entry is for.
    Gpu,
    /// A software adapter (`isFallbackAdapter`).
    Fallback,
    /// Another one.
    Llvmpipe,
    Amd,
    Apple,
    Arm,
    Intel,
    Nvidia,
    Qualcomm,
}

/// Words in the names of adapters, and whose they are.
const MAKERS: [(&str, Profile); 12] = [
    ("llvmpipe", Profile::Llvmpipe),
    ("amd", Profile::Amd),
    ("radeon", Profile::Amd),
    ("apple", Profile::Apple),
    ("arm", Profile::Arm),
    ("mali", Profile::Arm),
    ("intel", Profile::Intel),
    ("nvidia", Profile::Nvidia),
    ("geforce", Profile::Nvidia),
    ("tesla", Profile::Nvidia),
    ("qualcomm", Profile::Qualcomm),
    ("adreno", Profile::Qualcomm),
];

impl Profile {
    /// Of the adapter with this name (natively the driver's, in a browser it begins with the vendor).
    pub fn of(is_software: bool, name: &str) -> Profile {
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let maker = words.find_map(|word| MAKERS.iter().find(|(maker, _)| word.eq_ignore_ascii_case(maker)));
        match (maker, is_software) {
            (Some((_, Profile::Llvmpipe)), _) => Profile::Llvmpipe,
            (_, true) => Profile::Fallback,
            (Some((_, profile)), false) => *profile,
            (None, false) => Profile::Gpu,
        }
    }

    /// Whose constants it takes where it has none of its own.
    fn like(self) -> Profile {
        if self.is_software() {
            Profile::Fallback
        } else {
            Profile::Gpu
        }
    }

    /// Whether it computes on the CPU.
    pub fn is_software(self) -> bool {
        matches!(self, Profile::Fallback | Profile::Llvmpipe)
    }
}

/// Constants of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Least threads of a workgroup, a power of two.
    pub threads: usize,
    /// There are more (to 256 at most) where a thread would have more values than this.
    pub values_per_thread: usize,
    /// Largest k of the bitonic select, at most 128.
    pub bitonic_most: usize,
    /// Least values of a row for each that is kept there.
    pub bitonic_share: usize,
    /// Workgroups that keep the device busy: rows are cut into segments until there are so many.
    pub groups: usize,
    /// Least values of a segment.
    pub segment_least: usize,
    /// Least values of a row whose keys are counted by segments before the radix select.
    pub count_from: usize,
    /// Largest k of the select by subgroups, at most 256; 0 where there are none.
    pub lanes_most: usize,
    /// Values that it gives a subgroup.
    pub lanes_part: usize,
    /// Values of a segment of it, four times k at least.
    pub lanes_segment: usize,
    /// Most values of a row that it does not cut into segments.
    pub lanes_whole: usize,
}

/// The file: constants by kind of adapter (`topk-lm bench --topk-plan` measures them), and those that the kernels have too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `gpu` and `fallback` are always there.
    pub profiles: BTreeMap<Profile, Tuning>,
    /// Threads of a workgroup where each has one thing to do and none waits for another.
    pub flat_threads: usize,
    /// Entries that are sorted in workgroup memory.
    pub sort_block: usize,
    /// Words of a row of counts (`shaders/parts/counts.wgsl`).
    pub count_words: usize,
    /// Where a binding may begin.
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

/// The constants of a profile; those of `gpu` or `fallback` where it has none of its own.
pub fn tuning(profile: Profile) -> Tuning {
    let profiles = &table().profiles;
    *profiles.get(&profile).unwrap_or_else(|| &profiles[&profile.like()])
}

impl Tuning {
    /// Without what a device without subgroups cannot do.
    pub fn on(self, subgroups: bool) -> Tuning {
        Tuning {
            lanes_most: if subgroups { self.lanes_most } else { 0 },
            ..self
        }
    }

    /// Whether a row of so many values takes the select by subgroups for its k.
    pub fn is_by_lanes(&self, n: usize, k: usize) -> bool {
        k <= self.lanes_most && (n <= self.lanes_whole || 4 * k <= self.lanes_segment)
    }

    /// Whether a row of so many values takes the bitonic select for its k, where not that by subgroups.
    pub fn is_bitonic(&self, n: usize, k: usize) -> bool {
        k <= self.bitonic_most && n >= k * self.bitonic_share
    }

    /// Threads of a workgroup that works on `width` values.
    pub fn threads_for(&self, width: usize) -> usize {
        let mut threads = self.threads;
        while threads < 256 && width > threads * self.values_per_thread {
            threads *= 2;
        }
        threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_of_its_maker() {
        for (name, profile) in [
            ("NVIDIA H100 PCIe", Profile::Nvidia),
            ("nvidia hopper", Profile::Nvidia),
            ("Apple M1", Profile::Apple),
            ("apple metal-3", Profile::Apple),
            ("Intel(R) Iris(R) Xe Graphics", Profile::Intel),
            ("AMD Radeon RX 6800 (RADV NAVI21)", Profile::Amd),
            ("Mali-G78", Profile::Arm),
            ("Adreno (TM) 740", Profile::Qualcomm),
            ("Charming GPU", Profile::Gpu),
            ("", Profile::Gpu),
        ] {
            assert_eq!(Profile::of(false, name), profile, "{name}");
            assert_eq!(Profile::of(true, name), Profile::Fallback, "{name}");
        }
        let lavapipe = "llvmpipe (LLVM 15.0.6, 256 bits)";
        assert_eq!(Profile::of(true, lavapipe), Profile::Llvmpipe);
    }

    #[test]
    fn every_kind_of_adapter_has_constants() {
        let profiles = &table().profiles;
        assert!(profiles.contains_key(&Profile::Gpu) && profiles.contains_key(&Profile::Fallback));
        for (_, profile) in MAKERS {
            let own = profiles.get(&profile).unwrap_or(&profiles[&profile.like()]);
            assert_eq!(tuning(profile), *own);
        }
    }

    /// `topk-lm bench --topk-plan FILE` writes it.
    #[test]
    fn the_file_is_as_it_is_written() {
        let text = include_str!(concat!(env!("OUT_DIR"), "/topk_plan.json"));
        assert_eq!(format!("{}\n", serde_json::to_string_pretty(table()).expect("json")), text);
    }
}
