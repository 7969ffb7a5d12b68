// Standalone TopK of few, long rows: second of three passes. The row's counts say which top bits the k-th key has. Entries with larger ones
// are among the k, and go to their pairs; those with the same ones are left for topk_radix.wgsl to choose from, as a list of positions.
// Dispatch: one workgroup a segment, in two dimensions where there are more than 65535. Workgroup memory: 3.3 KiB.

// @import parts/operator.wgsl
// @import parts/segment.wgsl
// @import parts/order.wgsl
// @import parts/counts.wgsl
// @import parts/bins.wgsl

@group(0) @binding(1) var<storage, read> values_in: array<u32>;             // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>; // [rows, WORDS]
@group(0) @binding(3) var<storage, read_write> pairs: array<vec2<u32>>;     // [rows, padded]
@group(0) @binding(4) var<storage, read_write> places: array<u32>;          // [rows, width]: positions of those left

var<workgroup> sorted_out: array<atomic<u32>, 2>; // of this segment: taken, left
var<workgroup> first: vec2<u32>;                  // where they go

// The top bits of the k-th key, from the sums of eight bins each.
fn split_bin(base: u32, thread: u32) -> u32 {
    for (var bin = thread; bin < BINS; bin += threads) {
        var sum = 0u;
        for (var i = 0u; i < COUNTED / BINS; i++) {
            sum += atomicLoad(&counts[base + bin * (COUNTED / BINS) + i]);
        }
        atomicStore(&histogram[bin], sum);
    }
    workgroupBarrier();
    let eight = find_bin(params.k, thread);
    var wanted = eight.y;
    var bin = (eight.x + 1u) * (COUNTED / BINS) - 1u;
    var count = atomicLoad(&counts[base + bin]);
    while (count < wanted && bin > 0u) {
        wanted -= count;
        bin--;
        count = atomicLoad(&counts[base + bin]);
    }
    return bin;
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
    let row = segment.row * params.width;
    let end = segment.begin + segment.count;
    let words = segment.row * WORDS;
    let split = split_bin(words, thread);
    var above = 0u;
    var equal = 0u;
    for (var i = segment.begin + thread; i < end; i += threads) {
        let bin = order_key(values_in[row + i]) >> SHIFT;
        above += select(0u, 1u, bin > split);
        equal += select(0u, 1u, bin == split);
    }
    // Places in the row's lists: first among the segments, then among the threads of each.
    let before = vec2(atomicAdd(&sorted_out[0], above), atomicAdd(&sorted_out[1], equal));
    workgroupBarrier();
    if (thread == 0u) {
        first.x = atomicAdd(&counts[words + TAKEN], atomicLoad(&sorted_out[0]));
        first.y = atomicAdd(&counts[words + LEFT], atomicLoad(&sorted_out[1]));
    }
    let begin = workgroupUniformLoad(&first) + before;
    var taken = segment.row * params.padded + begin.x;
    var left = row + begin.y;
    for (var i = segment.begin + thread; i < end; i += threads) {
        let key = order_key(values_in[row + i]);
        if (key >> SHIFT > split) {
            pairs[taken] = vec2(key, ~i);
            taken++;
        } else if (key >> SHIFT == split) {
            places[left] = i;
            left++;
        }
    }
}
