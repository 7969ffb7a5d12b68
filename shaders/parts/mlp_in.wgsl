// @import parts/params.wgsl
// The MLP's first product behind its norm, and the activation. Llama: a pair is (gate, up) and makes one
// silu(gate)·up; GPT-2: a pair is two neighbours, each through the tanh-GELU (`gelu_new`).

@group(0) @binding(4) var<storage, read_write> mlp_pre: array<f32>;   // [rows, n_outputs]
@group(0) @binding(5) var<storage, read_write> mlp_post: array<f32>;  // [rows, d_mlp]

override gated: u32 = 1u; // 1 Llama, 0 GPT-2

// The exponent is bounded where the result is already at its limit: WGSL leaves overflow open.
fn silu(x: f32) -> f32 {
    return x / (1.0 + exp(min(-x, 80.0)));
}

fn gelu_new(x: f32) -> f32 {
    let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x); // sqrt(2/pi)
    return 0.5 * x * (1.0 + tanh(clamp(inner, -10.0, 10.0)));
}

fn store(row: u32, pair: u32, value: vec2<f32>) {
    let at = row * n_outputs + 2u * pair;
    mlp_pre[at] = value.x;
    let second = 2u * pair + 1u < n_outputs;
    if (second) {
        mlp_pre[at + 1u] = value.y;
    }
    if (gated == 1u) {
        mlp_post[row * (n_outputs / 2u) + pair] = silu(value.x) * value.y;
        return;
    }
    mlp_post[at] = gelu_new(value.x);
    if (second) {
        mlp_post[at + 1u] = gelu_new(value.y);
    }
}
