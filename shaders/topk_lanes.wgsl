// Standalone TopK on devices with subgroups, k up to `lanes_most` of topk_plan.json (256 at most): the first k of a segment of a row, in
// ranking where they are the result, in any order where they are the row of another pass, whose `listed` indices decide among equal keys.
// Dispatch: one workgroup a segment of 65535 values at most, in two dimensions where there are more than 65535. Workgroup memory: 2 KiB.
//
// The subgroup of thread 0 finds them, without a barrier: its lanes hold the keys in registers, and narrow the range of the k-th key to a
// quarter a round by counting the keys that reach three others; a round usually has exactly k that do, which ends it. Where the k-th key
// has equals some of which stay out, they are chosen likewise by index. Then all threads rank, each one entry, and store.
// Nothing is taken for granted of the size of subgroups: lanes are counted, and where they hold less than the segment they load it in blocks
// each round. Every branch around an operation of subgroups is the same for all lanes.

// @import parts/operator.wgsl
// @import parts/segment.wgsl
// @import parts/order.wgsl

override listed: u32 = 0u; // 1: `indices_in` says which index of the caller's row a position is; else the position is the index
override held: u32 = 32u;  // keys of a lane: 16, 32 or 64

@group(0) @binding(1) var<storage, read> values_in: array<u32>;  // [rows, width] f32 bits
@group(0) @binding(2) var<storage, read> indices_in: array<u32>; // [rows, width]
@group(0) @binding(3) var<storage, read_write> values_out: array<u32>;  // [rows, segments, k]
@group(0) @binding(4) var<storage, read_write> indices_out: array<u32>; // [rows, segments, k]

const FIRST_THOUSAND: u32 = 1023u; // three counts in a word
const NONE: u32 = 0xffffffffu;

// What a round does with the keys.
const BOUND: u32 = 0u;
const COUNT: u32 = 1u;
const TAKE: u32 = 2u;

var<workgroup> entries: array<vec2<u32>, 256>; // of the first k, position in y; then key and ~index

