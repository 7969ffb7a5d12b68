// Sorts blocks of packed entries in workgroup memory. run 0: each block from scratch, descending and ascending by turns (a row of one block
// descending); else the strides below a block's length of the merge of runs of `run`, whose longer strides topk_step.wgsl has done.
// Dispatch: one workgroup a block of min(padded, 1024) entries, in two dimensions. Workgroup memory: 8 KiB.

// @import parts/operator.wgsl
// @import parts/order.wgsl
// @import parts/bitonic_merge.wgsl

@group(0) @binding(1) var<storage, read_write> pairs: array<vec2<u32>>; // [rows, padded]

const BLOCK: u32 = 1024u;

var<workgroup> entries: array<vec2<u32>, 1024>;

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let size = min(params.padded, BLOCK);
    let begin = group_number(group, groups) * size;
    if (begin >= params.rows * params.padded) {
        return;
    }
    let offset = begin % params.padded;
    for (var i = thread; i < size; i += threads) {
        entries[i] = pairs[begin + i];
    }
    workgroupBarrier();
    var run = params.run;
    if (run == 0u) {
        for (run = 2u; run < size; run *= 2u) {
            bitonic_merge(0u, size, run, offset, thread);
        }
    }
    bitonic_merge(0u, size, run, offset, thread);
    for (var i = thread; i < size; i += threads) {
        pairs[begin + i] = entries[i];
    }
}
