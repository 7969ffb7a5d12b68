//! What the WebGPU backend records for a model, counted from the plans of its operations: no device is needed, and nothing is timed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::Result;
use crate::exec::gpu::{shader, SHADERS};
use crate::ops::def::{Dispatch, Kernel, KernelContext, Params, PlanContext, Resource, Rows, Step};
use crate::ops::sample;
use crate::ops::tuning::Profile;
use crate::program::Program;
use crate::weights::{Dtype, Tensor, Weight};

/// Of a kernel, or of all of a forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub dispatches: usize,
    pub workgroups: usize,
    /// `workgroupBarrier`, `storageBarrier` and `workgroupUniformLoad` of the assembled WGSL: functions where they are called, loops and
    /// branches once.
    pub barriers: usize,
    /// Bytes of what is bound: activations of the rows at work; weights, tables and the layer's keys and values whole.
    pub bytes_bound: usize,
    /// Bytes of weights that are read, each once: of a matrix that is gathered from, the rows of k active entries for each row at work, and
    /// of a table the rows that are looked up.
    pub weight_bytes: usize,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.dispatches += other.dispatches;
        self.workgroups += other.workgroups;
        self.barriers += other.barriers;
        self.bytes_bound += other.bytes_bound;
        self.weight_bytes += other.weight_bytes;
    }
}

/// A forward pass: all of it, and by the file of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassCounts {
    pub all: Counts,
    pub kernels: BTreeMap<String, Counts>,
}

/// A model on the kind of adapter that kernels are tuned for.
pub struct Counter<'a> {
    pub config: &'a Config,
    pub profile: Profile,
    pub subgroups: bool,
    /// How each weight is stored on the device.
    pub stored: &'a dyn Fn(Weight) -> Dtype,
}

