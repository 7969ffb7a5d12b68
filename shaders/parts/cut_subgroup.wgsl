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

var<private> held: array<u32, 32>; // keys of the lane's entries, 0 where there are none: less than any
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

// 1 for each of three keys that is not above this one: the first two packed.
fn reached(key: u32, keys: vec3<u32>) -> vec2<u32> {
    return vec2(select(0u, 1u, key >= keys.x) | select(0u, 0x10000u, key >= keys.y), select(0u, 1u, key >= keys.z));
}

// How many entries of the row reach each of three keys.
fn reaching(base: u32, team: Team, keys: vec3<u32>) -> vec3<u32> {
    var sums = vec2(0u);
    if (team.size * HELD >= d_model) {
        for (var slot = 0u; slot < HELD; slot++) {
            sums += reached(held[slot], keys);
        }
    } else {
        // Four at a time: an emulated device takes longer for a loop's step than for an entry.
        let step = team.size;
        var i = team.place;
        for (; i + 3u * step < d_model; i += 4u * step) {
            let at = base + i;
            sums += reached(order_key(hidden[at]), keys);
            sums += reached(order_key(hidden[at + step]), keys);
            sums += reached(order_key(hidden[at + 2u * step]), keys);
            sums += reached(order_key(hidden[at + 3u * step]), keys);
        }
        for (; i < d_model; i += step) {
            sums += reached(order_key(hidden[base + i]), keys);
        }
    }
    let two = subgroupAdd(sums.x);
    return vec3(two & 0xffffu, two >> 16u, subgroupAdd(sums.y));
}

// Of a key: 1 where it is above the k-th one and active, 1 << 16 where it is that one. (Where keys have lost the sign that `topk_post`
// looks at, the list is counted anew.)
fn marks(key: u32, last: u32) -> u32 {
    let is_active = select(key != SIGN, key > SIGN, post_relu != 0u);
    return select(0u, 1u, key > last && is_active) | select(0u, 0x10000u, key == last);
}

fn key_at(base: u32, i: u32) -> u32 {
    return select(0u, order_key(hidden[base + min(i, d_model - 1u)]), i < d_model);
}

// How many of so many are active, of those with the k-th key `wanted` at most.
fn active_of(sum: u32, wanted: u32, last: u32) -> u32 {
    return (sum & 0xffffu) + select(0u, min(wanted, sum >> 16u), ties_active(last));
}

// The indices begin .. end of the row have been stored by this thread.
fn cut(row: u32, begin: u32, end: u32, thread: u32) {
    let base = row * d_model;
    storageBarrier();
    let team = seated();
    if (team.size * HELD >= d_model) {
        // Eight are asked for at once: one after the other, each would wait for memory as long as all of them.
        for (var slot = 0u; slot < HELD; slot += 8u) {
            let i = slot * team.size + team.place;
            let a = key_at(base, i);
            let b = key_at(base, i + team.size);
            let c = key_at(base, i + 2u * team.size);
            let d = key_at(base, i + 3u * team.size);
            let e = key_at(base, i + 4u * team.size);
            let f = key_at(base, i + 5u * team.size);
            let g = key_at(base, i + 6u * team.size);
            let h = key_at(base, i + 7u * team.size);
            held[slot] = a;
            held[slot + 1u] = b;
            held[slot + 2u] = c;
            held[slot + 3u] = d;
            held[slot + 4u] = e;
            held[slot + 5u] = f;
            held[slot + 6u] = g;
            held[slot + 7u] = h;
        }
    }
    var last = 0u; // the k-th key, from the top
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
    let wanted = k - over; // how many entries with the k-th key stay: those of the lowest indices

    var mine = 0u;
    if (team.size * HELD >= d_model) {
        for (var slot = 0u; slot < HELD; slot++) {
            mine += select(0u, marks(held[slot], last), slot * team.size + team.place < team.first);
        }
    } else {
        for (var i = team.place; i < team.first; i += team.size) {
            mine += marks(order_key(hidden[base + i]), last);
        }
    }
    var before = subgroupAdd(mine);
    let recount = recounts();
    let list = list_of(row);
    storageBarrier(); // all have read what others overwrite now
    for (var at = team.first; at < team.until; at += team.size) {
        let i = at + team.place;
        let there = i < team.until;
        var bits = 0u;
        var own = 0u;
        if (there) {
            bits = hidden[base + i];
            own = marks(order_key(bits), last);
        }
        let sum = before + subgroupExclusiveAdd(own);
        before += subgroupAdd(own);
        if (there) {
            let key = order_key(bits);
            let kept = key > last || (key == last && sum >> 16u < wanted);
            let result = select(0u, after_post(bits), kept);
            hidden[base + i] = result;
            if (!recount && is_nonzero(result)) {
                enlist(list, active_of(sum, wanted, last), i, result);
            }
        }
    }
    var count = active_of(before, wanted, last);
    if (recount) {
        edit_row(TOPK_OUT, row, (team.first + team.place) % team.size, team.size, team.first, team.until);
        storageBarrier();
        mine = 0u;
        for (var i = team.place; i < team.first; i += team.size) {
            mine += select(0u, 1u, is_nonzero(hidden[base + i]));
        }
        count = subgroupAdd(mine);
        for (var at = team.first; at < team.until; at += team.size) {
            let i = at + team.place;
            var bits = 0u;
            if (i < team.until) {
                bits = hidden[base + i];
            }
            let own = select(0u, 1u, is_nonzero(bits));
            let rank = count + subgroupExclusiveAdd(own);
            count += subgroupAdd(own);
            if (own == 1u) {
                enlist(list, rank, i, bits);
            }
        }
    }
    if (team.until == d_model && team.place == 0u) {
        end_list(list, count);
    }
}
