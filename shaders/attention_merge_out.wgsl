// Joins the parts of a split attention (parts/merged.wgsl) and multiplies what each head attends to with its rows of W, as
// attention_out.wgsl does where nothing is split. Grid: (heads, rows, columns / 1024).
// @import parts/merged.wgsl
// @import parts/head_out.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row_head = group.y * n_heads + group.x;
    var value = 0.0;
    if (thread < d_head) {
        value = merged(row_head, thread);
    }
    multiply(row_head, group.x, group.z, thread, value);
}
