// @import parts/bins.wgsl
// Radix select, for any k: a histogram of 8 bits of the entries at a time, from the top, narrows down which entry is the k-th.
// Entries are composite: the 32 bits of the key, then those of ~position, so that ties end at the right position. When all entries that
// share the bits found so far are wanted, the rest is skipped: usually after two or three histograms.
// Needs order.wgsl, `threads`, and fn row_entry(i), the packed entry of the i-th value. Workgroup memory: 3.2 KiB.

// The smallest packed entry (key, ~position) that is kept when the first k of n values (1 <= k <= n) are.
fn radix_select(n: u32, k: u32, thread: u32) -> vec2<u32> {
    var prefix = vec2(0u); // the bits found so far; the others are 0
    var known = vec2(0u);  // mask of the bits found so far
    var wanted = k;
    for (var digit = 0u; digit < 8u; digit++) {
        let word = digit / 4u;
        let shift = 24u - 8u * (digit % 4u);
        count_digit(n, prefix, known, word, shift, thread);
        let bin = find_bin(wanted, thread);
        prefix[word] |= bin.x << shift;
        known[word] |= (BINS - 1u) << shift;
        wanted = bin.y;
        if (bin.y == bin.z) {
            break;
        }
    }
    return prefix;
}

// Histogram of the 8 bits from `shift` on of word `word` (0 key, 1 ~position) of the entries that agree with the prefix.
fn count_digit(n: u32, prefix: vec2<u32>, known: vec2<u32>, word: u32, shift: u32, thread: u32) {
    for (var bin = thread; bin < BINS; bin += threads) {
        atomicStore(&histogram[bin], 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < n; i += threads) {
        let entry = row_entry(i);
        if (all((entry & known) == prefix)) {
            atomicAdd(&histogram[(select(entry.x, entry.y, word == 1u) >> shift) & (BINS - 1u)], 1u);
        }
    }
    workgroupBarrier();
}
