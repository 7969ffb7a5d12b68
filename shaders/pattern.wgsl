// Attention probabilities for hook_pattern, only where a hook asks: one workgroup of 256 threads per (head, row). Scores are
// made twice (maximum and sum first, then the probabilities) instead of being stored. Positions that the row
// does not see are 0.
// Grid: (heads, rows of this dispatch). aux0: first row of `rotated` · aux1: one behind the last position.
// @import parts/scores.wgsl
// @import parts/reduce.wgsl

@group(0) @binding(3) var<storage, read_write> pattern: array<f32>; // [rows of this dispatch, n_heads, aux1]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = params.aux0 + group.y;
    let kv_head = head / (n_heads / n_kv_heads);
    let begin = first_seen(row);
    let end = position_of(row) + 1u;
    load_query(row, head, thread);
    workgroupBarrier();

    var own_highest = -3.0e38;
    for (var key = begin + thread; key < end; key += 256u) {
        own_highest = max(own_highest, score(row, kv_head, key));
    }
    let highest = maximum(thread, own_highest);
    var own_sum = 0.0;
    for (var key = begin + thread; key < end; key += 256u) {
        own_sum += exp(score(row, kv_head, key) - highest);
    }
    let sum = total(thread, own_sum);
    let base = (group.y * n_heads + head) * params.aux1;
    for (var key = thread; key < params.aux1; key += 256u) {
        var share = 0.0;
        if (key >= begin && key < end) {
            share = exp(score(row, kv_head, key) - highest) / sum;
        }
        pattern[base + key] = share;
    }
}