impl Counter<'_> {
    /// One decoded token at a position, behind another one of its submit: fed, its logits, the next one drawn.
    pub fn token(&self, position: usize) -> Result<PassCounts> {
        let program = Program::new(self.config);
        let params = Params {
            step: 1,
            ..Params::batch(1, position, Rows::Sequence)
        };
        let steps = program.all().map(|step| (step, 0..1));
        self.pass(params, steps)
    }

    /// The same for each of several sequences in one step, all at that position.
    pub fn token_of_each(&self, sequences: usize, position: usize) -> Result<PassCounts> {
        let program = Program::new(self.config);
        let params = Params {
            step: 1,
            ..Params::each(&vec![[position, 0]; sequences])
        };
        let sampler = Step {
            op: &sample::TOGETHER,
            at: program.sampler.at,
        };
        let steps = program.steps.iter().chain([&program.head, &sampler]);
        self.pass(params, steps.map(|step| (step, 0..sequences)))
    }

    /// A prompt of so many tokens in one batch, with the logits of its last position.
    pub fn prompt(&self, tokens: usize) -> Result<PassCounts> {
        let program = Program::new(self.config);
        let params = Params::batch(tokens, 0, Rows::Sequence);
        let steps = program.steps.iter().map(|step| (step, 0..tokens));
        self.pass(params, steps.chain([(&program.head, tokens - 1..tokens)]))
    }

    fn pass<'s>(
        &self,
        params: Params,
        steps: impl Iterator<Item = (&'s Step, std::ops::Range<usize>)>,
    ) -> Result<PassCounts> {
        let mut counts = PassCounts::default();
        for (step, rows) in steps {
            let matrix = (step.op.matrix)(self.config, step);
            let kernels = (step.op.kernels)(&KernelContext {
                config: self.config,
                step,
                dtype: matrix.map_or(Dtype::F32, self.stored),
                stored: &|weight| Some((self.stored)(weight)),
                profile: self.profile,
                subgroups: self.subgroups,
            });
            let shards = [(0, self.config.d_vocab)];
            let plan = PlanContext {
                config: self.config,
                step,
                rows,
                params,
                shards: &shards,
                column: None,
                fuse: true,
                profile: self.profile,
            };
            let mut dispatches = Vec::new();
            (step.op.plan)(&plan, &mut dispatches);
            for dispatch in &dispatches {
                let kernel = &kernels[dispatch.kernel];
                let one = self.dispatch(step, kernel, dispatch)?;
                counts.all.add(one);
                counts.kernels.entry(kernel.file.into()).or_default().add(one);
            }
        }
        Ok(counts)
    }

    fn dispatch(&self, step: &Step, kernel: &Kernel, dispatch: &Dispatch) -> Result<Counts> {
        let mut counts = Counts {
            dispatches: 1,
            workgroups: dispatch.grid.iter().product(),
            barriers: barriers(&shader(SHADERS, kernel.file)?.text()),
            ..Counts::default()
        };
        let (config, params) = (self.config, dispatch.params);
        let sequences = params.last_of_each().map_or(1, |_| params.rows as usize);
        for (_, resource) in &kernel.binds {
            let (bound, read) = match *resource {
                Resource::Buffer(buffer) => (4 * buffer.size(config, params.rows as usize), 0),
                Resource::Weight(weight) => (self.weight_bytes(weight, None), self.weight_bytes(weight, None)),
                Resource::RowsOf(weight, each) => {
                    let rows = params.rows as usize * each;
                    (self.weight_bytes(weight, None), self.weight_bytes(weight, Some(rows)))
                }
                Resource::Vectors => [4 * (step.op.vectors)(config, step).len; 2].into(),
                Resource::Cache => (sequences * config.n_ctx * config.position_bytes(), 0),
                Resource::Rope => (4 * config.n_ctx * config.rotary_dims(), 0),
                Resource::Edits => (8 * config.n_layers, 0),
            };
            counts.bytes_bound += bound;
            counts.weight_bytes += read;
        }
        Ok(counts)
    }

    /// Of a whole weight, or of so many of its rows at most.
    fn weight_bytes(&self, weight: Weight, rows: Option<usize>) -> usize {
        let config = self.config;
        let (all, columns) = match weight {
            Weight::Qkv(_) => (config.d_model, config.d_qkv()),
            Weight::AttnOut(_) => (config.d_query(), config.d_model),
            Weight::MlpIn(_) => (config.d_model, config.d_mlp_in()),
            Weight::MlpInProduct(_) => return 4 * config.d_query() * config.d_mlp_in(),
            Weight::MlpOut(_) => (config.d_mlp, config.d_model),
            _ => (config.d_vocab, config.d_model),
        };
        let (dtype, stride) = ((self.stored)(weight), Tensor::stride_of(columns));
        let rows = rows.map_or(all, |rows| rows.min(all));
        match dtype {
            // Each row may be of a group of its own.
            Dtype::I4 { .. } => 4 * dtype.words(all, stride).min(rows * stride) + dtype.bytes_of(rows * stride),
            _ => dtype.gpu_bytes(weight, rows, stride),
        }
    }
}

/// Barriers of `main` as the text has them: each function where it is called, each loop and branch once.
pub fn barriers(text: &str) -> usize {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let functions: BTreeMap<&str, &str> = code
        .split("\nfn ")
        .skip(1)
        .filter_map(|function| {
            let (name, rest) = function.split_once('(')?;
            // A function ends with the first brace at the start of a line.
            Some((name, rest.split("\n}").next().unwrap_or_default()))
        })
        .collect();
    in_body(functions.get("main").copied().unwrap_or_default(), &functions)
}

fn in_body(body: &str, functions: &BTreeMap<&str, &str>) -> usize {
    let calls = body.match_indices('(').map(|(at, _)| {
        let before = &body[..at];
        let name = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(before, |end| &before[end + 1..]);
        match name {
            "workgroupBarrier" | "storageBarrier" | "workgroupUniformLoad" => 1,
            name => functions.get(name).map_or(0, |body| in_body(body, functions)),
        }
    });
    calls.sum()
}
