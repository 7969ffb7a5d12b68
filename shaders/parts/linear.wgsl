// @import parts/weights.wgsl
// @import parts/norm.wgsl
// What the linear ops share: weights [n_inputs, stride] with outputs in pairs, and a bias. An op that imports a driver
// (matvec, matmul, gather) defines `store(row, pair, value)`: what becomes of outputs 2·pair and 2·pair + 1 of a row.

override n_outputs: u32 = 2u;
override bias_at: u32 = 0xffffffffu;

fn with_bias(pair: u32, value: vec2<f32>) -> vec2<f32> {
    if (bias_at == ABSENT) {
        return value;
    }
    return value + vec2<f32>(vectors[bias_at + 2u * pair], vectors[bias_at + 2u * pair + 1u]);
}

// Stores a pair of sums where there are such outputs.
fn finish(row: u32, pair: u32, value: vec2<f32>) {
    if (2u * pair < n_outputs) {
        store(row, pair, with_bias(pair, value));
    }
}
