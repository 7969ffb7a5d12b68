// lm_head for few rows: one workgroup of 256 threads makes 16 logits of one row, 16 threads a logit, each with every
// 16th pair of inputs; they meet in 1 KiB of workgroup memory. Of 8 bits, where 16 bytes divide a row of W, it is every 16th sixteen of
// inputs, out of workgroup memory, 2048 at a time. Grid: (ids of the shard / 16, rows).
// The first workgroup of a row also writes the normalized row, which hooks may ask for.
// @import parts/lm_head.wgsl
// @import parts/row_stats.wgsl
// @import parts/sixteen.wgsl

var<workgroup> partials: array<f32, 256>;

fn pairs_part(first: u32, id: u32, lane: u32, stats: vec2<f32>) -> f32 {
    var sum = 0.0;
    if (id >= params.aux2) {
        return sum;
    }
    for (var pair = lane; 2u * pair < n_inputs; pair += 16u) {
        let w = weight_pair(params.aux1 + id, pair);
        let i = 2u * pair;
        sum += normed(source[first + i], i, stats) * w.x;
        if (i + 1u < n_inputs) {
            sum += normed(source[first + i + 1u], i + 1u, stats) * w.y;
        }
    }
    return sum;
}

fn sixteens_part(first: u32, id: u32, thread: u32, stats: vec2<f32>) -> f32 {
    let at = table_row(params.aux1 + id);
    var sum = 0.0;
    for (var begin = 0u; begin < n_inputs; begin += 2048u) {
        let count = min(2048u, stride - begin);
        workgroupBarrier();
        for (var i = thread; i < count; i += 256u) {
            var x = 0.0;
            if (begin + i < n_inputs) {
                x = normed(source[first + begin + i], begin + i, stats);
            }
            sixteens[i % 16u * 129u + i / 16u] = x;
        }
        workgroupBarrier();
        if (id < params.aux2) {
            for (var sixteen = thread % 16u; 16u * sixteen < count; sixteen += 16u) {
                let w = weights[at.y / 4u + begin / 16u + sixteen];
                let x = sixteen_of(sixteen);
                sum += dot(x[0], four_bytes(w.x)) + dot(x[1], four_bytes(w.y)) + dot(x[2], four_bytes(w.z)) + dot(x[3], four_bytes(w.w));
            }
        }
    }
    return bitcast<f32>(word_at(at.x)) * sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = params.aux0 + group.y;
    let first = row * n_inputs;
    let stats = row_stats(row, thread);
    if (group.x == 0u) {
        for (var i = thread; i < n_inputs; i += 256u) {
            normalized[first + i] = before_gain(source[first + i], stats);
        }
    }
    let id = group.x * 16u + thread / 16u;
    var sum = 0.0;
    if (weight_type == 4u && stride % 16u == 0u) {
        sum = sixteens_part(first, id, thread, stats);
    } else {
        sum = pairs_part(first, id, thread % 16u, stats);
    }
    partials[thread] = sum;
    workgroupBarrier();
    if (thread % 16u == 0u) {
        for (var lane = 1u; lane < 16u; lane++) {
            sum += partials[thread + lane];
        }
        store_logit(group.y, id, sum);
    }
}
