// Standalone TopK, k above the crossover of topk_plan.json (right for every k from 1 on): radix select of the k of a row, as packed
// entries in any order, padded to a power of two. topk_sort.wgsl and topk_step.wgsl sort them, topk_gather.wgsl turns them into the
// result. Dispatch: one workgroup a row, in two dimensions where rows > 65535. Workgroup memory: 3.2 KiB.

// @import parts/operator.wgsl
// @import parts/order.wgsl
// @import parts/counts.wgsl
// @import parts/radix.wgsl

override listed: u32 = 0u; // 1: topk_split.wgsl has taken some; the others are among those at `places`

@group(0) @binding(1) var<storage, read> values_in: array<u32>;        // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read> counts: array<u32>;           // [rows, WORDS]
@group(0) @binding(3) var<storage, read> places: array<u32>;           // [rows, width]
@group(0) @binding(4) var<storage, read_write> pairs: array<vec2<u32>>; // [rows, padded]

var<workgroup> taken: atomic<u32>;
var<private> base: u32;

fn row_entry(i: u32) -> vec2<u32> {
    var place = i;
    if (listed != 0u) {
        place = places[base + i];
    }
    return vec2(order_key(values_in[base + place]), ~place);
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
    var count = params.width;
    var before = 0u;
    if (listed != 0u) {
        count = counts[row * WORDS + LEFT];
        before = counts[row * WORDS + TAKEN];
    }
    let last = radix_select(count, params.k - before, thread);
    let out = row * params.padded + before;
    for (var i = thread; i < count; i += threads) {
        let entry = row_entry(i);
        if (!precedes(last, entry)) {
            pairs[out + atomicAdd(&taken, 1u)] = entry;
        }
    }
    for (var i = params.k + thread; i < params.padded; i += threads) {
        pairs[row * params.padded + i] = PADDING;
    }
}
