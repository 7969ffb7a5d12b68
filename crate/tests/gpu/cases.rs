//! Random models that both executors load, and the comparison of what they compute.

use std::rc::Rc;

use half::{bf16, f16};
use pollster::block_on;
use topk_lm::config::{
    Activation, Architecture, Biases, CacheDtype, Config, Mlp, Norm, Positions, Residual, Rope, RopeScaling, TopK,
};
use topk_lm::exec::adapter::BackendChoice;
use topk_lm::exec::cpu::CpuEngine;
use topk_lm::exec::gpu::{self, Gpu, GpuEngine, GpuLoader};
use topk_lm::numerics::order::{Post, Select};
use topk_lm::ops::weights::CpuWeights;
use topk_lm::weights::{Dtype, Tensor, Weight, WeightSink};

/// An open device, or `None` with a line that says so: then the test has nothing to run on.
pub fn device() -> Option<Rc<Gpu>> {
    match block_on(gpu::open(BackendChoice::Gpu)) {
        Ok((_, Some(gpu))) => Some(gpu),
        Ok((choice, None)) => panic!("gpu by name gave {choice:?}"),
        Err(error) => {
            println!("SKIPPED, no WebGPU adapter: {error}");
            None
        }
    }
}

/// A generator of our own: xorshift64*, numbers in [-1, 1).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.word() >> 33) as usize % n
    }
}

/// A small Llama with everything at its plainest.
pub fn llama() -> Config {
    Config {
        architecture: Architecture::Llama,
        d_vocab: 67,
        d_model: 60,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        d_head: 8,
        d_mlp: 40,
        n_ctx: 160,
        cache_dtype: CacheDtype::F32,
        n_positions: 160,
        norm: Norm::Rms,
        norm_eps: 1e-5,
        post_norms: false,
        positions: Positions::Rotary(Rope {
            theta: 10000.0,
            scaling: RopeScaling::None,
            dims: 8,
            local_theta: None,
        }),
        qk_norm: false,
        quantization: None,
        attn_scale: 1.0 / 8f32.sqrt(),
        attn_scale_by_layer: false,
        attn_softcap: None,
        windows: Vec::new(),
        mlp: Mlp {
            gated: true,
            activation: Activation::Silu,
        },
        residual: Residual::Serial,
        biases: biases(false),
        embed_scale: 1.0,
        logit_softcap: None,
        tie_word_embeddings: true,
        topk: None,
        saes: Vec::new(),
        n_nontopk: 0,
        bos_token_id: None,
        eos_token_ids: Vec::new(),
    }
}

/// Biases in all linear operations, or in none.
pub fn biases(all: bool) -> Biases {
    Biases {
        qkv: all,
        attn_out: all,
        mlp_in: all,
        mlp_out: all,
    }
}

/// A small GPT-2.
pub fn gpt2() -> Config {
    Config {
        architecture: Architecture::Gpt2,
        n_kv_heads: 4,
        norm: Norm::Layer,
        positions: Positions::Learned,
        mlp: Mlp {
            gated: false,
            activation: Activation::GeluTanh,
        },
        biases: biases(true),
        ..llama()
    }
}

pub fn topk(k: usize) -> Option<TopK> {
    Some(TopK {
        k,
        select: Select::Value,
        post: Post::Identity,
    })
}

fn tensor(random: &mut Random, rows: usize, cols: usize, dtype: Dtype, size: f32) -> Tensor {
    let stride = Tensor::stride_of(cols);
    let mut data = Vec::with_capacity(dtype.bytes_of(rows * stride));
    for _ in 0..rows {
        for column in 0..stride {
            let value = if column < cols { size * random.unit() } else { 0.0 };
            match dtype {
                Dtype::F32 => data.extend(value.to_le_bytes()),
                Dtype::F16 => data.extend(f16::from_f32(value).to_le_bytes()),
                Dtype::Bf16 => data.extend(bf16::from_f32(value).to_le_bytes()),
                Dtype::I8 | Dtype::I4 { .. } => unreachable!("narrow.rs makes those"),
            }
        }
    }
    Tensor {
        rows,
        cols,
        stride,
        dtype,
        data,
        scales: Vec::new(),
    }
}

fn vector(random: &mut Random, len: usize, middle: f32) -> Tensor {
    Tensor::vector(&(0..len).map(|_| middle + 0.3 * random.unit()).collect::<Vec<_>>())
}

