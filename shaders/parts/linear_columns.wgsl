// @import parts/linear.wgsl
// The right matrix of a linear op for matmul: weights [n_inputs, stride], so neighbours in a row are neighbours in memory.

fn right_slot(thread: u32) -> vec2<u32> {
    return vec2<u32>(thread / 16u, thread % 16u);
}

fn right_quad(i: u32, quad: u32) -> vec4<f32> {
    var low = vec2<f32>(0.0);
    var high = vec2<f32>(0.0);
    if (i < n_inputs && 4u * quad < n_outputs) {
        low = weight_pair(i, 2u * quad);
        if (4u * quad + 2u < n_outputs) {
            high = weight_pair(i, 2u * quad + 1u);
        }
    }
    return vec4<f32>(low, high);
}

fn store_quad(row: u32, quad: u32, value: vec4<f32>) {
    finish(row, 2u * quad, value.xy);
    finish(row, 2u * quad + 1u, value.zw);
}

fn source_row(row: u32) -> u32 {
    return row;
}

fn after_stats(group: vec3<u32>, first_row: u32, thread: u32) {}
