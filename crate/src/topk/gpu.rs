//! The passes of [`super::plan`], recorded on a device.

use std::fmt;
use std::rc::Rc;

use super::plan::{self, Pass, Slot};
use super::{Shape, TopK};
use crate::error::Result;
use crate::exec::gpu::{uniform_ring, Buf, Gpu, Pipelines, Recorder, Staging, StagingPool, OPERATOR_SHADERS};
use crate::numerics::order::Select;
use crate::ops::def::{Kernel, Params};
use crate::ops::tuning::{tuning, Profile, Tuning};
#[cfg(feature = "internals")]
use crate::pace::now_ms;

/// Most workgroups in one dimension of a dispatch (WebGPU's guaranteed limit).
const MOST_GROUPS: usize = 65_535;

/// Longest row that llvmpipe gets. It silently ends all loops of a thread once they have made 65,535 rounds together
/// (`LP_MAX_TGSI_LOOP_ITERATIONS` in Mesa); a row of so many values takes 45,000 at worst.
const MOST_ON_LLVMPIPE: usize = 1 << 20;

/// TopK on a device; keeps its pipelines between calls.
///
/// ```no_run
/// use topk_lm::topk::{open, TopKGpu};
/// use topk_lm::{BackendChoice, Select};
///
/// # fn main() -> topk_lm::Result<()> {
/// let (chosen, gpu) = pollster::block_on(open(BackendChoice::Gpu))?;
/// let Some(gpu) = gpu else { return Ok(println!("{}", chosen.reason)) };
/// let profile = gpu.profile();
/// let topk = TopKGpu::new(gpu, profile);
/// let best = pollster::block_on(topk.run(&[1.0, 5.0, 3.0, -7.0, 0.0, 2.0], 3, 2, Select::Abs))?;
/// assert_eq!(best.indices, [1, 2, 0, 2]);
/// # Ok(())
/// # }
/// ```
pub struct TopKGpu {
    gpu: Rc<Gpu>,
    tuning: Tuning,
    uniforms: Rc<Buf>,
    pipelines: Pipelines,
    pool: StagingPool,
}

impl fmt::Debug for TopKGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopKGpu")
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

/// The buffers of one chunk of rows, destroyed when it is dropped.
struct Chunk {
    shape: Shape,
    passes: Vec<Pass>,
    input: Buf,
    /// Values and indices of the winners of segments; empty if no pass needs them.
    winners: [[Buf; 2]; 2],
    /// Likewise.
    counts: Buf,
    places: Buf,
    pairs: Buf,
    result: [Buf; 2],
}

impl TopKGpu {
    /// `profile` is what to plan for; [`Gpu::profile`] is the adapter's own.
    pub fn new(gpu: Rc<Gpu>, profile: Profile) -> TopKGpu {
        TopKGpu::with(gpu, tuning(profile))
    }

