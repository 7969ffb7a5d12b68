// Attention: one workgroup per (head, row, part of the context), see parts/attend.wgsl. Grid: (heads, rows, parts).
// aux0: parts · aux1: positions of a part · aux2: where the first one begins (with EACH, at the first position that a row sees).
// With one part the result is final; else per part (maximum, sum, d_head sums) goes to attention_merge.
// @import parts/attend.wgsl

@group(0) @binding(4) var<storage, read_write> z: array<f32>;   // [rows, n_heads, d_head] or [rows, n_heads, parts, 2 + d_head]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = group.y;
    let part = select(params.aux2, first_seen(row), params.mode == EACH) + group.z * params.aux1;
    let begin = max(part, first_seen(row));
    let end = min(position_of(row) + 1u, part + params.aux1);
    let at = attend(row, head, begin, end, thread);
    if (thread >= d_head) {
        return;
    }
    if (params.aux0 == 1u) {
        z[(row * n_heads + head) * d_head + thread] = at.weighted / at.sum;
        return;
    }
    let base = ((row * n_heads + head) * params.aux0 + group.z) * (2u + d_head);
    z[base + 2u + thread] = at.weighted;
    if (thread == 0u) {
        z[base] = at.highest;
        z[base + 1u] = at.sum;
    }
}
