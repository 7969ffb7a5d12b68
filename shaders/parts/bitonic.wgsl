// Bitonic select, for k up to 128: a sorted queue of the best entries and a tile of candidates that beat its last one. A full
// tile is sorted and merged into the queue. `entries` holds the queue, then the tile, as (key, ~position).
// Needs order.wgsl, bitonic_merge.wgsl, `threads` and fn row_key(i), the key at position i of the row. Positions with equal keys must lie
// in ranking, so that a later one never beats an earlier one.
//
// Workgroup memory: 3 KiB. Barriers are what costs here, so a lower bound of the k-th key, from maxima of groups of entries, keeps
// the candidates few: usually all fit one small tile, and one sort is all.

const QUEUE: u32 = 128u;     // room for the queue
const TILE_ROOM: u32 = 256u; // candidates at most, a power of two
const SPREAD: u32 = 2u;      // groups whose maxima are taken, per entry of the queue; they fit the tile
const REACH: u32 = 256u;     // parts into which the range of the maxima is divided to find the k-th of them

var<workgroup> entries: array<vec2<u32>, 384>; // QUEUE + TILE_ROOM

var<workgroup> appended: atomic<u32>;
var<workgroup> bound: atomic<u32>;
var<workgroup> smallest: atomic<u32>;
var<workgroup> largest: atomic<u32>;
var<workgroup> common_word: u32; // what workgroupUniformLoad spreads

fn power_of_two_from(n: u32) -> u32 {
    return 1u << (32u - countLeadingZeros(max(n, 1u) - 1u));
}

// Makes queue[0 .. k) the first k of the n values, in ranking (padding where n < k).
fn bitonic_select(n: u32, k: u32, thread: u32) {
    let queue = power_of_two_from(k);
    for (var i = thread; i < queue; i += threads) {
        entries[i] = PADDING;
    }
    var floor_key = lower_bound(n, k, queue, thread);
    var filled = false;
    var chunk = n;
    var next = 0u;
    while (next < n) {
        let end = min(n, next + chunk);
        for (var i = next + thread; i < end; i += threads) {
            let key = row_key(i);
            if (key > floor_key) {
                let slot = atomicAdd(&appended, 1u);
                if (slot < TILE_ROOM) {
                    entries[QUEUE + slot] = vec2(key, ~i);
                }
            }
        }
        let count = spread_count(thread);
        if (count > TILE_ROOM) {
            chunk = TILE_ROOM; // again, in chunks that fit whatever they hold
        } else {
            next = end;
            if (count > 0u) {
                merge_tile(queue, count, filled, thread);
                filled = true;
                if (next < n) {
                    floor_key = max(floor_key, spread_word(entries[k - 1u].x, thread));
                }
            }
        }
    }
}

// How many were appended, once all have appended; the count begins anew.
fn spread_count(thread: u32) -> u32 {
    workgroupBarrier();
    if (thread == 0u) {
        common_word = atomicExchange(&appended, 0u);
    }
    return workgroupUniformLoad(&common_word);
}

// The word of thread 0.
fn spread_word(word: u32, thread: u32) -> u32 {
    if (thread == 0u) {
        common_word = word;
    }
    return workgroupUniformLoad(&common_word);
}

// At least k of the n values (or all) have keys greater than the result: the rest need not be looked at.
// It is just below the k-th of the maxima of the groups, or a little lower.
fn lower_bound(n: u32, k: u32, queue: u32, thread: u32) -> u32 {
    let groups = max(SPREAD * queue, threads);
    if (thread == 0u) {
        atomicStore(&appended, 0u);
        atomicStore(&bound, 0u);
        atomicStore(&smallest, 0xffffffffu);
        atomicStore(&largest, 0u);
    }
    workgroupBarrier();
    if (n < 2u * groups) {
        return 0u;
    }
    for (var group = thread; group < groups; group += threads) {
        var best = 0u;
        for (var i = group; i < n; i += groups) {
            best = max(best, row_key(i));
        }
        entries[QUEUE + group].x = best;
        atomicMin(&smallest, best);
        atomicMax(&largest, best);
    }
    workgroupBarrier();
    // Each thread tries one key between the smallest and the largest maximum; where threads are few, more rounds refine.
    var low = atomicLoad(&smallest);
    var width = (atomicLoad(&largest) - low) / threads;
    for (var parts = 1u; parts < REACH; parts *= threads) {
        let pivot = low + width * thread;
        var above = 0u;
        for (var group = 0u; group < groups; group++) {
            above += select(0u, 1u, entries[QUEUE + group].x >= pivot);
        }
        if (above >= k) {
            atomicMax(&bound, pivot);
        }
        workgroupBarrier();
        low = atomicLoad(&bound);
        width /= threads;
        workgroupBarrier();
    }
    return low - 1u;
}

// Puts the first of the tile's candidates into the empty queue: the place of each is the number of those that precede it. One barrier
// instead of a sort's twelve or more; where threads are few, the sort is faster.
fn rank_tile(queue: u32, count: u32, thread: u32) {
    for (var i = thread; i < count; i += threads) {
        let entry = entries[QUEUE + i];
        var place = 0u;
        for (var other = 0u; other < count; other++) {
            place += select(0u, 1u, precedes(entries[QUEUE + other], entry));
        }
        if (place < queue) {
            entries[place] = entry;
        }
    }
    workgroupBarrier();
}

// Sorts the tile's candidates and merges them into the queue.
fn merge_tile(queue: u32, count: u32, filled: bool, thread: u32) {
    if (!filled && count <= threads / 2u) {
        rank_tile(queue, count, thread);
        return;
    }
    let size = power_of_two_from(max(count, queue));
    for (var i = count + thread; i < size; i += threads) {
        entries[QUEUE + i] = PADDING;
    }
    workgroupBarrier();
    for (var run = 2u; run <= size; run *= 2u) {
        bitonic_merge(QUEUE, size, run, 0u, thread);
    }
    for (var i = thread; i < queue; i += threads) {
        let ours = entries[i];
        let theirs = entries[QUEUE + select(i, queue - 1u - i, filled)];
        if (precedes(theirs, ours)) {
            entries[i] = theirs;
        }
    }
    workgroupBarrier();
    if (filled) {
        bitonic_merge(0u, queue, 2u * queue, 0u, thread);
    }
}
