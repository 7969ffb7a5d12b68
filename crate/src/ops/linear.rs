//! What the four linear operations of a block share: a norm in front or none, a matrix `[inputs, outputs]`, a bias; kernels for few
//! rows (`x_matvec.wgsl`) and for many (`x_matmul.wgsl`).

use super::def::{matrix_constants, Dispatch, Kernel, KernelContext, PlanContext, Resource, Vectors};
use super::norm;
use super::pass::Pass;
use super::tuning::Profile;
use crate::config::{Config, Norm};
use crate::error::Result;
use crate::weights::{Tensor, Weight};

/// How a workgroup of a kernel for many rows (`shaders/parts/rows.wgsl`) shares its work.
#[derive(Clone, Copy)]
pub struct Tile {
    rows_each: usize,
    octets: usize,
    splits: usize,
}

/// Where every read is dear and threads are none, a thread has eight rows.
pub const WIDE: Tile = Tile {
    rows_each: 8,
    octets: 16,
    splits: 1,
};

/// Where thousands of threads wait for memory, tiles are small, and eight threads share the inputs of the same numbers.
const SPLIT: Tile = Tile {
    rows_each: 4,
    octets: 8,
    splits: 8,
};

/// `ROW_GROUPS` of the kernel.
const ROW_GROUPS: usize = 4;

impl Tile {
    pub fn of(profile: Profile) -> Tile {
        if profile.is_software() {
            WIDE
        } else {
            SPLIT
        }
    }

    /// Workgroups.
    pub fn grid(self, rows: usize, outputs: usize) -> [usize; 3] {
        [outputs.div_ceil(8 * self.octets), rows.div_ceil(ROW_GROUPS * self.rows_each), 1]
    }

    /// The kernel's constants.
    pub fn constants(self) -> [(&'static str, f64); 5] {
        let threads = ROW_GROUPS * self.octets * self.splits;
        [
            ("rows_each", self.rows_each as f64),
            ("octets", self.octets as f64),
            ("splits", self.splits as f64),
            ("tile_threads", threads as f64),
            ("meeting", if self.splits > 1 { threads as f64 } else { 1.0 }),
        ]
    }
}

/// A weight of a layer.
pub type PerLayer = fn(usize) -> Weight;

/// One of them.
pub struct Linear {
    pub matrix: PerLayer,
    pub bias: PerLayer,
    /// Gain and bias of the norm in front.
    pub norm: Option<[PerLayer; 2]>,
    pub inputs: fn(&Config) -> usize,
    pub outputs: fn(&Config) -> usize,
}

impl Linear {
    /// Gain and bias of the norm, then the bias.
    pub fn vectors(&self, config: &Config, layer: usize) -> Vectors {
        let mut vectors = Vectors::default();
        if let Some([gain, bias]) = self.norm {
            vectors.push(gain(layer), (self.inputs)(config));
            if config.norm == Norm::Layer {
                vectors.push(bias(layer), (self.inputs)(config));
            }
        }
        vectors.push_optional((self.bias)(layer), Tensor::stride_of((self.outputs)(config)));
        vectors
    }

    /// What `shaders/parts/linear.wgsl` and its parts have to know.
    pub fn constants(&self, cx: &KernelContext<'_>) -> Vec<(&'static str, f64)> {
        let (config, layer) = (cx.config, cx.step.layer);
        let vectors = self.vectors(config, layer);
        let outputs = (self.outputs)(config);
        let mut constants = norm::constants(config, self.norm.is_some(), (self.inputs)(config));
        // Without a norm nothing reads the gain.
        let [gain_at, norm_bias_at] = match self.norm {
            Some(weights) => weights.map(|weight| vectors.at(weight(layer))),
            None => [super::def::ABSENT; 2],
        };
        constants.extend([
            ("gain_at", gain_at),
            ("norm_bias_at", norm_bias_at),
            ("n_outputs", outputs as f64),
            ("bias_at", vectors.at((self.bias)(layer))),
        ]);
        constants.extend(matrix_constants(cx.dtype, (self.inputs)(config), outputs));
        constants
    }

    /// The kernels for few rows and for many; each reads `source`, `weights` and `vectors`, and binds `others` of its own.
    pub fn kernels(
        &self,
        cx: &KernelContext<'_>,
        files: [&'static str; 2],
        constants: &[(&'static str, f64)],
        others: &[(&'static str, Resource)],
    ) -> Vec<Kernel> {
        let reads = [
            ("source", Resource::Buffer(cx.step.input)),
            ("weights", Resource::Weight((self.matrix)(cx.step.layer))),
            ("vectors", Resource::Vectors),
        ];
        let mut kernels = files.map(|file| Kernel {
            file,
            constants: [&self.constants(cx), constants].concat(),
            binds: [&reads, others].concat(),
        });
        kernels[1].constants.extend(Tile::of(cx.profile).constants());
        kernels.into()
    }

    /// One dispatch: kernel 0 for few rows, kernel 1 for many.
    pub fn plan(&self, plan: &PlanContext<'_>) -> Dispatch {
        let (rows, outputs) = (plan.rows.len(), (self.outputs)(plan.config));
        let params = plan.params.layer(plan.step.layer);
        if plan.has_few_rows() {
            Dispatch::new(params, [outputs.div_ceil(32), rows, 1])
        } else {
            Dispatch::new(params, Tile::of(plan.profile).grid(rows, outputs)).kernel(1)
        }
    }

    /// `input` `[rows, inputs]` normed into `Buffers::input`.
    pub fn apply_norm(&self, pass: &mut Pass<'_>, input: &[f32]) -> Result<()> {
        let (config, layer) = (pass.config, pass.layer());
        let d = (self.inputs)(config);
        let Some([gain, bias]) = self.norm else { return Ok(()) };
        let gain = pass.weights.get(gain(layer))?;
        let bias = pass.weights.find(bias(layer)).map(|b| b.vector());
        let normed = &mut pass.buffers.input;
        normed.resize(input.len(), 0.0);
        for (x, out) in input.chunks_exact(d).zip(normed.chunks_exact_mut(d)) {
            norm::apply(norm::stats(config, x, d), x, gain.vector(), bias, out);
        }
        Ok(())
    }

    /// The product of `input` `[rows, inputs]`, or of `Buffers::input` where there is a norm, into `Buffers::output` `[rows, stride]`.
    pub fn multiply(&self, pass: &mut Pass<'_>, input: &[f32]) -> Result<()> {
        let (rows, inputs) = (pass.rows(), (self.inputs)(pass.config));
        let w = pass.weights.get((self.matrix)(pass.layer()))?;
        let b = &mut *pass.buffers;
        b.output.resize(rows * w.stride, 0.0);
        let input = if self.norm.is_some() {
            &b.input[..rows * inputs]
        } else {
            input
        };
        w.multiply(input, inputs, &mut b.output)
    }

    /// The rows of `Buffers::output` without their padding, the bias added, into `out` `[rows, outputs]`.
    pub fn add_bias(&self, pass: &Pass<'_>, out: &mut [f32]) {
        let outputs = (self.outputs)(pass.config);
        let bias = pass.weights.find((self.bias)(pass.layer()));
        let stored = pass.buffers.output.chunks_exact(Tensor::stride_of(outputs));
        for (out, product) in out.chunks_exact_mut(outputs).zip(stored) {
            out.copy_from_slice(&product[..outputs]);
            if let Some(bias) = bias {
                for (out, bias) in out.iter_mut().zip(bias.vector()) {
                    *out += bias;
                }
            }
        }
    }
}
