// @import parts/kept.wgsl
// The cut of a TopK block by subgroups, in two barriers (a third where there are edits of site topk_out), with the results of
// parts/cut.wgsl bit for bit. Each subgroup finds the k-th key of the whole row by itself: two bits of it in each of 16 rounds, by counts
// of the keys that are at least as large as three others; usually seven or eight rounds are enough, as exactly k reach one of them. Its
// lanes hold the keys in registers where 32 each are enough; else they read the row anew. What is kept is stored by shares: a subgroup has
// as many of the row's indices, in one run, as it has of the workgroup's threads.
//
// Nothing is taken for granted of how large subgroups are, whether all are full, or which threads form one: lanes are counted, and a
// subgroup takes the next seats of the workgroup when it comes. Who computes what may differ from run to run, but not what. Every branch
// around an operation of subgroups is the same for all of its lanes. Workgroup memory: 4 bytes.

const HELD: u32 = 32u;

// Keys of the lane's entries, 0 where there are none: less than any. Each has a name and there is no loop over them: where a compiler does
// not unroll one (wgpu counts the turns of each), an array is in memory, and each of its keys is waited for.
var<private> held_0: vec4<u32>;
var<private> held_1: vec4<u32>;
var<private> held_2: vec4<u32>;
var<private> held_3: vec4<u32>;
var<private> held_4: vec4<u32>;
var<private> held_5: vec4<u32>;
var<private> held_6: vec4<u32>;
var<private> held_7: vec4<u32>;
var<workgroup> seats: atomic<u32>;

struct Team {
    size: u32,
    place: u32, // of this lane
    first: u32, // the run of indices that it stores
    until: u32,
}

fn seated() -> Team {
    let size = subgroupAdd(1u);
    let place = subgroupExclusiveAdd(1u);
    var seat = 0u;
    if (place == 0u) {
        seat = atomicAdd(&seats, size);
    }
    seat = subgroupBroadcastFirst(seat);
    return Team(size, place, seat * d_model / threads, (seat + size) * d_model / threads);
}

fn added(four: vec4<u32>) -> u32 {
    return four.x + four.y + four.z + four.w;
}

fn ones(which: vec4<bool>) -> vec4<u32> {
    return select(vec4(0u), vec4(1u), which);
}

// How many of four entries reach each of three keys: the first two packed.
fn reached(four: vec4<u32>, keys: vec3<u32>) -> vec2<u32> {
    return vec2(added(ones(four >= vec4(keys.x)) | (ones(four >= vec4(keys.y)) << vec4(16u))), added(ones(four >= vec4(keys.z))));
}

// How many entries of the row reach each of three keys.
fn reaching(base: u32, team: Team, keys: vec3<u32>) -> vec3<u32> {
    var sums = vec2(0u);
    if (team.size * HELD >= d_model) {
        sums = reached(held_0, keys) + reached(held_1, keys) + reached(held_2, keys) + reached(held_3, keys)
            + reached(held_4, keys) + reached(held_5, keys) + reached(held_6, keys) + reached(held_7, keys);
    } else {
        // Four at a time: an emulated device takes longer for a loop's step than for an entry.
        for (var i = team.place; i < d_model; i += 4u * team.size) {
            sums += reached(four_keys(base, i, team.size), keys);
        }
    }
    let two = subgroupAdd(sums.x);
    return vec3(two & 0xffffu, two >> 16u, subgroupAdd(sums.y));
}

// Of keys: 1 where one is above the k-th and active, 1 << 16 where it is that one. (Where keys have lost the sign that `topk_post`
// looks at, the list is counted anew.)
fn marks(four: vec4<u32>, last: u32) -> vec4<u32> {
    let is_active = select(four != vec4(SIGN), four > vec4(SIGN), post_relu != 0u);
    return ones((four > vec4(last)) & is_active) | (ones(four == vec4(last)) << vec4(16u));
}

fn key_at(base: u32, i: u32) -> u32 {
    return select(0u, order_key(hidden[base + min(i, d_model - 1u)]), i < d_model);
}

// Those `step` apart.
fn four_keys(base: u32, i: u32, step: u32) -> vec4<u32> {
    return vec4(key_at(base, i), key_at(base, i + step), key_at(base, i + 2u * step), key_at(base, i + 3u * step));
}

// The sum of the marks of those of four entries, `step` apart, that are before an index.
fn marked_before(four: vec4<u32>, i: u32, step: u32, first: u32, last: u32) -> u32 {
    return added(select(vec4(0u), marks(four, last), vec4(i) + step * vec4(0u, 1u, 2u, 3u) < vec4(first)));
}

// How many of so many are active, of those with the k-th key `wanted` at most.
fn active_of(sum: u32, wanted: u32, last: u32) -> u32 {
    return (sum & 0xffffu) + select(0u, min(wanted, sum >> 16u), ties_active(last));
}

// What is decided for all entries of a row.
struct Cut {
    last: u32,   // the k-th key, from the top
    wanted: u32, // how many entries with that key stay: those of the lowest indices
    list: u32,
    recount: bool,
}

