//! RMSNorm and LayerNorm, which the operations that read a normed input apply themselves.

use crate::config::{Config, Norm};

/// Mean and 1/√(variance + ε) of a row; for RMSNorm the mean is 0 and the variance is that of zero mean.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    pub mean: f32,
    pub scale: f32,
}

/// Statistics of a row of width `d` of which `values` are the non-zero entries (or all of them).
pub fn stats(config: &Config, values: &[f32], d: usize) -> Stats {
    let n = d as f32;
    let square = |mean: f32| sum(values, |v| (v - mean) * (v - mean));
    match config.norm {
        Norm::Rms => rms(config, values, d),
        Norm::Layer => {
            let mean = sum(values, |v| v) / n;
            // The entries that are not listed are 0 and stand `mean` away from the mean. Where there are none, a square beyond f32 counts
            // for nothing: 0 · ∞ would be NaN.
            let absent = match d - values.len() {
                0 => 0.0,
                count => count as f32 * (mean * mean),
            };
            Stats {
                mean,
                scale: 1.0 / ((square(mean) + absent) / n + config.norm_eps).sqrt(),
            }
        }
    }
}

/// The same for RMSNorm, whatever the norm in front of the model's linear operations is.
pub fn rms(config: &Config, values: &[f32], d: usize) -> Stats {
    let squares = sum(values, |v| v * v);
    Stats {
        mean: 0.0,
        scale: 1.0 / (squares / d as f32 + config.norm_eps).sqrt(),
    }
}

/// Sums in f64: order and length then do not matter at f32's precision.
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut lanes = [0f64; 8];
    for eight in eights {
        for (lane, value) in lanes.iter_mut().zip(eight) {
            *lane += f64::from(term(*value));
        }
    }
    let rest = rest.iter().map(|value| f64::from(term(*value)));
    (lanes.iter().sum::<f64>() + rest.sum::<f64>()) as f32
}

/// `out = (x − mean) · scale · gain + bias`, in Hugging Face's order of operations.
pub fn apply(stats: Stats, x: &[f32], gain: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = gain * ((x - stats.mean) * stats.scale);
    }
    if let Some(bias) = bias {
        for (out, bias) in out.iter_mut().zip(bias) {
            *out += bias;
        }
    }
}

/// What `shaders/parts/norm.wgsl` has to know.
pub fn constants(config: &Config, normed: bool, inputs: usize) -> Vec<(&'static str, f64)> {
    let norm = match config.norm {
        _ if !normed => 0.0,
        Norm::Rms => 1.0,
        Norm::Layer => 2.0,
    };
    vec![
        ("n_inputs", inputs as f64),
        ("norm", norm),
        ("eps", f64::from(config.norm_eps)),
    ]
}
