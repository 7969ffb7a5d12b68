// Attention and its output projection for few rows in one dispatch (ops/fused.rs says when): one workgroup per (head, row, 1024
// columns) attends as in parts/attend.wgsl and multiplies the head's values with their rows of W. The heads' products are added where
// they are read (parts/mlp.wgsl); its values themselves stand behind its product. Grid: (heads, rows, columns / 1024).
// aux1: positions seen · aux2: the first of them.
// @import parts/attend.wgsl
// @import parts/down.wgsl

@group(0) @binding(4) var<storage, read_write> head_out: array<f32>; // [rows, n_heads, n_outputs + d_head]

override n_outputs: u32 = 2u; // d_model

fn factor(j: u32) -> f32 {
    return query[j];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = group.y;
    let begin = max(params.aux2, first_seen(row));
    let at = attend(row, head, begin, position_of(row) + 1u, thread);
    let base = (row * n_heads + head) * (n_outputs + d_head);
    if (thread < d_head) {
        query[thread] = at.weighted / at.sum;
        if (group.z == 0u) {
            head_out[base + n_outputs + thread] = query[thread];
        }
    }
    workgroupBarrier();
    let quad = group.z * 256u + thread;
    if (4u * quad >= n_outputs) {
        return;
    }
    let product = down_sum(head * d_head, d_head, quad);
    for (var i = 0u; i < min(4u, n_outputs - 4u * quad); i++) {
        head_out[base + 4u * quad + i] = product[i];
    }
}
