// qkv from the active lists of many rows: a thread sums eight columns of a row over its active entries, out of memory alone, and the
// row's squares on the way (parts/gather.wgsl has the formula). A workgroup of 64 threads has 128 columns of 4 rows.
// Grid: (columns / 128, rows / 4).
// @import parts/qkv.wgsl
// @import parts/octets.wgsl
// @import parts/entries.wgsl

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * 4u + thread / 16u;
    let octet = group.x * 16u + thread % 16u;
    if (row >= params.rows || 8u * octet >= n_outputs) {
        return;
    }
    let base = row * (2u + 2u * capacity);
    var sums = mat2x4<f32>();
    var sum = 0.0;
    var squares = 0.0;
    for (var e = 0u; e < entries[base]; e++) {
        let i = entries[base + 2u + 2u * e];
        let value = entry_value(base + 2u, e);
        sum += value;
        squares += value * value;
        sums += value * vectors[gain_at + i] * octet_of(i, octet);
    }
    let width = f32(n_inputs);
    // Most entries are 0, so the mean is small beside the deviation: nothing is lost where its square is taken off.
    let mean = select(0.0, sum / width, norm == LAYER_NORM);
    let spread = squares / width;
    // Beyond f32 the norm divides by infinity, as elsewhere; less the square of the mean it would be no number.
    let variance = select(spread - mean * mean, spread, spread > 3.4e38);
    let stats = vec2<f32>(mean, inverseSqrt(variance + eps));
    sums = in_units(sums, stats.y, octet_units(octet));
    finish_gathered(row, 4u * octet, sums[0].xy, stats);
    finish_gathered(row, 4u * octet + 1u, sums[0].zw, stats);
    finish_gathered(row, 4u * octet + 2u, sums[1].xy, stats);
    finish_gathered(row, 4u * octet + 3u, sums[1].zw, stats);
}
