// @import parts/scan.wgsl
// Radix select, for any k: a histogram of 8 bits of the entries at a time, from the top, narrows down which entry is the k-th.
// Entries are composite: the 32 bits of the key, then those of ~position, so that ties end at the right position. When all entries that
// share the bits found so far are wanted, the rest is skipped: usually after two or three histograms.
// Needs order.wgsl, `threads`, and fn row_key(i), the key at position i of the row. Workgroup memory: 3.2 KiB.

const BINS: u32 = 256u;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec3<u32>; // the bin with the k-th entry, how many of its entries are wanted, how many it has

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
        let entry = vec2(row_key(i), ~i);
        if (all((entry & known) == prefix)) {
            atomicAdd(&histogram[(select(entry.x, entry.y, word == 1u) >> shift) & (BINS - 1u)], 1u);
        }
    }
    workgroupBarrier();
}

// From the highest bin down: the first at which the count reaches `wanted`.
fn find_bin(wanted: u32, thread: u32) -> vec3<u32> {
    let chunk = BINS / threads;
    let top = BINS - chunk * thread; // this thread's bins are [top - chunk, top)
    var sum = 0u;
    for (var bin = 0u; bin < chunk; bin++) {
        sum += atomicLoad(&histogram[top - 1u - bin]);
    }
    var above = sum_before(vec2(sum, 0u), thread).x;
    if (above < wanted && above + sum >= wanted) {
        for (var bin = top - 1u;; bin--) {
            let count = atomicLoad(&histogram[bin]);
            if (above + count >= wanted) {
                found = vec3(bin, wanted - above, count);
                break;
            }
            above += count;
        }
    }
    return workgroupUniformLoad(&found);
}
