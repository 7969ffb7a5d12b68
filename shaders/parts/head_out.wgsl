// @import parts/down.wgsl
// What a head adds to the stream, by one workgroup of 256 threads for 1024 columns. The heads' products are added where they are read
// (parts/mlp.wgsl); its values themselves stand behind its product. Whoever imports this has `n_heads` and `d_head`.

@group(0) @binding(4) var<storage, read_write> head_out: array<f32>; // [rows, n_heads, n_outputs + d_head]

override n_outputs: u32 = 2u; // d_model

var<workgroup> head_values: array<f32, 256>;

fn factor(j: u32) -> f32 {
    return head_values[j];
}

// `value`: what the head attends to in dim `thread`, where there is one; `columns`: which 1024. In uniform control flow.
fn multiply(row_head: u32, head: u32, columns: u32, thread: u32, value: f32) {
    let base = row_head * (n_outputs + d_head);
    if (thread < d_head) {
        head_values[thread] = value;
        if (columns == 0u) {
            head_out[base + n_outputs + thread] = value;
        }
    }
    workgroupBarrier();
    let quad = columns * 256u + thread;
    if (4u * quad >= n_outputs) {
        return;
    }
    let product = down_sum(head * d_head, d_head, quad);
    for (var i = 0u; i < min(4u, n_outputs - 4u * quad); i++) {
        head_out[base + 4u * quad + i] = product[i];
    }
}
