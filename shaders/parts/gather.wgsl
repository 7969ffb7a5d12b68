// @import parts/entries.wgsl
// @import parts/reduce.wgsl
// @import parts/terms.wgsl
// Linear op whose input is the active list of a TopK block: only the rows of W that an active entry selects are read.
// Work is laid out as in matvec, over entries instead of inputs. RMSNorm needs the entries' squares; LayerNorm also
// the precomputed sums over all inputs: y = r·Σ x_i g_i W_i − r·mean·(Σ g_i W_i) + Σ b_i W_i. Grid: (pairs / 16, rows).

var<workgroup> partials: array<vec2<f32>, 256>;

// Mean and 1/deviation of a row in which all but the `count` entries are zero.
fn list_stats(first: u32, count: u32, thread: u32) -> vec2<f32> {
    let width = f32(n_inputs);
    var mean = 0.0;
    if (norm == LAYER_NORM) {
        var sum = 0.0;
        for (var e = thread; e < count; e += 256u) {
            sum += entry_value(first, e);
        }
        mean = total(thread, sum) / width;
    }
    var squares = 0.0;
    for (var e = thread; e < count; e += 256u) {
        let centred = entry_value(first, e) - mean;
        squares += centred * centred;
    }
    let all = total(thread, squares) + f32(n_inputs - count) * mean * mean;
    return vec2<f32>(mean, inverseSqrt(all / width + eps));
}

fn term(row: u32, n: u32) -> Term {
    let first = row * (2u + 2u * capacity) + 2u;
    let i = entries[first + 2u * n];
    return Term(i, entry_value(first, n) * vectors[gain_at + i]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    let pair = group.x * 16u + thread % 16u;
    let base = row * (2u + 2u * capacity);
    let count = entries[base];
    let stats = list_stats(base + 2u, count, thread);
    var sum = pair_part(row, count, group.x * 16u, thread);
    partials[thread] = sum;
    workgroupBarrier();
    if (thread < 16u) {
        for (var split = 1u; split < 16u; split++) {
            sum += partials[split * 16u + thread];
        }
        finish_gathered(row, pair, stats.y * sum, stats);
    }
}
