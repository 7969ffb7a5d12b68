// @import parts/octets.wgsl
// @import parts/source.wgsl
// @import parts/meet.wgsl
// Linear op for many rows (prefill): a thread makes 8 or 4 rows × 8 columns in registers, out of memory alone: an input of each row and
// eight weights feed 64 or 32 multiply-adds. A workgroup has a tile of four times so many rows and of 16 or 8 octets of columns, so that
// neighbours read the same inputs and neighbouring weights. Where a device has more threads than a tile (ops/linear.rs), several share the
// inputs of the same numbers, four inputs in turn each, and their sums meet in workgroup memory (8.5 KiB). Behind an RMSNorm the squares
// are summed on the way, and the result is scaled; LayerNorm's sums of two passes come first.
// Grid: (columns / 8·octets, rows / 4·rows_each).

override rows_each: u32 = 8u;     // 8: fewer reads a product; 4: twice the threads, and registers to spare
override octets: u32 = 16u;       // of a tile
override splits: u32 = 1u;        // threads that share the inputs; 8 with tiles of 32 threads
override tile_threads: u32 = 64u; // 4 · octets · splits

const ROW_GROUPS: u32 = 4u;

struct Eight {
    low: vec4<f32>,
    high: vec4<f32>,
}

var<workgroup> shares: array<f32, 256>;
var<workgroup> tile_stats: array<vec2<f32>, 32>;

// Of a tile.
fn tile_rows() -> u32 {
    return ROW_GROUPS * rows_each;
}

// What the threads of each of the tile's rows, which are neighbours, have together.
fn of_row(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    shares[thread] = value;
    workgroupBarrier();
    let each = tile_threads / tile_rows();
    let first = thread / each * each;
    var sum = 0.0;
    for (var i = 0u; i < each; i++) {
        sum += shares[first + i];
    }
    return sum;
}

// Mean and 1/deviation of each of the tile's rows.
fn layer_stats(first_row: u32, thread: u32) {
    let each = tile_threads / tile_rows();
    let first = min(first_row + thread / each, params.rows - 1u) * n_inputs;
    var sum = 0.0;
    for (var i = thread % each; i < n_inputs; i += each) {
        sum += source[first + i];
    }
    let mean = of_row(thread, sum) / f32(n_inputs);
    sum = 0.0;
    for (var i = thread % each; i < n_inputs; i += each) {
        let centred = source[first + i] - mean;
        sum += centred * centred;
    }
    let squares = of_row(thread, sum);
    if (thread % each == 0u) {
        tile_stats[thread / each] = vec2<f32>(mean, inverseSqrt(squares / f32(n_inputs) + eps));
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

// One call: a compiler puts the whole of `finish` at each, and with 32 of them takes longer over these than over the products.
fn store_octet(row: u32, octet: u32, sums: mat2x4<f32>) {
    if (row >= params.rows) {
        return;
    }
    for (var pair = 0u; pair < 4u; pair++) {
        let half = select(sums[1], sums[0], pair < 2u);
        finish(row, 4u * octet + pair, select(half.zw, half.xy, pair % 2u == 0u));
    }
}

// Of the thread's rows: mean and 1/deviation for LayerNorm, sums of squares for RMSNorm; and the sums of their products.
var<private> means: Eight;
var<private> scales: Eight;
var<private> squares: Eight;
var<private> sum0: mat2x4<f32>;
var<private> sum1: mat2x4<f32>;
var<private> sum2: mat2x4<f32>;
var<private> sum3: mat2x4<f32>;
var<private> sum4: mat2x4<f32>;
var<private> sum5: mat2x4<f32>;
var<private> sum6: mat2x4<f32>;
var<private> sum7: mat2x4<f32>;

fn sum_of(row: u32) -> mat2x4<f32> {
    switch row {
        case 0u: { return sum0; }
        case 1u: { return sum1; }
        case 2u: { return sum2; }
        case 3u: { return sum3; }
        case 4u: { return sum4; }
        case 5u: { return sum5; }
        case 6u: { return sum6; }
        default: { return sum7; }
    }
}

// The products of input i of each row, which begin at low_at and high_at.
fn add(i: u32, low_at: vec4<u32>, high_at: vec4<u32>, octet: u32) {
    let w = octet_of(i, octet);
    var low = four_inputs(low_at, i);
    var high = vec4<f32>(0.0);
    if (rows_each == 8u) {
        high = four_inputs(high_at, i);
    }
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
    sum0 += low.x * w;
    sum1 += low.y * w;
    sum2 += low.z * w;
    sum3 += low.w * w;
    if (rows_each == 8u) {
        sum4 += high.x * w;
        sum5 += high.y * w;
        sum6 += high.z * w;
        sum7 += high.w * w;
    }
}

@compute @workgroup_size(tile_threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let split = thread / (ROW_GROUPS * octets);
    let of_tile = thread / octets % ROW_GROUPS * rows_each;
    let row = group.y * tile_rows() + of_tile;
    let octet = group.x * octets + thread % octets;
    if (norm == LAYER_NORM) {
        layer_stats(group.y * tile_rows(), thread);
        let low = four_stats(of_tile);
        means.low = low[0];
        scales.low = low[1];
        if (rows_each == 8u) {
            let high = four_stats(of_tile + 4u);
            means.high = high[0];
            scales.high = high[1];
        }
    }
    let there = row < params.rows && 8u * octet < n_outputs;
    if (there) {
        // Rows that are not there are the last one once more.
        let last = vec4<u32>(params.rows - 1u);
        let low_at = n_inputs * min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), last);
        let high_at = n_inputs * min(vec4<u32>(row) + vec4<u32>(4u, 5u, 6u, 7u), last);
        var i = 4u * split;
        if (rows_each == 4u) {
            // A compiler asks for all that the four read at once.
            for (; i + 4u <= n_inputs; i += 4u * splits) {
                add(i, low_at, high_at, octet);
                add(i + 1u, low_at, high_at, octet);
                add(i + 2u, low_at, high_at, octet);
                add(i + 3u, low_at, high_at, octet);
            }
        }
        for (; i < n_inputs; i++) {
            add(i, low_at, high_at, octet);
        }
    }
    if (splits > 1u) {
        if (thread % octets == 0u) {
            met_squares[thread / octets] = squares.low;
        }
        meet(sum0, 0u, group, thread);
        meet(sum1, 1u, group, thread);
        meet(sum2, 2u, group, thread);
        meet(sum3, 3u, group, thread);
        return;
    }
    if (!there) {
        return;
    }
    var low = vec4<f32>(1.0);
    var high = vec4<f32>(1.0);
    if (norm == RMS_NORM) {
        low = inverseSqrt(squares.low / f32(n_inputs) + eps);
        high = inverseSqrt(squares.high / f32(n_inputs) + eps);
    }
    let units = octet_units(octet);
    for (var r = 0u; r < rows_each; r++) {
        let scale = select(high, low, r < 4u)[r % 4u];
        store_octet(row + r, octet, in_units(sum_of(r), scale, units));
    }
}