    /// With constants of one's own, which must be what [`Tuning`] says: other ones give wrong values.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn tuned(gpu: Rc<Gpu>, tuning: Tuning) -> TopKGpu {
        TopKGpu::with(gpu, tuning)
    }

    fn with(gpu: Rc<Gpu>, tuning: Tuning) -> TopKGpu {
        let tuning = tuning.on(gpu.subgroups());
        let uniforms = uniform_ring(&gpu);
        let pipelines = Pipelines::new(gpu.clone(), uniforms.clone(), OPERATOR_SHADERS);
        TopKGpu {
            gpu,
            tuning,
            uniforms,
            pipelines,
            pool: StagingPool::default(),
        }
    }

    /// Takes other constants from now on.
    #[cfg(feature = "cli")]
    #[doc(hidden)]
    pub fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning.on(self.gpu.subgroups());
    }

    /// TopK of rows of `n` values, equal to [`super::topk_cpu`] bit for bit. Rows are processed in chunks that fit the device's bindings;
    /// rows that are too long for llvmpipe, which is a CPU, are left to `topk_cpu`.
    pub async fn run(&self, input: &[f32], n: usize, k: usize, select: Select) -> Result<TopK> {
        let shape = Shape::new(input.len(), n, k)?;
        let mut result = TopK::default();
        if shape.results() == 0 {
            return Ok(result);
        }
        if n > MOST_ON_LLVMPIPE && self.gpu.profile() == Profile::Llvmpipe {
            return super::topk_cpu(input, n, k, select);
        }
        let at_once = plan::rows_at_once(shape.rows, n, k, self.gpu.max_binding(), self.tuning)?;
        for rows in input.chunks(at_once * n) {
            let (chunk, guard) = self.gpu.guarded("the buffers of topk", || self.chunk(rows, n, k));
            let chunk = chunk?;
            guard.check(&self.gpu).await?;
            let (staging, guard) = self.gpu.guarded("topk", || self.submitted(&chunk, select));
            let read = staging?.read(&self.gpu, &self.pool).await;
            guard.check(&self.gpu).await?;
            let mut read = read?.into_iter();
            result
                .values
                .extend(read.next().unwrap_or_default().into_iter().map(f32::from_bits));
            result.indices.extend(read.next().unwrap_or_default());
        }
        Ok(result)
    }

    /// Values and indices, on their way.
    fn submitted(&self, chunk: &Chunk, select: Select) -> Result<Staging> {
        let mut staging = Staging::default();
        let words = chunk.shape.results();
        let regions = [staging.region(&self.gpu, words)?, staging.region(&self.gpu, words)?];
        staging.allocate(&self.gpu, &self.pool);
        let mut recorder = Recorder::new(&self.gpu, &self.uniforms);
        self.record(&mut recorder, chunk, select)?;
        for (region, buffer) in regions.into_iter().zip(&chunk.result) {
            staging.copy(&mut recorder, region, 0, buffer, words);
        }
        staging.filled_by(recorder.submit());
        Ok(staging)
    }

    /// Milliseconds of each of `runs` calls, after `warmup` others, with the input on the device; the clock stops when all work is
    /// done. The rows must fit one binding.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub async fn time(
        &self,
        input: &[f32],
        n: usize,
        k: usize,
        select: Select,
        warmup: usize,
        runs: usize,
    ) -> Result<Vec<f64>> {
        if input.is_empty() {
            crate::error::fail!(Argument, "there is no row to time");
        }
        let chunk = self.chunk(input, n, k.max(1))?;
        let mut times = Vec::with_capacity(runs);
        for run in 0..warmup + runs {
            let started = now_ms();
            let mut staging = Staging::default();
            let region = staging.region(&self.gpu, 1)?;
            staging.allocate(&self.gpu, &self.pool);
            let mut recorder = Recorder::new(&self.gpu, &self.uniforms);
            self.record(&mut recorder, &chunk, select)?;
            staging.copy(&mut recorder, region, 0, &chunk.result[1], 1);
            staging.filled_by(recorder.submit());
            staging.read(&self.gpu, &self.pool).await?;
            if run >= warmup {
                times.push(now_ms() - started);
            }
        }
        Ok(times)
    }

    fn chunk(&self, input: &[f32], n: usize, k: usize) -> Result<Chunk> {
        let shape = Shape::new(input.len(), n, k)?;
        let passes = plan::passes(shape.rows, n, k, self.tuning);
        // Words of a slot's largest buffer; 0 if no pass writes it.
        let words = |slot: Slot| {
            let outputs = passes.iter().filter(|pass| pass.to == slot);
            outputs.map(Pass::words).max().unwrap_or(0) as u64
        };
        let two = |words: u64| {
            [
                self.gpu.storage("topk values", 4 * words),
                self.gpu.storage("topk indices", 4 * words),
            ]
        };
        Ok(Chunk {
            shape,
            input: self.gpu.storage_with("topk input", bytemuck::cast_slice(input)),
            winners: [two(words(Slot::Even)), two(words(Slot::Odd))],
            counts: self.gpu.storage("topk counts", 4 * words(Slot::Counts)),
            places: self.gpu.storage("topk places", 4 * words(Slot::Places)),
            pairs: self.gpu.storage("topk pairs", 4 * words(Slot::Pairs)),
            result: two(shape.results() as u64),
            passes,
        })
    }

    fn record(&self, recorder: &mut Recorder<'_>, chunk: &Chunk, select: Select) -> Result<()> {
        for pass in &chunk.passes {
            if pass.to == Slot::Counts {
                recorder.clear(&chunk.counts);
            }
            let pipeline = self.pipelines.get(&kernel(pass, select))?;
            let [values_out, indices_out] = match pass.to {
                Slot::Even => &chunk.winners[0],
                Slot::Odd => &chunk.winners[1],
                _ => &chunk.result,
            };
            // Entries of the caller's rows are their own indices: no list of indices is read, and the rows take its binding.
            let [values, indices] = match pass.from {
                Slot::Even => [&chunk.winners[0][0], &chunk.winners[0][1]],
                Slot::Odd => [&chunk.winners[1][0], &chunk.winners[1][1]],
                _ => [&chunk.input, &chunk.input],
            };
            let Chunk {
                input,
                counts,
                places,
                pairs,
                ..
            } = chunk;
            let buffers: &[(&'static str, &Buf)] = match pass.kernel {
                plan::Kernel::Lanes | plan::Kernel::Select => &[
                    ("values_in", values),
                    ("indices_in", indices),
                    ("values_out", values_out),
                    ("indices_out", indices_out),
                ],
                plan::Kernel::Count => &[("values_in", input), ("counts", counts)],
                plan::Kernel::Split => &[
                    ("values_in", input),
                    ("counts", counts),
                    ("pairs", pairs),
                    ("places", places),
                ],
                plan::Kernel::Radix => {
                    // Of whole rows it reads neither counts nor places.
                    let [counts, places] = match pass.from {
                        Slot::Places => [counts, places],
                        _ => [input, input],
                    };
                    &[
                        ("values_in", input),
                        ("counts", counts),
                        ("places", places),
                        ("pairs", pairs),
                    ]
                }
                plan::Kernel::Sort | plan::Kernel::Step => &[("pairs", pairs)],
                plan::Kernel::Gather => &[
                    ("values_in", values),
                    ("pairs", pairs),
                    ("values_out", values_out),
                    ("indices_out", indices_out),
                ],
            };
            let group = self.pipelines.group(&pipeline, buffers.iter().copied())?;
            let x = pass.groups.min(MOST_GROUPS);
            recorder.dispatch(&pipeline, &group, uniform(pass), [x, pass.groups.div_ceil(x), 1]);
        }
        Ok(())
    }
}

