// Standalone TopK, k above the crossover of topk_plan.json (right for every k from 1 on): radix select of the k of a row, as packed
// entries in any order, padded to a power of two. topk_sort.wgsl and topk_step.wgsl sort them, topk_gather.wgsl turns them into the
// result. Dispatch: one workgroup a row, in two dimensions where rows > 65535. Workgroup memory: 3.2 KiB.

// @import parts/operator.wgsl
// @import parts/order.wgsl
// @import parts/radix.wgsl

@group(0) @binding(1) var<storage, read> values_in: array<u32>;        // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read_write> pairs: array<vec2<u32>>; // [rows, padded]

var<workgroup> taken: atomic<u32>;
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
    let row = group_number(group, groups);
    if (row >= params.rows) {
        return;
    }
    base = row * params.width;
    let last = radix_select(params.width, params.k, thread);
    let out = row * params.padded;
    for (var i = thread; i < params.width; i += threads) {
        let entry = vec2(row_key(i), ~i);
        if (!precedes(last, entry)) {
            pairs[out + atomicAdd(&taken, 1u)] = entry;
        }
    }
    for (var i = params.k + thread; i < params.padded; i += threads) {
        pairs[out + i] = PADDING;
    }
}
