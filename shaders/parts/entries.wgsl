// @import parts/linear.wgsl
// The active list of a TopK block as the input of a linear op: what the op's kernels share.

// Per row 2 + 2·capacity words: count, unused, then (index, value bits) by index.
@group(0) @binding(1) var<storage, read> entries: array<u32>;

override capacity: u32 = 1u;
override gain_sum_at: u32 = 0xffffffffu;
override bias_sum_at: u32 = 0xffffffffu;

fn entry_value(first: u32, entry: u32) -> f32 {
    return bitcast<f32>(entries[first + 2u * entry + 1u]);
}

// Stores a pair of sums that are scaled already; what LayerNorm has of the entries that are 0 is added.
fn finish_gathered(row: u32, pair: u32, scaled: vec2<f32>, stats: vec2<f32>) {
    if (2u * pair >= n_outputs) {
        return;
    }
    var sum = scaled;
    if (norm == LAYER_NORM) {
        let c = 2u * pair;
        let gains = vec2<f32>(vectors[gain_sum_at + c], vectors[gain_sum_at + c + 1u]);
        let biases = vec2<f32>(vectors[bias_sum_at + c], vectors[bias_sum_at + c + 1u]);
        sum += biases - stats.x * stats.y * gains;
    }
    finish(row, pair, sum);
}
