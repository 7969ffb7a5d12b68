// Joins the parts of a split attention (parts/merged.wgsl): one workgroup of 256 threads per (head, row). Grid: (heads, rows).
// @import parts/merged.wgsl

@group(0) @binding(2) var<storage, read_write> z: array<f32>;    // [rows, n_heads, d_head]

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) dim: u32) {
    if (dim < d_head) {
        let row_head = group.y * n_heads + group.x;
        z[row_head * d_head + dim] = merged(row_head, dim);
    }
}
