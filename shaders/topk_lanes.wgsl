// Standalone TopK on devices with subgroups, k up to `lanes_most` of topk_plan.json (256 at most): the first k of a segment of a row, in
// ranking where they are the result, in any order where they are the row of another pass, whose `listed` indices decide among equal keys.
// Dispatch: one workgroup a segment of 65535 values at most, in two dimensions where there are more than 65535. Workgroup memory: 7 KiB.
//
// Each subgroup finds the first of a part of the segment, and one of them the first of those that all have found. Then all threads rank,
// each one entry, and store. Nothing is taken for granted of the size of subgroups: they and their lanes are counted, and where lanes hold
// less than a part they load it in blocks each round. Who finds what may differ from run to run, but not what. Every branch around an
// operation of subgroups is the same for all of its lanes.

// @import parts/operator.wgsl
// @import parts/segment.wgsl
// @import parts/order.wgsl
// @import parts/lanes_keys.wgsl
// @import parts/lanes_find.wgsl

override listed: u32 = 0u; // 1: `indices_in` says which index of the caller's row a position is; else the position is the index

@group(0) @binding(1) var<storage, read> values_in: array<u32>;  // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read> indices_in: array<u32>; // [rows, width]
@group(0) @binding(3) var<storage, read_write> values_out: array<u32>;  // [rows, segments, k]
@group(0) @binding(4) var<storage, read_write> indices_out: array<u32>; // [rows, segments, k]

const ROOM: u32 = 1024u;

var<workgroup> found: array<u32, 1280>; // positions in the segment: the first of each part, then (from ROOM on) of these
var<workgroup> entries: array<vec2<u32>, 256>; // key and ~index of the first k
var<workgroup> subgroups: atomic<u32>;
var<workgroup> total: atomic<u32>; // of the first of each part

// How many of four entries precede this one.
fn four_before(i: u32, entry: vec2<u32>) -> u32 {
    return select(0u, 1u, precedes(entries[i], entry))
        + select(0u, 1u, precedes(entries[i + 1u], entry))
        + select(0u, 1u, precedes(entries[i + 2u], entry))
        + select(0u, 1u, precedes(entries[i + 3u], entry));
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
    segment = segment_of(number);
    base = segment.row * params.width + segment.begin;
    let k = params.k;
    lanes = subgroupAdd(1u);
    place = subgroupExclusiveAdd(1u);
    var team = 0u; // the subgroup's number
    if (place == 0u) {
        team = atomicAdd(&subgroups, 1u);
    }
    team = subgroupBroadcastFirst(team);
    workgroupBarrier();
    let parts = min(min(params.padded, ROOM / k), min(atomicLoad(&subgroups), segment.count));
    // A loop and not two calls: so the code is there once.
    for (var round = 0u; round < 2u; round++) {
        again = round == 1u;
        if (select(team < parts, team == 0u && parts > 1u, again)) {
            var some = k;
            var to = ROOM;
            if (again) {
                part = vec2(0u, atomicLoad(&total));
            } else {
                let begin = team * segment.count / parts;
                part = vec2(begin, (team + 1u) * segment.count / parts - begin);
                some = min(k, part.y);
                if (place == 0u) {
                    to = atomicAdd(&total, some);
                }
                to = subgroupBroadcastFirst(to);
            }
            find(some, to);
        }
        workgroupBarrier();
    }
    let listed_from = select(0u, ROOM, parts > 1u);
    let first = number * k;
    if (params.run == 0u) {
        for (var i = thread; i < k; i += threads) {
            let position = found[listed_from + i];
            values_out[first + i] = values_in[base + position];
            indices_out[first + i] = ~rank_index(position);
        }
        return;
    }
    var bits = 0u;
    var entry = PADDING;
    if (thread < k) {
        let position = found[listed_from + thread];
        bits = values_in[base + position];
        entry = vec2(order_key(bits), rank_index(position));
    }
    entries[thread] = entry;
    workgroupBarrier();
    if (thread < k) {
        var to = first;
        for (var other = 0u; other < k; other += 8u) {
            to += four_before(other, entry) + four_before(other + 4u, entry);
        }
        values_out[to] = bits;
        indices_out[to] = ~entry.y;
    }
}