fn kernel(pass: &Pass, select: Select) -> Kernel {
    let threads = ("threads", pass.threads as f64);
    let by = ("select_abs", f64::from(u8::from(select == Select::Abs)));
    let listed = ("listed", f64::from(u8::from(pass.from != Slot::Input)));
    let (file, constants) = match pass.kernel {
        plan::Kernel::Lanes => (
            "topk_lanes.wgsl",
            vec![threads, by, listed, ("held", pass.stride as f64)],
        ),
        plan::Kernel::Select => ("topk_select.wgsl", vec![threads, by, listed]),
        plan::Kernel::Count => ("topk_count.wgsl", vec![threads, by]),
        plan::Kernel::Split => ("topk_split.wgsl", vec![threads, by]),
        plan::Kernel::Radix => ("topk_radix.wgsl", vec![threads, by, listed]),
        plan::Kernel::Sort => ("topk_sort.wgsl", vec![threads]),
        plan::Kernel::Step => ("topk_step.wgsl", vec![threads]),
        plan::Kernel::Gather => ("topk_gather.wgsl", vec![threads]),
    };
    Kernel {
        file,
        constants,
        binds: Vec::new(),
    }
}

/// The uniform of `shaders/parts/operator.wgsl`.
fn uniform(pass: &Pass) -> Params {
    let numbers = [
        pass.rows,
        pass.width,
        pass.k,
        pass.segments,
        pass.padded,
        pass.run,
        pass.stride,
    ];
    let mut params = Params::default();
    let words: &mut [u32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut params));
    for (word, number) in words.iter_mut().zip(numbers) {
        *word = number as u32;
    }
    params
}
