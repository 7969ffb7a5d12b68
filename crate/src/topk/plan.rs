//! Plans the GPU's passes for a TopK of a given shape. The constants come from `shaders/topk_plan.json`. `js/src/topk/plan.ts` is the
//! twin in TypeScript; both are tested on `tests/topk_plan_vectors.json`.
//!
//! * k up to `lanes_most`, on devices with subgroups: each subgroup of a workgroup selects from a part of its segment of a row, one of them from what
//!   all have found. Winners of several segments form the row of the next pass.
//! * k up to `bitonic_most`, and rows that are longer by `bitonic_share`: bitonic select, one workgroup per row. If there are few, long rows, each is first split into
//!   segments, one per workgroup, whose winners form the row of the next pass.
//! * larger k: radix select, one workgroup per row, then a bitonic sort of the k winners, padded to a power of two. If there are few, long
//!   rows, two passes of several workgroups per row come first: they count the top bits of the keys, and leave to the radix select the
//!   entries that have those of the k-th.

use serde::{Deserialize, Serialize};

use crate::error::{fail, Result};
use crate::ops::tuning::{table, Table, Tuning};

/// A buffer that passes read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The caller's rows.
    Input,
    /// Winners of segments, as values and their indices in the caller's row; the two are used in turn.
    Even,
    Odd,
    /// Entries of a row by the top bits of the key.
    Counts,
    /// Positions of the entries that radix select has to choose from.
    Places,
    /// Packed entries.
    Pairs,
    /// Values and indices of the result.
    Result,
}

/// One dispatch; of the select by subgroups, `padded` is the parts that a workgroup cuts its segment into, `run` 1 where it ranks, `stride` the keys that a lane holds. The numbers are the kernels' uniform (`shaders/parts/operator.wgsl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// `shaders/topk_{kernel}.wgsl`
    pub kernel: Kernel,
    pub from: Slot,
    pub to: Slot,
    pub rows: usize,
    pub width: usize,
    pub k: usize,
    pub segments: usize,
    pub padded: usize,
    pub run: usize,
    pub stride: usize,
    /// Workgroups, over both dimensions, and their threads.
    pub groups: usize,
    pub threads: usize,
}

impl Pass {
    /// Words of each buffer that it writes.
    pub fn words(&self) -> usize {
        self.rows
            * match self.to {
                Slot::Counts => table().count_words,
                Slot::Places | Slot::Input => self.width,
                Slot::Pairs => 2 * self.padded,
                Slot::Even | Slot::Odd | Slot::Result => self.segments * self.k,
            }
    }
}

/// The operator's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    Lanes,
    Select,
    Count,
    Split,
    Radix,
    Sort,
    Step,
    Gather,
}

