// Standalone TopK, k up to the crossover of topk_plan.json: bitonic select of the first k of a segment of a row, in ranking.
// Rows in one segment give the result; the k of each of several segments are the row of another pass.
// Dispatch: one workgroup a segment, in two dimensions where there are more than 65535. Workgroup memory: 3 KiB.

// @import parts/operator.wgsl
// @import parts/segment.wgsl
// @import parts/order.wgsl
// @import parts/bitonic_merge.wgsl
// @import parts/bitonic.wgsl

override listed: u32 = 0u; // 1: `indices_in` says which index of the caller's row a position is; else the position is the index

@group(0) @binding(1) var<storage, read> values_in: array<u32>;  // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read> indices_in: array<u32>; // [rows, width]
@group(0) @binding(3) var<storage, read_write> values_out: array<u32>;  // [rows, segments, k]
@group(0) @binding(4) var<storage, read_write> indices_out: array<u32>; // [rows, segments, k]

var<private> base: u32;

fn row_key(i: u32) -> u32 {
    return order_key(values_in[base + i]);
}

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = group_number(group, groups);
    if (number >= params.rows * params.segments) {
        return;
    }
    let segment = segment_of(number);
    base = segment.row * params.width + segment.begin;
    bitonic_select(segment.count, params.k, thread);
    for (var i = thread; i < params.k; i += threads) {
        let position = ~entries[i].y;
        let at = number * params.k + i;
        values_out[at] = values_in[base + position];
        if (listed != 0u) {
            indices_out[at] = indices_in[base + position];
        } else {
            indices_out[at] = segment.begin + position;
        }
    }
}
