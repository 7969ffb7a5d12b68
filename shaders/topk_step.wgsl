// One compare-exchange of a bitonic sort in storage: the strides that are longer than a block of topk_sort.wgsl.
// Dispatch: one thread a pair, rows · padded / 2 in all, in two dimensions.

// @import parts/operator.wgsl
// @import parts/order.wgsl

@group(0) @binding(1) var<storage, read_write> pairs: array<vec2<u32>>; // [rows, padded]

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let pair = group_number(group, groups) * threads + thread;
    if (pair >= params.rows * params.padded / 2u) {
        return;
    }
    let i = 2u * pair - (pair & (params.stride - 1u));
    let a = pairs[i];
    let b = pairs[i + params.stride];
    if (precedes(b, a) == (((i % params.padded) & params.run) == 0u)) {
        pairs[i] = b;
        pairs[i + params.stride] = a;
    }
}
