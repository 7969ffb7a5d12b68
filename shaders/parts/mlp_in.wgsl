// @import parts/params.wgsl
// @import parts/activation.wgsl
// The MLP's first product behind its norm, and the activation. Gated: a pair is (gate, up) and makes one
// activation(gate)·up; else a pair is two neighbours, each through the activation.

@group(0) @binding(4) var<storage, read_write> mlp_pre: array<f32>;   // [rows, n_outputs]
@group(0) @binding(5) var<storage, read_write> mlp_post: array<f32>;  // [rows, d_mlp]

fn store(row: u32, pair: u32, value: vec2<f32>) {
    let at = row * n_outputs + 2u * pair;
    mlp_pre[at] = value.x;
    let second = 2u * pair + 1u < n_outputs;
    if (second) {
        mlp_pre[at + 1u] = value.y;
    }
    if (gated == 1u) {
        mlp_post[row * (n_outputs / 2u) + pair] = activated(value.x) * value.y;
        return;
    }
    mlp_post[at] = activated(value.x);
    if (second) {
        mlp_post[at + 1u] = activated(value.y);
    }
}
