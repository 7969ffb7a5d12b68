// Standalone TopK of few, long rows, k above the crossover of topk_plan.json: first of three passes. Each workgroup counts the top bits of
// the keys of its segment, and adds what it has to the row's counts. topk_split.wgsl goes on.
// Dispatch: one workgroup a segment, in two dimensions where there are more than 65535. Workgroup memory: 8 KiB.

// @import parts/operator.wgsl
// @import parts/segment.wgsl
// @import parts/order.wgsl
// @import parts/counts.wgsl

@group(0) @binding(1) var<storage, read> values_in: array<u32>;             // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>; // [rows, WORDS]

var<workgroup> own: array<atomic<u32>, 2048>;

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
    let base = segment.row * params.width + segment.begin;
    for (var i = thread; i < segment.count; i += threads) {
        atomicAdd(&own[order_key(values_in[base + i]) >> SHIFT], 1u);
    }
    workgroupBarrier();
    for (var bin = thread; bin < COUNTED; bin += threads) {
        let count = atomicLoad(&own[bin]);
        if (count > 0u) {
            atomicAdd(&counts[segment.row * WORDS + bin], count);
        }
    }
}
