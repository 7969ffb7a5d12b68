// @import parts/octets.wgsl
// @import parts/source.wgsl
// Linear op for many rows (prefill): a thread makes 8 rows × 8 columns in registers, out of memory alone: eight inputs, one of each row,
// and eight weights feed 64 multiply-adds, and no thread waits for another. A workgroup of 64 threads has 32 rows × 128 columns, so that
// neighbours read the same inputs and neighbouring weights. Behind an RMSNorm the squares are summed on the way, and the result is
// scaled; LayerNorm's sums of two passes come first. Grid: (columns / 128, rows / 32).

struct Eight {
    low: vec4<f32>,
    high: vec4<f32>,
}

var<workgroup> halves: array<f32, 64>;
var<workgroup> tile_stats: array<vec2<f32>, 32>;

// What two threads have of each of the 32 rows, together.
fn of_two(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    halves[thread] = value;
    workgroupBarrier();
    return halves[thread] + halves[thread ^ 1u];
}

// Mean and 1/deviation of each of the 32 rows.
fn layer_stats(first_row: u32, thread: u32) {
    let first = min(first_row + thread / 2u, params.rows - 1u) * n_inputs;
    var sum = 0.0;
    for (var i = thread % 2u; i < n_inputs; i += 2u) {
        sum += source[first + i];
    }
    let mean = of_two(thread, sum) / f32(n_inputs);
    sum = 0.0;
    for (var i = thread % 2u; i < n_inputs; i += 2u) {
        let centred = source[first + i] - mean;
        sum += centred * centred;
    }
    let squares = of_two(thread, sum);
    if (thread % 2u == 0u) {
        tile_stats[thread / 2u] = vec2<f32>(mean, inverseSqrt(squares / f32(n_inputs) + eps));
    }
    workgroupBarrier();
}

fn four_stats(row: u32) -> array<vec4<f32>, 2> {
    let a = tile_stats[row];
    let b = tile_stats[row + 1u];
    let c = tile_stats[row + 2u];
    let d = tile_stats[row + 3u];
    return array<vec4<f32>, 2>(vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y));
}

fn four_inputs(first: vec4<u32>, i: u32) -> vec4<f32> {
    return vec4<f32>(source[first.x + i], source[first.y + i], source[first.z + i], source[first.w + i]);
}

fn store_octet(row: u32, octet: u32, sums: mat2x4<f32>) {
    if (row >= params.rows) {
        return;
    }
    finish(row, 4u * octet, sums[0].xy);
    finish(row, 4u * octet + 1u, sums[0].zw);
    finish(row, 4u * octet + 2u, sums[1].xy);
    finish(row, 4u * octet + 3u, sums[1].zw);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let of_tile = thread / 16u * 8u;
    let row = group.y * 32u + of_tile;
    let octet = group.x * 16u + thread % 16u;
    var means = Eight();
    var scales = Eight(vec4<f32>(1.0), vec4<f32>(1.0));
    if (norm == LAYER_NORM) {
        layer_stats(group.y * 32u, thread);
        let low = four_stats(of_tile);
        let high = four_stats(of_tile + 4u);
        means = Eight(low[0], high[0]);
        scales = Eight(low[1], high[1]);
    }
    if (row >= params.rows || 8u * octet >= n_outputs) {
        return;
    }
    // Rows that are not there are the last one once more.
    let last = vec4<u32>(params.rows - 1u);
    let low_at = n_inputs * min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), last);
    let high_at = n_inputs * min(vec4<u32>(row) + vec4<u32>(4u, 5u, 6u, 7u), last);
    var squares = Eight();
    var sum0 = mat2x4<f32>();
    var sum1 = mat2x4<f32>();
    var sum2 = mat2x4<f32>();
    var sum3 = mat2x4<f32>();
    var sum4 = mat2x4<f32>();
    var sum5 = mat2x4<f32>();
    var sum6 = mat2x4<f32>();
    var sum7 = mat2x4<f32>();
    for (var i = 0u; i < n_inputs; i++) {
        var low = four_inputs(low_at, i);
        var high = four_inputs(high_at, i);
        if (norm != 0u) {
            let gain = vectors[gain_at + i];
            if (norm == RMS_NORM) {
                squares.low += low * low;
                squares.high += high * high;
                low *= gain;
                high *= gain;
            } else {
                var bias = 0.0;
                if (norm_bias_at != ABSENT) {
                    bias = vectors[norm_bias_at + i];
                }
                low = (low - means.low) * scales.low * gain + bias;
                high = (high - means.high) * scales.high * gain + bias;
            }
        }
        let w = octet_of(i, octet);
        sum0 += low.x * w;
        sum1 += low.y * w;
        sum2 += low.z * w;
        sum3 += low.w * w;
        sum4 += high.x * w;
        sum5 += high.y * w;
        sum6 += high.z * w;
        sum7 += high.w * w;
    }
    var low = vec4<f32>(1.0);
    var high = vec4<f32>(1.0);
    if (norm == RMS_NORM) {
        low = inverseSqrt(squares.low / f32(n_inputs) + eps);
        high = inverseSqrt(squares.high / f32(n_inputs) + eps);
    }
    let units = octet_units(octet);
    store_octet(row, octet, in_units(sum0, low.x, units));
    store_octet(row + 1u, octet, in_units(sum1, low.y, units));
    store_octet(row + 2u, octet, in_units(sum2, low.z, units));
    store_octet(row + 3u, octet, in_units(sum3, low.w, units));
    store_octet(row + 4u, octet, in_units(sum4, high.x, units));
    store_octet(row + 5u, octet, in_units(sum5, high.y, units));
    store_octet(row + 6u, octet, in_units(sum6, high.z, units));
    store_octet(row + 7u, octet, in_units(sum7, high.w, units));
}
