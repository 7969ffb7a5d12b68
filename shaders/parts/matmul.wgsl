// @import parts/norm.wgsl
// @import parts/source.wgsl
// The head's product for many rows, whose matrix lies by outputs (the others are made by parts/rows.wgsl): one workgroup of 256 threads
// makes a tile of 64 rows × 64 columns, 16 inputs at a time through workgroup memory (2 × 4.25 KiB; rows of 17 vectors keep its banks
// apart). A thread keeps 4 rows × 4 columns in registers: two vec4 reads feed 16 multiply-adds. The norm is applied while the left tile
// is filled. Grid: (columns / 64, rows / 64). Whoever imports this defines how the right matrix is read and what is stored:
//   right_slot(thread) -> (input, quad) of the tile that a thread loads, so that neighbours read neighbours
//   right_quad(input, quad) -> columns 4·quad … of the right matrix, 0 where there are none
//   store_quad(row, quad, value), source_row(row): the row of `source` for row `row` of the output

var<workgroup> left_tile: array<vec4<f32>, 272>;
var<workgroup> right_tile: array<vec4<f32>, 272>;
var<workgroup> lane_sums: array<f32, 256>;
var<workgroup> tile_stats: array<vec2<f32>, 64>;

fn input_at(tile_row: u32, row: u32, i: u32) -> f32 {
    if (row >= params.rows || i >= n_inputs) {
        return 0.0;
    }
    return normed(source[source_row(row) * n_inputs + i], i, tile_stats[tile_row]);
}

// One pass over 16 of the tile's rows, 16 lanes a row: the sum (power 1) or the centred squares (power 2) into tile_stats.
fn fold_rows(first_row: u32, part: u32, thread: u32, squares: bool) {
    let tile_row = part * 16u + thread / 16u;
    let mean = tile_stats[tile_row].x;
    var sum = 0.0;
    if (first_row + tile_row < params.rows) {
        let first = source_row(first_row + tile_row) * n_inputs;
        for (var i = thread % 16u; i < n_inputs; i += 16u) {
            let x = source[first + i];
            sum += select(x, (x - mean) * (x - mean), squares);
        }
    }
    lane_sums[thread] = sum;
    workgroupBarrier();
    if (thread < 16u) {
        var all = 0.0;
        for (var lane = 0u; lane < 16u; lane++) {
            all += lane_sums[thread * 16u + lane];
        }
        let folded = all / f32(n_inputs);
        if (squares) {
            tile_stats[part * 16u + thread].y = inverseSqrt(folded + eps);
        } else {
            tile_stats[part * 16u + thread].x = folded;
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first_row = group.y * 64u;
    if (thread < 64u) {
        tile_stats[thread] = vec2<f32>(0.0, 1.0);
    }
    workgroupBarrier();
    if (norm != 0u) {
        for (var part = 0u; part < 4u; part++) {
            if (norm == LAYER_NORM) {
                fold_rows(first_row, part, thread, false);
            }
            fold_rows(first_row, part, thread, true);
        }
    }
    after_stats(group, first_row, thread);

    let quarter = thread / 16u;
    let lane = thread % 16u;
    let slot = right_slot(thread);
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);
    for (var i0 = 0u; i0 < n_inputs; i0 += 16u) {
        let t = 4u * quarter;
        let row = first_row + t;
        left_tile[lane * 17u + quarter] = vec4<f32>(
            input_at(t, row, i0 + lane),
            input_at(t + 1u, row + 1u, i0 + lane),
            input_at(t + 2u, row + 2u, i0 + lane),
            input_at(t + 3u, row + 3u, i0 + lane),
        );
        right_tile[slot.x * 17u + slot.y] = right_quad(i0 + slot.x, group.x * 16u + slot.y);
        workgroupBarrier();
        for (var i = 0u; i < 16u; i++) {
            let x = left_tile[i * 17u + quarter];
            let w = right_tile[i * 17u + lane];
            sum0 += x.x * w;
            sum1 += x.y * w;
            sum2 += x.z * w;
            sum3 += x.w * w;
        }
        workgroupBarrier();
    }
    let row = first_row + 4u * quarter;
    let quad = group.x * 16u + lane;
    if (row < params.rows) { store_quad(row, quad, sum0); }
    if (row + 1u < params.rows) { store_quad(row + 1u, quad, sum1); }
    if (row + 2u < params.rows) { store_quad(row + 2u, quad, sum2); }
    if (row + 3u < params.rows) { store_quad(row + 3u, quad, sum3); }
}
