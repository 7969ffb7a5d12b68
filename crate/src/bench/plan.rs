//! Which constants of `shaders/topk_plan.json` are fastest on the adapter at hand. One constant after the other is tried, with what has been
//! found so far for the rest, on the shapes whose passes it changes. Constants never change a result.

use std::rc::Rc;

use serde::Serialize;

use super::{numbers, Spread};
use crate::error::{fail, Result};
use crate::exec::gpu::Gpu;
use crate::numerics::order::Select;
use crate::ops::tuning::{tuning, Profile, Table, Tuning};
use crate::topk::plan::passes;
use crate::topk::TopKGpu;

/// What is timed: rows, n, k.
const SHAPES: [[usize; 3]; 16] = [
    [1, 1024, 32],
    [1, 4096, 64],
    [64, 1024, 32],
    [64, 512, 32],
    [512, 1024, 48],
    [64, 1024, 96],
    [32, 2048, 128],
    [32, 4096, 128],
    [64, 4096, 64],
    [1, 32_000, 40],
    [1, 128_000, 128],
    [32, 4096, 256],
    [32, 4096, 1024],
    [4, 16_384, 512],
    [1, 32_000, 1024],
    [1, 128_000, 256],
];

/// A constant: its name in the file, the values to try, and where it is.
type Constant = (&'static str, &'static [usize], fn(&mut Tuning) -> &mut usize);

const CONSTANTS: [Constant; 11] = [
    ("lanes_most", &[0, 32, 64, 128, 256], |tuning| &mut tuning.lanes_most),
    ("lanes_part", &[256, 512, 1024, 2048], |tuning| &mut tuning.lanes_part),
    ("lanes_segment", &[1024, 2048, 4096, 8192], |tuning| {
        &mut tuning.lanes_segment
    }),
    ("lanes_whole", &[1024, 2048, 4096, 8192], |tuning| {
        &mut tuning.lanes_whole
    }),
    ("threads", &[4, 8, 16, 32, 64, 128, 256], |tuning| &mut tuning.threads),
    ("values_per_thread", &[16, 64, 256, 1024, 4096], |tuning| {
        &mut tuning.values_per_thread
    }),
    ("bitonic_most", &[16, 32, 64, 96, 128], |tuning| {
        &mut tuning.bitonic_most
    }),
    ("bitonic_share", &[1, 8, 16, 24, 32, 64], |tuning| {
        &mut tuning.bitonic_share
    }),
    ("groups", &[1, 2, 4, 8, 16, 32, 64, 128], |tuning| &mut tuning.groups),
    ("segment_least", &[1024, 2048, 4096, 8192, 16_384], |tuning| {
        &mut tuning.segment_least
    }),
    ("count_from", &[4096, 8192, 16_384, 32_768, 65_536, 1 << 20], |tuning| {
        &mut tuning.count_from
    }),
];

/// Another value is taken where it takes this share of the time, or less: what is as good stays as it is.
const BETTER: f64 = 0.96;

/// A value is given up as soon as a shape takes so many times as long.
const MUCH_WORSE: f64 = 3.0;

/// A value that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    pub constant: &'static str,
    pub value: usize,
    /// Time by that of the value before it, as the geometric mean over the shapes that it changes.
    pub ratio: f64,
    pub taken: bool,
}

/// What was found for an adapter.
#[derive(Clone, Debug, Serialize)]
pub struct PlanFigures {
    pub adapter: Option<String>,
    /// The kind of adapter whose entry this is.
    pub profile: Profile,
    pub tuning: Tuning,
    pub tried: Vec<Tried>,
}

/// Measures, beginning with the adapter's constants of today.
pub async fn plan(gpu: Rc<Gpu>, adapter: Option<String>, runs: usize) -> Result<PlanFigures> {
    let profile = gpu.profile();
    // One operator, which keeps what it has compiled.
    let mut operator = TopKGpu::new(gpu.clone(), profile);
    // The host's part, which hides much of a real device's, is none of the constants'.
    let by_clock = !profile.is_software();
    let mut best = tuning(profile);
    let mut tried = Vec::new();
    for (constant, values, place) in CONSTANTS {
        for &value in values {
            let mut other = best;
            *place(&mut other) = value;
            let mut logs = Vec::new();
            for shape in SHAPES {
                let [rows, n, k] = shape;
                let [ours, others] = [best, other].map(|tuning| passes(rows, n, k, tuning.on(gpu.subgroups())));
                if ours == others {
                    continue;
                }
                let ratio = ratio(&gpu, by_clock, &mut operator, shape, [best, other], runs).await?;
                logs.push(ratio.ln());
                if ratio > MUCH_WORSE {
                    break;
                }
            }
            if logs.is_empty() {
                continue;
            }
            let ratio = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            let taken = ratio < BETTER && logs.iter().all(|log| *log < MUCH_WORSE.ln());
            tried.push(Tried {
                constant,
                value,
                ratio,
                taken,
            });
            if taken {
                best = other;
            }
        }
    }
    Ok(PlanFigures {
        adapter,
        profile,
        tuning: best,
        tried,
    })
}