/// All weights of a model, in loading order; sizes keep activations near 1.
pub fn weights(config: &Config, dtype: Dtype, seed: u64) -> Vec<(Weight, Tensor)> {
    let random = &mut Random::new(seed);
    let (d, layer_norm) = (config.d_model, config.norm == Norm::Layer);
    let size = |inputs: usize| 1.7 / (inputs as f32).sqrt();
    let mut all = vec![(Weight::Embed, tensor(random, config.d_vocab, d, dtype, 1.0))];
    if config.positions == Positions::Learned {
        all.push((Weight::Positions, tensor(random, config.n_positions, d, dtype, 0.5)));
    }
    if layer_norm {
        all.push((Weight::FinalNormBias, vector(random, d, 0.0)));
    }
    if !config.tie_word_embeddings {
        all.push((Weight::Head, tensor(random, config.d_vocab, d, dtype, size(d))));
    }
    all.push((Weight::FinalNormGain, vector(random, d, 1.0)));
    for l in 0..config.n_layers {
        let gain = vector(random, d, 1.0);
        let qkv = tensor(random, d, config.d_qkv(), dtype, size(d));
        if layer_norm {
            let bias = vector(random, d, 0.0);
            let (w, stride) = (qkv.to_f32(), qkv.stride);
            let sum = |v: &Tensor| -> Vec<f32> {
                let v = v.to_f32();
                (0..stride)
                    .map(|o| {
                        (0..d)
                            .map(|i| f64::from(v[i]) * f64::from(w[i * stride + o]))
                            .sum::<f64>() as f32
                    })
                    .collect()
            };
            all.push((Weight::QkvGainSum(l), Tensor::vector(&sum(&gain))));
            all.push((Weight::QkvBiasSum(l), Tensor::vector(&sum(&bias))));
            all.push((Weight::Norm1Bias(l), bias));
            all.push((Weight::Norm2Bias(l), vector(random, d, 0.0)));
        }
        all.push((Weight::Norm1Gain(l), gain));
        all.push((Weight::Norm2Gain(l), vector(random, d, 1.0)));
        if config.biases.qkv {
            all.push((Weight::QkvBias(l), vector(random, config.d_qkv(), 0.0)));
        }
        if config.biases.attn_out {
            all.push((Weight::AttnOutBias(l), vector(random, d, 0.0)));
        }
        if config.biases.mlp_in {
            all.push((Weight::MlpInBias(l), vector(random, config.d_mlp_in(), 0.0)));
        }
        if config.biases.mlp_out {
            all.push((Weight::MlpOutBias(l), vector(random, d, 0.0)));
        }
        if config.qk_norm {
            all.push((Weight::QueryNormGain(l), vector(random, config.d_head, 1.0)));
            all.push((Weight::KeyNormGain(l), vector(random, config.d_head, 1.0)));
        }
        if config.post_norms {
            all.push((Weight::PostNorm1Gain(l), vector(random, d, 0.5)));
            all.push((Weight::PostNorm2Gain(l), vector(random, d, 0.5)));
        }
        all.push((Weight::Qkv(l), qkv));
        all.push((
            Weight::AttnOut(l),
            tensor(random, config.d_query(), d, dtype, size(config.d_query())),
        ));
        all.push((Weight::MlpIn(l), tensor(random, d, config.d_mlp_in(), dtype, size(d))));
        all.push((
            Weight::MlpOut(l),
            tensor(random, config.d_mlp, d, dtype, size(config.d_mlp)),
        ));
    }
    all
}

/// The same model on both executors.
pub struct Both {
    pub cpu: CpuEngine,
    pub gpu: GpuEngine,
}

pub fn load_gpu(gpu: &Rc<Gpu>, config: &Config, weights: &[(Weight, Tensor)]) -> GpuEngine {
    let mut loader = GpuLoader::new(gpu.clone(), Rc::new(config.clone())).expect("the kernels");
    for (which, tensor) in weights {
        loader.weight(*which, tensor.clone()).expect("a weight");
    }
    block_on(loader.finish()).expect("the engine")
}

pub fn load_cpu(config: &Config, weights: &[(Weight, Tensor)]) -> CpuEngine {
    let mut loaded = CpuWeights::default();
    for (which, tensor) in weights {
        loaded.weight(*which, tensor.clone()).expect("a weight");
    }
    block_on(CpuEngine::new(config, loaded)).expect("the engine")
}

pub fn load(gpu: &Rc<Gpu>, config: &Config, dtype: Dtype, seed: u64) -> Both {
    let weights = weights(config, dtype, seed);
    Both {
        cpu: load_cpu(config, &weights),
        gpu: load_gpu(gpu, config, &weights),
    }
}

/// Largest difference of two arrays of one length, in units of the first one's largest magnitude (at least 1).
pub fn difference(expected: &[f32], got: &[f32]) -> f32 {
    assert_eq!(expected.len(), got.len());
    let size = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    expected.iter().zip(got).fold(0.0f32, |m, (a, b)| {
        if b.is_finite() {
            m.max((a - b).abs() / size)
        } else {
            f32::INFINITY
        }
    })
}
