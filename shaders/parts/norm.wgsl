// The norm in front of a linear op, applied as its input is read. `vectors` packs the f32 vectors of the op; an absent
// one has the offset ABSENT.

@group(0) @binding(3) var<storage, read> vectors: array<f32>;

override n_inputs: u32 = 1u;
override norm: u32 = 0u; // 0 none, 1 RMSNorm, 2 LayerNorm
override eps: f32 = 1e-5;
override gain_at: u32 = 0u;
override norm_bias_at: u32 = 0xffffffffu;

const ABSENT: u32 = 0xffffffffu;
const RMS_NORM: u32 = 1u;
const LAYER_NORM: u32 = 2u;

// stats = (mean, 1 / deviation) of the row; RMSNorm has mean 0.
fn before_gain(x: f32, stats: vec2<f32>) -> f32 {
    return (x - stats.x) * stats.y;
}

fn normed(x: f32, i: u32, stats: vec2<f32>) -> f32 {
    if (norm == 0u) {
        return x;
    }
    let scaled = before_gain(x, stats) * vectors[gain_at + i];
    if (norm_bias_at == ABSENT) {
        return scaled;
    }
    return scaled + vectors[norm_bias_at + i];
}
