// lm_head for few rows: one workgroup of 256 threads makes 16 logits of one row, 16 threads a logit, each with every
// 16th pair of inputs; they meet in 1 KiB of workgroup memory. Grid: (ids of the shard / 16, rows).
// The first workgroup of a row also writes the normalized row, which hooks may ask for.
// @import parts/lm_head.wgsl
// @import parts/row_stats.wgsl

var<workgroup> partials: array<f32, 256>;

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
    if (id < params.aux2) {
        for (var pair = thread % 16u; 2u * pair < n_inputs; pair += 16u) {
            let w = weight_pair(params.aux1 + id, pair);
            let i = 2u * pair;
            sum += normed(source[first + i], i, stats) * w.x;
            if (i + 1u < n_inputs) {
                sum += normed(source[first + i + 1u], i + 1u, stats) * w.y;
            }
        }
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