/// The passes over `rows` rows of `n` values each, for 1 ≤ k ≤ n.
pub fn passes(rows: usize, n: usize, k: usize, tuning: Tuning) -> Vec<Pass> {
    let Table {
        sort_block,
        flat_threads,
        ..
    } = *table();
    let pass = |kernel, from, to| Pass {
        kernel,
        from,
        to,
        rows,
        width: n,
        k,
        segments: 1,
        padded: k.next_power_of_two(),
        run: 0,
        stride: 0,
        groups: rows,
        threads: tuning.threads_for(n),
    };
    let mut list = Vec::new();
    if tuning.is_by_lanes(n, k) {
        let (mut from, mut width) = (Slot::Input, n);
        loop {
            let segments = match width <= tuning.lanes_whole {
                true => 1,
                false => width.div_ceil(tuning.lanes_segment),
            };
            let to = winners(from, segments);
            let run = usize::from(segments == 1);
            let count = width.div_ceil(segments);
            let parts = count.div_ceil(tuning.lanes_part).next_power_of_two();
            let parts = parts.min(8).min(LANES_ROOM / k.next_power_of_two());
            list.push(Pass {
                width,
                segments,
                padded: parts,
                run,
                stride: count.div_ceil(parts * LANES).next_power_of_two().clamp(16, 64),
                groups: rows * segments,
                // Each ranks one.
                threads: (run * k).next_power_of_two().max(parts * LANES),
                ..pass(Kernel::Lanes, from, to)
            });
            if segments == 1 {
                return list;
            }
            (from, width) = (to, segments * k);
        }
    }
    if tuning.is_bitonic(n, k) {
        let (mut from, mut width) = (Slot::Input, n);
        loop {
            let segments = segments(rows, width, tuning.segment_least.max(2 * k), tuning);
            let to = winners(from, segments);
            let threads = tuning.threads_for(width / segments);
            list.push(Pass {
                width,
                segments,
                groups: rows * segments,
                threads,
                ..pass(Kernel::Select, from, to)
            });
            if segments == 1 {
                return list;
            }
            (from, width) = (to, segments * k);
        }
    }
    let padded = k.next_power_of_two();
    let block = padded.min(sort_block);
    let threads = tuning.threads_for(block);
    let sort = Pass {
        groups: rows * (padded / block),
        threads,
        ..pass(Kernel::Sort, Slot::Pairs, Slot::Pairs)
    };
    let segments = segments(rows, n, tuning.segment_least, tuning);
    if segments > 1 && n >= tuning.count_from {
        let of_segments = Pass {
            segments,
            groups: rows * segments,
            threads: tuning.threads_for(n / segments),
            ..pass(Kernel::Count, Slot::Input, Slot::Counts)
        };
        list.push(of_segments);
        list.push(Pass {
            kernel: Kernel::Split,
            to: Slot::Places,
            ..of_segments
        });
        list.push(pass(Kernel::Radix, Slot::Places, Slot::Pairs));
    } else {
        list.push(pass(Kernel::Radix, Slot::Input, Slot::Pairs));
    }
    list.push(sort);
    let mut run = 2 * block;
    while run <= padded {
        let mut stride = run / 2;
        while stride >= block {
            let groups = (rows * padded / 2).div_ceil(flat_threads);
            list.push(Pass {
                run,
                stride,
                groups,
                threads: flat_threads,
                ..pass(Kernel::Step, Slot::Pairs, Slot::Pairs)
            });
            stride /= 2;
        }
        list.push(Pass { run, ..sort });
        run *= 2;
    }
    let groups = (rows * k).div_ceil(flat_threads);
    list.push(Pass {
        groups,
        threads: flat_threads,
        ..pass(Kernel::Gather, Slot::Input, Slot::Result)
    });
    list
}

/// Lanes that subgroups are planned for: where there are fewer, they do with it.
const LANES: usize = 32;

/// Positions that `topk_lanes.wgsl` has room for: the first of each part.
const LANES_ROOM: usize = 1024;

/// Where the winners of so many segments go.
fn winners(from: Slot, segments: usize) -> Slot {
    match from {
        _ if segments == 1 => Slot::Result,
        Slot::Even => Slot::Odd,
        _ => Slot::Even,
    }
}

/// How many segments to split each row of this many entries into, of `least` entries each at least.
fn segments(rows: usize, entries: usize, least: usize, tuning: Tuning) -> usize {
    let wanted = tuning.groups.div_ceil(rows);
    let possible = entries / least;
    wanted.min(possible).max(1)
}

