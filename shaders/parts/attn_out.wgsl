// @import parts/params.wgsl
// The attention's output projection and the residual sum behind it: resid_mid = hidden + z·W + b.

@group(0) @binding(4) var<storage, read> hidden: array<f32>;           // [rows, d_model]
@group(0) @binding(5) var<storage, read_write> attn_out: array<f32>;   // [rows, d_model]
@group(0) @binding(6) var<storage, read_write> resid_mid: array<f32>;  // [rows, d_model]

fn store_column(row: u32, column: u32, value: f32) {
    let at = row * n_outputs + column;
    attn_out[at] = value;
    resid_mid[at] = hidden[at] + value;
}

fn store(row: u32, pair: u32, value: vec2<f32>) {
    store_column(row, 2u * pair, value.x);
    if (2u * pair + 1u < n_outputs) {
        store_column(row, 2u * pair + 1u, value.y);
    }
}
