// The first k of a part of a segment, by one subgroup without a barrier: the range of the k-th key is narrowed to a quarter a round by
// counting the keys that reach three others; a round usually has exactly k that do, which ends it. Where the k-th key has equals some of
// which stay out, they are chosen likewise by index. Needs lanes_keys.wgsl.

// What a round does with the keys.
const BOUND: u32 = 0u;
const COUNT: u32 = 1u;
const TAKE: u32 = 2u;

fn enlist(slot: u32, first: u32, bits: u32) -> u32 {
    var to = first;
    for (var left = bits; left != 0u; left &= left - 1u) {
        let i = at + lanes * (slot + firstTrailingBit(left));
        if (again) {
            found[to] = found[i];
        } else {
            found[to] = part.x + i;
        }
        to++;
    }
    return to;
}

// Enlists the lane's positions of keys above this one from `first` on, behind those of the lanes before it; how many all have.
fn take(key: u32, first: u32) -> u32 {
    var low = above(keys0, key);
    var high = 0u;
    if (more(16u)) {
        low |= above(keys1, key) << 16u;
    }
    if (more(32u)) {
        high = above(keys2, key) | (above(keys3, key) << 16u);
    }
    let count = countOneBits(low) + countOneBits(high);
    let all = subgroupAdd(count);
    let to = enlist(0u, first + subgroupExclusiveAdd(count), low);
    if (more(32u)) {
        enlist(32u, to, high);
    }
    return all;
}

// A key that as many groups of the lanes' keys have one not below as are wanted: the least of the groups' largest.
fn bound_of(most: vec4<u32>, wanted: u32) -> u32 {
    let halves = vec2(max(most.x, most.y), max(most.z, most.w));
    let bound = select(min(halves.x, halves.y), max(halves.x, halves.y), wanted <= lanes);
    let least = subgroupMin(select(min(min(most.x, most.y), min(most.z, most.w)), bound, wanted <= 2u * lanes));
    return select(1u, max(least, 1u), wanted <= 4u * lanes);
}

// Enlists the first k positions of the part from `first` on, in any order.
fn find(k: u32, first: u32) {
    var wanted = k;
    var enlisted = 0u;
    var loaded = part.y; // which block, none as yet
    var task = select(BOUND, TAKE, wanted == part.y);
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
        for (var begin = 0u; begin < part.y; begin += lanes * held) {
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
                if (more(16u)) {
                    most = max(most, largest(keys1));
                }
                if (more(32u)) {
                    most = max(most, max(largest(keys2), largest(keys3)));
                }
            } else {
                enlisted += take(select(low, low - 1u, all), first + enlisted);
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
            loaded = part.y;
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
