// lm_head for many rows: the tiles of parts/matmul.wgsl; a column of the right matrix is a row of W, so neighbouring
// threads load neighbouring inputs of one id. Grid: (ids of the shard / 64, rows / 64).
// @import parts/lm_head.wgsl
// @import parts/matmul.wgsl

fn right_slot(thread: u32) -> vec2<u32> {
    return vec2<u32>(thread % 16u, thread / 16u);
}

fn head_weight(id: u32, i: u32) -> f32 {
    if (id >= params.aux2 || i >= n_inputs) {
        return 0.0;
    }
    return weight_at(params.aux1 + id, i);
}

fn right_quad(i: u32, quad: u32) -> vec4<f32> {
    let id = 4u * quad;
    return vec4<f32>(head_weight(id, i), head_weight(id + 1u, i), head_weight(id + 2u, i), head_weight(id + 3u, i));
}

fn store_quad(row: u32, quad: u32, value: vec4<f32>) {
    store_logit(row, 4u * quad, value.x);
    store_logit(row, 4u * quad + 1u, value.y);
    store_logit(row, 4u * quad + 2u, value.z);
    store_logit(row, 4u * quad + 3u, value.w);
}

fn source_row(row: u32) -> u32 {
    return params.aux0 + row;
}

// The first column of workgroups writes the normalized rows.
fn after_stats(group: vec3<u32>, first_row: u32, thread: u32) {
    if (group.x != 0u) {
        return;
    }
    for (var tile_row = thread / 16u; tile_row < 64u && first_row + tile_row < params.rows; tile_row += 16u) {
        let first = source_row(first_row + tile_row) * n_inputs;
        for (var i = thread % 16u; i < n_inputs; i += 16u) {
            normalized[first + i] = before_gain(source[first + i], tile_stats[tile_row]);
        }
    }
}