/// A plan in a file's text.
pub fn read(text: &str) -> Result<Table> {
    serde_json::from_str(text).or_else(|error| {
        fail!(
            Argument,
            "not a plan of TopK's constants as shaders/topk_plan.json is: {error}"
        )
    })
}

/// Its text with the entry that was found.
pub fn written(mut plan: Table, figures: &PlanFigures) -> Result<String> {
    plan.profiles.insert(figures.profile, figures.tuning);
    match serde_json::to_string_pretty(&plan) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => fail!(Io, "the plan cannot be written: {error}"),
    }
}

/// The time of a shape with the other constants by that with these, in turn.
async fn ratio(
    gpu: &Gpu,
    by_clock: bool,
    operator: &mut TopKGpu,
    [rows, n, k]: [usize; 3],
    tunings: [Tuning; 2],
    runs: usize,
) -> Result<f64> {
    let input = numbers(rows * n);
    let (mut times, mut ratio) = ([Vec::new(), Vec::new()], 1.0);
    // At first one run each, so that what is much worse takes no more than that.
    for (round, runs) in [1, runs.div_ceil(2), runs.div_ceil(2)].into_iter().enumerate() {
        for turn in 0..2 {
            let at = (round + turn) % 2;
            operator.tune(tunings[at]);
            // Compiles, and warms up.
            operator.time(&input, n, k, Select::Value, 0, 1).await?;
            let has_clock = by_clock && gpu.start_clock();
            let timed = operator.time(&input, n, k, Select::Value, 0, runs).await?;
            match has_clock {
                true => times[at].push(gpu.stop_clock()?.values().sum::<f64>() / runs as f64),
                false => times[at].extend(timed),
            }
        }
        let [these, other] = times.each_ref().map(|times| Spread::of(times.clone()));
        ratio = other?.median / these?.median;
        if ratio > MUCH_WORSE {
            break;
        }
    }
    Ok(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tuning::table;

    #[test]
    fn an_entry_is_put_beside_the_others() {
        let found = PlanFigures {
            adapter: None,
            profile: Profile::Nvidia,
            tuning: Tuning {
                threads: 128,
                ..tuning(Profile::Gpu)
            },
            tried: Vec::new(),
        };
        let after = read(&written(table().clone(), &found).expect("written")).expect("a plan");
        let mut expected = table().clone();
        expected.profiles.insert(Profile::Nvidia, found.tuning);
        assert_eq!(after, expected);
        assert_eq!(read("{}").expect_err("no plan").code(), crate::error::Code::Argument);
    }

    #[test]
    fn by_the_device_clock_or_the_host_a_ratio_is_one() {
        let opened = pollster::block_on(crate::exec::gpu::open(crate::exec::adapter::BackendChoice::Gpu));
        let gpu = opened
            .expect("a Vulkan adapter, for example lavapipe")
            .1
            .expect("a device");
        let tunings = [tuning(Profile::Gpu), tuning(Profile::Gpu).on(false)];
        let mut operator = TopKGpu::new(gpu.clone(), Profile::Gpu);
        for by_clock in [true, false] {
            let ratio = pollster::block_on(ratio(&gpu, by_clock, &mut operator, [3, 5000, 32], tunings, 4));
            let ratio = ratio.expect("timed");
            assert!(ratio.is_finite() && ratio > 0.0, "{ratio}");
        }
    }

    /// A value that is tried is one that the kernels can do.
    #[test]
    fn every_constant_can_be_set() {
        for (constant, values, place) in CONSTANTS {
            for &value in values {
                let mut other = tuning(Profile::Gpu);
                *place(&mut other) = value;
                assert_eq!(
                    serde_json::to_value(other).expect("json")[constant],
                    value,
                    "{constant}"
                );
            }
        }
    }
}
