// @import parts/wide.wgsl
// Sums of 64-bit numbers, one of each thread, by groups of 16 threads, so that no thread adds up more than 32. Needs `threads`. Call in
// uniform control flow only; a barrier must be between a call of `sum_before` and the next one of either. Workgroup memory: 2.2 KiB.

var<workgroup> own_sums: array<vec2<u32>, 256>;
var<workgroup> group_sums: array<vec2<u32>, 16>;

fn publish(mine: vec2<u32>, thread: u32) {
    own_sums[thread] = mine;
    workgroupBarrier();
    if (16u * thread < threads) {
        group_sums[thread] = added(16u * thread, min(16u * thread + 16u, threads));
    }
    workgroupBarrier();
}

fn added(begin: u32, end: u32) -> vec2<u32> {
    var sum = vec2(0u);
    for (var other = begin; other < end; other++) {
        sum = wide_add(sum, own_sums[other]);
    }
    return sum;
}

fn of_groups(count: u32) -> vec2<u32> {
    var sum = vec2(0u);
    for (var group = 0u; group < count; group++) {
        sum = wide_add(sum, group_sums[group]);
    }
    return sum;
}

// Of all threads.
fn sum_of_all(mine: vec2<u32>, thread: u32) -> vec2<u32> {
    publish(mine, thread);
    return of_groups((threads + 15u) / 16u);
}

// Of the threads before this one.
fn sum_before(mine: vec2<u32>, thread: u32) -> vec2<u32> {
    publish(mine, thread);
    return wide_add(of_groups(thread / 16u), added(thread / 16u * 16u, thread));
}
