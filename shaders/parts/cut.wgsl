// @import parts/kept.wgsl
// The cut of a TopK block, for any k below d_model, in four barriers (a fifth where there are edits of site topk_out). Needs
// parts/residual.wgsl and its needs. Keys are found by radix: 11, 11 and 10 bits of them at a time, counted in workgroup memory; every
// thread then reads the same counts, the coarse ones (32 bins each) first, and so knows the bin of the k-th without another barrier.
//
// Kept entries get `topk_post`, the others 0; then the edits of site topk_out; then the entries that are not zero are listed, index
// ascending: each thread has a run of indices, and counts what stays of it before the last barrier. Workgroup memory: 12.9 KiB.

var<workgroup> coarse: array<atomic<u32>, 160>; // 64 + 64 + 32 bins of the three digits
var<workgroup> fine: array<atomic<u32>, 2560>;  // 2048 + 2048 + 1024 bins, two to a word
var<workgroup> counts: array<u32, 512>;         // by thread; the second half for the second count
var<workgroup> group_counts: array<atomic<u32>, 32>; // of 16 threads

fn tally(digit: u32, value: u32) {
    atomicAdd(&coarse[64u * digit + value / 32u], 1u);
    atomicAdd(&fine[1024u * digit + value / 2u], 1u << (16u * (value % 2u)));
}

// From the highest bin of a digit down: (the first at which the count reaches `wanted`, how many of it are wanted).
fn bin_of(digit: u32, bins: u32, wanted: u32) -> vec2<u32> {
    var left = wanted;
    var chunk = 0u;
    var found = false;
    for (var at = bins / 32u; at > 0u; at--) {
        let count = atomicLoad(&coarse[64u * digit + at - 1u]);
        if (!found && count >= left) {
            chunk = at - 1u;
            found = true;
        }
        left -= select(count, 0u, found);
    }
    var bin = 0u;
    found = false;
    for (var at = 32u; at > 0u; at--) {
        let candidate = 32u * chunk + at - 1u;
        let count = (atomicLoad(&fine[1024u * digit + candidate / 2u]) >> (16u * (candidate % 2u))) & 0xffffu;
        if (!found && count >= left) {
            bin = candidate;
            found = true;
        }
        left -= select(count, 0u, found);
    }
    return vec2(bin, left);
}

// Publishes a thread's count; gives the sum of those of the threads before it. Two counts of 16 bits may be packed.
fn sum_before(number: u32, count: u32, thread: u32) -> u32 {
    counts[256u * number + thread] = count;
    atomicAdd(&group_counts[16u * number + thread / 16u], count);
    workgroupBarrier();
    var sum = 0u;
    for (var group = 0u; group < thread / 16u; group++) {
        sum += atomicLoad(&group_counts[16u * number + group]);
    }
    for (var other = thread / 16u * 16u; other < thread; other++) {
        sum += counts[256u * number + other];
    }
    return sum;
}

// The indices begin .. end of the row are this thread's alone.
fn cut(row: u32, begin: u32, end: u32, thread: u32) {
    let base = row * d_model;
    for (var i = begin; i < end; i++) {
        tally(0u, order_key(hidden[base + i]) >> 21u);
    }
    workgroupBarrier();
    let first = bin_of(0u, 2048u, k);
    for (var i = begin; i < end; i++) {
        let key = order_key(hidden[base + i]);
        if (key >> 21u == first.x) {
            tally(1u, (key >> 10u) & 2047u);
        }
    }
    workgroupBarrier();
    let second = bin_of(1u, 2048u, first.y);
    let high = (first.x << 11u) | second.x;
    for (var i = begin; i < end; i++) {
        let key = order_key(hidden[base + i]);
        if (key >> 10u == high) {
            tally(2u, key & 1023u);
        }
    }
    workgroupBarrier();
    let third = bin_of(2u, 1024u, second.y);
    let last = (high << 10u) | third.x; // the k-th key
    let wanted = third.y;               // how many entries with it stay: those of the lowest indices

    var above = 0u;
    var ties = 0u;
    for (var i = begin; i < end; i++) {
        let bits = hidden[base + i];
        let key = order_key(bits);
        above += select(0u, 1u, key > last && is_nonzero(after_post(bits)));
        ties += select(0u, 1u, key == last);
    }
    let before = sum_before(0u, above | (ties << 16u), thread);
    let ties_kept = min(wanted, before >> 16u);
    var rank = (before & 0xffffu) + select(0u, ties_kept, ties_active(last));
    var left = wanted - ties_kept;
    let recount = recounts();
    let list = list_of(row);
    for (var i = begin; i < end; i++) {
        let bits = hidden[base + i];
        let key = order_key(bits);
        var kept = key > last;
        if (key == last && left > 0u) {
            kept = true;
            left--;
        }
        let result = select(0u, after_post(bits), kept);
        hidden[base + i] = result;
        if (!recount && is_nonzero(result)) {
            enlist(list, rank, i, result);
            rank++;
        }
    }
    if (recount) {
        edit_row(TOPK_OUT, row, 0u, 1u, begin, end);
        var listed = 0u;
        for (var i = begin; i < end; i++) {
            listed += select(0u, 1u, is_nonzero(hidden[base + i]));
        }
        rank = sum_before(1u, listed, thread);
        for (var i = begin; i < end; i++) {
            let bits = hidden[base + i];
            if (is_nonzero(bits)) {
                enlist(list, rank, i, bits);
                rank++;
            }
        }
    }
    if (thread == threads - 1u) {
        end_list(list, rank);
    }
}