/// How many rows one call of the kernels can take if a binding has at most `max_binding` bytes and begins at a multiple of
/// 256 bytes; an error if not even the smallest number fits.
pub fn rows_at_once(rows: usize, n: usize, k: usize, max_binding: u64, tuning: Tuning) -> Result<usize> {
    let table = table();
    // Words of a row in the largest binding: the row itself, or the pairs of a large k.
    let pairs = if tuning.is_by_lanes(n, k) || tuning.is_bitonic(n, k) {
        0
    } else {
        2 * k.next_power_of_two()
    };
    let words = n.max(pairs) as u64;
    let fit = usize::try_from(max_binding / 4 / words.max(1)).unwrap_or(usize::MAX);
    if fit >= rows {
        return Ok(rows);
    }
    // Chunks begin on aligned words in both the rows and the results.
    let step = table.aligned_words / gcd(table.aligned_words, gcd(n, k));
    let aligned = fit / step * step;
    if aligned == 0 {
        let least = step.min(rows);
        fail!(
            Argument,
            "{least} × {n} values with k = {k} need a binding of {} bytes, but this device has at most {max_binding}",
            4 * words * least as u64
        );
    }
    Ok(aligned)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tuning::{tuning, Profile};

    #[derive(Serialize, Deserialize)]
    struct Vector {
        profile: Profile,
        subgroups: bool,
        rows: usize,
        n: usize,
        k: usize,
        max_binding: u64,
        /// `None`: an error.
        rows_at_once: Option<usize>,
        passes: Vec<Pass>,
    }

    fn vector((profile, subgroups): (Profile, bool), rows: usize, n: usize, k: usize, max_binding: u64) -> Vector {
        let tuning = tuning(profile).on(subgroups);
        let rows_at_once = rows_at_once(rows, n, k, max_binding, tuning).ok();
        let passes = passes(rows_at_once.unwrap_or(rows), n, k, tuning);
        Vector {
            profile,
            subgroups,
            rows,
            n,
            k,
            max_binding,
            rows_at_once,
            passes,
        }
    }

    /// The committed vectors, which also test the TypeScript twin. `TOPK_WRITE_VECTORS=1` rewrites them.
    #[test]
    fn plans_are_those_of_the_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/topk_plan_vectors.json");
        if std::env::var_os("TOPK_WRITE_VECTORS").is_some() {
            let shapes = [
                (1, 1, 1),
                (1, 1024, 32),
                (128, 1024, 128),
                (128, 4096, 64),
                (1, 32_000, 40),
                (1, 128_000, 50),
                (1, 128_000, 128),
                (7, 4096, 256),
                (2, 2049, 255),
                (3, 131_073, 100),
                (70_000, 5, 3),
                (2, 5000, 1025),
                (5, 2048, 2048),
                (1, 131_073, 131_073),
                (100, 999, 300),
                (1, 32_000, 1024),
                (3, 128_000, 256),
            ];
            let mut lines = Vec::new();
            for (rows, n, k) in shapes {
                for device in [
                    (Profile::Gpu, true),
                    (Profile::Gpu, false),
                    (Profile::Fallback, true),
                    (Profile::Llvmpipe, true),
                ] {
                    for max_binding in [1 << 27, 1 << 20, 1 << 12] {
                        lines.push(serde_json::to_string(&vector(device, rows, n, k, max_binding)).expect("json"));
                    }
                }
            }
            std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).expect("written");
        }
        let text = std::fs::read_to_string(path).expect("tests/topk_plan_vectors.json");
        let vectors: Vec<Vector> = serde_json::from_str(&text).expect("vectors");
        assert!(vectors.len() >= 30);
        for v in vectors {
            let ours = vector((v.profile, v.subgroups), v.rows, v.n, v.k, v.max_binding);
            let shape = (v.profile, v.subgroups, v.rows, v.n, v.k, v.max_binding);
            assert_eq!(ours.rows_at_once, v.rows_at_once, "{shape:?}");
            assert_eq!(ours.passes, v.passes, "{shape:?}");
        }
    }

    #[test]
    fn a_row_that_no_binding_holds_is_told_what_it_needs() {
        let needs = |rows| {
            rows_at_once(rows, 1000, 3, 400, tuning(Profile::Gpu))
                .unwrap_err()
                .to_string()
        };
        assert!(needs(1).starts_with("1 × 1000 values with k = 3 need a binding of 4000 bytes"));
        assert!(needs(100).starts_with("64 × 1000 values with k = 3 need a binding of 256000 bytes"));
    }

    #[test]
    fn the_kernels_can_do_what_the_table_says() {
        for tuning in table().profiles.values() {
            assert!(tuning.threads.is_power_of_two() && (4..=256).contains(&tuning.threads));
            assert_eq!(
                [1, 1 << 12, 1 << 30].map(|width| tuning.threads_for(width).is_power_of_two()),
                [true; 3]
            );
            assert!(tuning.bitonic_share > 0 && tuning.groups > 0 && tuning.segment_least > 0);
            assert!(tuning.bitonic_most <= 128, "the queue of parts/bitonic.wgsl");
            assert!(tuning.lanes_most <= 256, "the entries of topk_lanes.wgsl");
            assert!(tuning.lanes_segment.max(tuning.lanes_whole) < 1 << 16, "its counts");
        }
        assert_eq!(table().sort_block, 1024, "BLOCK of topk_sort.wgsl");
        assert_eq!(table().count_words, 2048 + 4, "WORDS of parts/counts.wgsl");
    }

    /// Winners of segments shrink from pass to pass, and the last pass gives the result.
    #[test]
    fn passes_lead_to_the_result() {
        for (rows, n, k) in [(1, 1 << 24, 128), (2, 131_073, 1), (1, 1 << 20, 1 << 20), (9, 300, 299)] {
            for tuning in [Profile::Gpu, Profile::Fallback].map(tuning) {
                for passes in [true, false].map(|subgroups| passes(rows, n, k, tuning.on(subgroups))) {
                    assert_eq!(passes.last().map(|pass| pass.to), Some(Slot::Result));
                    for pair in passes
                        .windows(2)
                        .filter(|pair| matches!(pair[1].kernel, Kernel::Lanes | Kernel::Select))
                    {
                        assert_eq!(pair[1].from, pair[0].to);
                        assert_eq!(pair[1].width, pair[0].segments * k);
                        assert!(pair[1].width * 2 <= pair[0].width);
                    }
                }
            }
        }
    }
}
