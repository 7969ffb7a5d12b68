// The keys that a lane holds in registers: every so many of a part of a segment, or of what its parts have found. All are written out, as a
// loop over an array could end up in memory. Needs order.wgsl, segment.wgsl, `values_in`, `indices_in`, `listed` and an array `found`.

override held: u32 = 32u; // keys of a lane: 16, 32 or 64

const FIRST_COUNT: u32 = 1023u; // three counts in a word

struct Keys {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

var<private> base: u32; // of the segment in `values_in`
var<private> segment: Segment;
var<private> part: vec2<u32>; // where it begins in the segment, and how many it has
var<private> again: bool; // what is chosen from is in `found`
var<private> lanes: u32;
var<private> place: u32; // among the lanes
var<private> at: u32; // position of the lane's first key
var<private> keys0: Keys;
var<private> keys1: Keys;
var<private> keys2: Keys;
var<private> keys3: Keys;

// Whether a lane has more keys than this.
fn more(than: u32) -> bool {
    return (held > than) & (part.y > than * lanes);
}

fn places(slot: u32) -> vec4<u32> {
    return at + lanes * (slot + vec4(0u, 1u, 2u, 3u));
}

// In the segment, of the lane's four keys from this one on.
fn positions(slot: u32) -> vec4<u32> {
    let i = min(places(slot), vec4(part.y - 1u));
    if (again) {
        return vec4(found[i.x], found[i.y], found[i.z], found[i.w]);
    }
    return part.x + i;
}

fn bits_of(slot: u32) -> vec4<u32> {
    let i = base + positions(slot);
    return vec4(values_in[i.x], values_in[i.y], values_in[i.z], values_in[i.w]);
}

fn load(slot: u32) -> Keys {
    return Keys(bits_of(slot), bits_of(slot + 4u), bits_of(slot + 8u), bits_of(slot + 12u));
}

// Keys of bits; 0, less than any, where there are none.
fn four_keys(bits: vec4<u32>, slot: u32) -> vec4<u32> {
    let keys = vec4(order_key(bits.x), order_key(bits.y), order_key(bits.z), order_key(bits.w));
    return select(vec4(0u), keys, places(slot) < vec4(part.y));
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
    if (more(16u)) {
        keys1 = load(16u);
    }
    if (more(32u)) {
        keys2 = load(32u);
        keys3 = load(48u);
    }
    keys0 = as_keys(keys0, 0u);
    if (more(16u)) {
        keys1 = as_keys(keys1, 16u);
    }
    if (more(32u)) {
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
    let i = positions(slot);
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
    if (more(16u)) {
        keys1 = equal(keys1, 16u, key);
    }
    if (more(32u)) {
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
    if (more(16u)) {
        each += reach(keys1, least);
    }
    if (more(32u)) {
        each += reach(keys2, least) + reach(keys3, least);
    }
    let counts = sum(each);
    return vec2((counts & FIRST_COUNT) | (((counts >> 10u) & FIRST_COUNT) << 16u), counts >> 20u);
}

// A bit for each of these that is above a key.
fn above(keys: Keys, key: u32) -> u32 {
    let none = vec4(0u);
    return sum(select(none, vec4(0x1u, 0x2u, 0x4u, 0x8u), keys.a > vec4(key)))
        + sum(select(none, vec4(0x10u, 0x20u, 0x40u, 0x80u), keys.b > vec4(key)))
        + sum(select(none, vec4(0x100u, 0x200u, 0x400u, 0x800u), keys.c > vec4(key)))
        + sum(select(none, vec4(0x1000u, 0x2000u, 0x4000u, 0x8000u), keys.d > vec4(key)));
}
