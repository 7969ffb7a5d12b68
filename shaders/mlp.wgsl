// The MLP of a block whose input is dense: see parts/mlp.wgsl. Workgroup memory: 11.3 KiB.
// @import parts/mlp.wgsl

var<workgroup> stream: array<f32, 2048>; // the row behind the attention, times the norm's gain

fn keep(i: u32, x: f32) {
    stream[i] = x * vectors[gain_at + i];
}

fn first_product(row: u32, pair: u32, split: u32) -> vec2<f32> {
    var sum = vec2<f32>(0.0);
    for (var i = split; i < n_inputs; i += 16u) {
        sum += stream[i] * weight_pair(i, pair);
    }
    return sum;
}
