// Attention and its output projection for few rows in one dispatch (ops/fused.rs says when): one workgroup per (head, row, 1024
// columns) attends as in parts/attend.wgsl and multiplies as in parts/head_out.wgsl. Grid: (heads, rows, columns / 1024).
// aux1: positions seen · aux2: the first of them.
// @import parts/attend.wgsl
// @import parts/head_out.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = group.y;
    let begin = max(params.aux2, first_seen(row));
    let at = attend(row, head, begin, position_of(row) + 1u, thread);
    multiply(row * n_heads + head, head, group.z, thread, at.weighted / at.sum);
}