// Stores an entry that has marks of so many before it, if it is there.
fn store(at: Cut, base: u32, i: u32, there: bool, bits: u32, sum: u32) {
    if (!there) {
        return;
    }
    let key = order_key(bits);
    let kept = key > at.last || (key == at.last && sum >> 16u < at.wanted);
    let result = select(0u, after_post(bits), kept);
    hidden[base + i] = result;
    if (!at.recount && is_nonzero(result)) {
        enlist(at.list, active_of(sum, at.wanted, at.last), i, result);
    }
}

// The indices begin .. end of the row have been stored by this thread.
fn cut(row: u32, begin: u32, end: u32, thread: u32) {
    let base = row * d_model;
    storageBarrier();
    let team = seated();
    let step = team.size;
    if (step * HELD >= d_model) {
        held_0 = four_keys(base, team.place, step);
        held_1 = four_keys(base, 4u * step + team.place, step);
        held_2 = four_keys(base, 8u * step + team.place, step);
        held_3 = four_keys(base, 12u * step + team.place, step);
        held_4 = four_keys(base, 16u * step + team.place, step);
        held_5 = four_keys(base, 20u * step + team.place, step);
        held_6 = four_keys(base, 24u * step + team.place, step);
        held_7 = four_keys(base, 28u * step + team.place, step);
    }
    var last = 0u;
    var over = 0u; // how many have a larger one
    for (var shift = 32u; shift > 0u && over < k;) {
        shift -= 2u;
        let keys = last + (1u << shift) * vec3(1u, 2u, 3u);
        let counts = reaching(base, team, keys);
        let digit = dot(select(vec3(0u), vec3(1u), counts >= vec3(k)), vec3(1u));
        if (digit < 3u) {
            over = counts[digit];
        }
        last += digit << shift;
        if (any(counts == vec3(k))) {
            // The k are those that reach that key, so none with the one below it is wanted.
            over = k;
            last = last - 1u;
        }
    }

    let first = team.first;
    var mine = 0u;
    if (step * HELD >= d_model) {
        mine = marked_before(held_0, team.place, step, first, last)
            + marked_before(held_1, 4u * step + team.place, step, first, last)
            + marked_before(held_2, 8u * step + team.place, step, first, last)
            + marked_before(held_3, 12u * step + team.place, step, first, last)
            + marked_before(held_4, 16u * step + team.place, step, first, last)
            + marked_before(held_5, 20u * step + team.place, step, first, last)
            + marked_before(held_6, 24u * step + team.place, step, first, last)
            + marked_before(held_7, 28u * step + team.place, step, first, last);
    } else {
        for (var i = team.place; i < first; i += 4u * step) {
            mine += marked_before(four_keys(base, i, step), i, step, first, last);
        }
    }
    var before = subgroupAdd(mine);
    let recount = recounts(); // by itself, so that it is seen to be the same for all
    let at = Cut(last, k - over, list_of(row), recount);
    storageBarrier(); // all have read what others overwrite now
    // A lane stores four in a row.
    for (var run = first; run < team.until; run += 4u * step) {
        let i = run + 4u * team.place;
        let four = vec4(base) + min(vec4(i) + vec4(0u, 1u, 2u, 3u), vec4(d_model - 1u));
        let bits = vec4(hidden[four.x], hidden[four.y], hidden[four.z], hidden[four.w]);
        let keys = vec4(order_key(bits.x), order_key(bits.y), order_key(bits.z), order_key(bits.w));
        let there = vec4(i) + vec4(0u, 1u, 2u, 3u) < vec4(team.until);
        let own = select(vec4(0u), marks(keys, last), there);
        let sum = before + subgroupExclusiveAdd(added(own));
        before += subgroupAdd(added(own));
        store(at, base, i, there.x, bits.x, sum);
        store(at, base, i + 1u, there.y, bits.y, sum + own.x);
        store(at, base, i + 2u, there.z, bits.z, sum + own.x + own.y);
        store(at, base, i + 3u, there.w, bits.w, sum + own.x + own.y + own.z);
    }
    var count = active_of(before, at.wanted, last);
    if (recount) {
        for (var run = first; run < team.until; run += 4u * step) {
            let i = run + 4u * team.place;
            edit_row(TOPK_OUT, row, 0u, 1u, i, min(i + 4u, team.until));
        }
        storageBarrier();
        mine = 0u;
        for (var i = team.place; i < first; i += step) {
            mine += select(0u, 1u, is_nonzero(hidden[base + i]));
        }
        count = subgroupAdd(mine);
        for (var run = first; run < team.until; run += step) {
            let i = run + team.place;
            let bits = select(0u, hidden[base + min(i, d_model - 1u)], i < team.until);
            let own = select(0u, 1u, is_nonzero(bits));
            let rank = count + subgroupExclusiveAdd(own);
            count += subgroupAdd(own);
            if (own == 1u) {
                enlist(at.list, rank, i, bits);
            }
        }
    }
    if (team.until == d_model && team.place == 0u) {
        end_list(at.list, count);
    }
}