// Written out in registers: a loop over an array could end up in memory.
struct Keys {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

var<private> base: u32; // of the segment in `values_in`
var<private> segment: Segment;
var<private> lanes: u32;
var<private> at: u32; // position of the lane's first key
var<private> keys0: Keys;
var<private> keys1: Keys;
var<private> keys2: Keys;
var<private> keys3: Keys;

fn places(slot: u32) -> vec4<u32> {
    return at + lanes * (slot + vec4(0u, 1u, 2u, 3u));
}

fn bits_of(slot: u32) -> vec4<u32> {
    let i = base + min(places(slot), vec4(segment.count - 1u));
    return vec4(values_in[i.x], values_in[i.y], values_in[i.z], values_in[i.w]);
}

fn load(slot: u32) -> Keys {
    return Keys(bits_of(slot), bits_of(slot + 4u), bits_of(slot + 8u), bits_of(slot + 12u));
}

// Keys of bits; 0, less than any, where there are none.
fn four_keys(bits: vec4<u32>, slot: u32) -> vec4<u32> {
    let keys = vec4(order_key(bits.x), order_key(bits.y), order_key(bits.z), order_key(bits.w));
    return select(vec4(0u), keys, places(slot) < vec4(segment.count));
}

fn as_keys(bits: Keys, slot: u32) -> Keys {
    return Keys(
        four_keys(bits.a, slot),
        four_keys(bits.b, slot + 4u),
        four_keys(bits.c, slot + 8u),
        four_keys(bits.d, slot + 12u),
    );
}

fn load_all() {
    keys0 = load(0u);
    if (held > 16u) {
        keys1 = load(16u);
    }
    if (held > 32u) {
        keys2 = load(32u);
        keys3 = load(48u);
    }
    keys0 = as_keys(keys0, 0u);
    if (held > 16u) {
        keys1 = as_keys(keys1, 16u);
    }
    if (held > 32u) {
        keys2 = as_keys(keys2, 32u);
        keys3 = as_keys(keys3, 48u);
    }
}

// ~index of a position: larger comes first.
fn rank_index(i: u32) -> u32 {
    if (listed != 0u) {
        return ~indices_in[base + i];
    }
    return ~(segment.begin + i);
}

// ~index in place of a key that is this one, 0 for others.
fn four_equal(keys: vec4<u32>, slot: u32, key: u32) -> vec4<u32> {
    let i = min(places(slot), vec4(segment.count - 1u));
    let indices = vec4(rank_index(i.x), rank_index(i.y), rank_index(i.z), rank_index(i.w));
    return select(vec4(0u), indices, keys == vec4(key));
}

fn equal(keys: Keys, slot: u32, key: u32) -> Keys {
    return Keys(
        four_equal(keys.a, slot, key),
        four_equal(keys.b, slot + 4u, key),
        four_equal(keys.c, slot + 8u, key),
        four_equal(keys.d, slot + 12u, key),
    );
}

fn all_equal(key: u32) {
    keys0 = equal(keys0, 0u, key);
    if (held > 16u) {
        keys1 = equal(keys1, 16u, key);
    }
    if (held > 32u) {
        keys2 = equal(keys2, 32u, key);
        keys3 = equal(keys3, 48u, key);
    }
}

fn largest(keys: Keys) -> vec4<u32> {
    return max(max(keys.a, keys.b), max(keys.c, keys.d));
}

// 1 for each of three keys that is not above each of these, ten bits apart.
fn four_reach(keys: vec4<u32>, least: vec3<u32>) -> vec4<u32> {
    let none = vec4(0u);
    return select(none, vec4(1u), keys >= least.xxxx)
        + select(none, vec4(1u << 10u), keys >= least.yyyy)
        + select(none, vec4(1u << 20u), keys >= least.zzzz);
}

fn reach(keys: Keys, least: vec3<u32>) -> vec4<u32> {
    return four_reach(keys.a, least) + four_reach(keys.b, least) + four_reach(keys.c, least) + four_reach(keys.d, least);
}

fn sum(four: vec4<u32>) -> u32 {
    return (four.x + four.y) + (four.z + four.w);
}

// How many of the lane's keys reach each of three: two packed, and one.
fn counts_of(least: vec3<u32>) -> vec2<u32> {
    var each = reach(keys0, least);
    if (held > 16u) {
        each += reach(keys1, least);
    }
    if (held > 32u) {
        each += reach(keys2, least) + reach(keys3, least);
    }
    let counts = sum(each);
    return vec2((counts & FIRST_THOUSAND) | (((counts >> 10u) & FIRST_THOUSAND) << 16u), counts >> 20u);
}

// A bit for each of these that is above a key.
fn above(keys: Keys, key: u32) -> u32 {
    let none = vec4(0u);
    return sum(select(none, vec4(0x1u, 0x2u, 0x4u, 0x8u), keys.a > vec4(key)))
        + sum(select(none, vec4(0x10u, 0x20u, 0x40u, 0x80u), keys.b > vec4(key)))
        + sum(select(none, vec4(0x100u, 0x200u, 0x400u, 0x800u), keys.c > vec4(key)))
        + sum(select(none, vec4(0x1000u, 0x2000u, 0x4000u, 0x8000u), keys.d > vec4(key)));
}

fn enlist(slot: u32, first: u32, bits: u32) -> u32 {
    var to = first;
    for (var left = bits; left != 0u; left &= left - 1u) {
        entries[to].y = at + lanes * (slot + firstTrailingBit(left));
        to++;
    }
    return to;
}

// Enlists the lane's positions of keys above this one from `first` on, behind those of the lanes before it; how many all have.
fn take(key: u32, first: u32) -> u32 {
    var low = above(keys0, key);
    var high = 0u;
    if (held > 16u) {
        low |= above(keys1, key) << 16u;
    }
    if (held > 32u) {
        high = above(keys2, key) | (above(keys3, key) << 16u);
    }
    let count = countOneBits(low) + countOneBits(high);
    let to = enlist(0u, first + subgroupExclusiveAdd(count), low);
    if (held > 32u) {
        enlist(32u, to, high);
    }
    return subgroupAdd(count);
}

// A key that as many groups of the lanes' keys have one not below as are wanted: the least of the groups' largest.
fn bound_of(most: vec4<u32>, wanted: u32) -> u32 {
    let halves = vec2(max(most.x, most.y), max(most.z, most.w));
    let bound = select(min(halves.x, halves.y), max(halves.x, halves.y), wanted <= lanes);
    let least = subgroupMin(select(min(min(most.x, most.y), min(most.z, most.w)), bound, wanted <= 2u * lanes));
    return select(1u, max(least, 1u), wanted <= 4u * lanes);
}

// Enlists the first k positions, in any order.
fn find(k: u32) {
    lanes = subgroupAdd(1u);
    let place = subgroupExclusiveAdd(1u);
    var wanted = k;
    var enlisted = 0u;
    var loaded = NONE;
    var task = select(BOUND, TAKE, wanted == segment.count);
    var tied = false;
    var equals = 0u; // then: the k-th key
    var low = 1u;    // `wanted` keys reach this one at least,
    var high = 1u;   // and fewer are above this one
    var all = task == TAKE; // no choice among equals is left
    loop {
        let step = (high - low) / 4u + 1u;
        let least = low + min(step * vec3(1u, 2u, 3u), vec3(high - low));
        var most = vec4(0u);
        var sums = vec2(0u);
        for (var begin = 0u; begin < segment.count; begin += lanes * held) {
            at = begin + place;
            if (begin != loaded) {
                loaded = begin;
                load_all();
                if (tied) {
                    all_equal(equals);
                }
            }
            if (task == COUNT) {
                sums += counts_of(least);
            } else if (task == BOUND) {
                most = max(most, largest(keys0));
                if (held > 16u) {
                    most = max(most, largest(keys1));
                }
                if (held > 32u) {
                    most = max(most, max(largest(keys2), largest(keys3)));
                }
            } else {
                enlisted += take(select(low, low - 1u, all), enlisted);
            }
        }
        if (task == TAKE) {
            if (all) {
                break;
            }
            equals = low;
            wanted = k - enlisted;
            tied = true;
            all = true; // no two have one index
            loaded = NONE;
            task = BOUND;
        } else if (task == BOUND) {
            high = subgroupMax(max(max(most.x, most.y), max(most.z, most.w)));
            low = bound_of(most, wanted);
            if (tied) {
                low = select(~(segment.begin + segment.count - 1u), SIGN, listed != 0u);
            }
            task = select(TAKE, COUNT, low < high);
        } else {
            let two = subgroupAdd(sums);
            let counts = vec3(two.x & 0xffffu, two.x >> 16u, two.y);
            let enough = counts >= vec3(wanted);
            low = select(low, least.x, enough.x);
            low = select(low, least.y, enough.y);
            low = select(low, least.z, enough.z);
            high = select(least.z - 1u, high, enough.z);
            high = select(least.y - 1u, high, enough.y);
            high = select(least.x - 1u, high, enough.x);
            all = all || any(counts == vec3(wanted));
            if (low == high || any(counts == vec3(wanted))) {
                task = TAKE;
            }
        }
    }
}

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
    if (subgroupAny(thread == 0u)) {
        find(k);
    }
    workgroupBarrier();
    let first = number * k;
    if (params.run == 0u) {
        for (var i = thread; i < k; i += threads) {
            let position = entries[i].y;
            values_out[first + i] = values_in[base + position];
            indices_out[first + i] = ~rank_index(position);
        }
        return;
    }
    var bits = 0u;
    var entry = PADDING;
    if (thread < k) {
        let position = entries[thread].y;
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
