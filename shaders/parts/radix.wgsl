// Radix select, for any k: a histogram of 11 bits of the entries at a time, from the top, narrows down which entry is the k-th.
// Entries are composite: the 32 bits of the key, then those of ~place, so that ties end at the right place. When all entries that
// share the bits found so far are wanted, the rest is skipped: usually after two or three histograms.
// Needs parts/order.wgsl, `threads`, and fn row_key(i), the key at place i of the row. Workgroup memory: 9.1 KiB.

const DIGIT_BITS: u32 = 11u;
const BINS: u32 = 2048u;

var<workgroup> histogram: array<atomic<u32>, 2048>;
var<workgroup> chunk_sums: array<u32, 256>; // of the BINS / threads bins that belong to a thread
var<workgroup> found: vec3<u32>;            // the bin with the k-th entry, how many of its entries are wanted, how many it has

// The smallest packed entry (key, ~place) that is kept when the first k of n places (1 <= k <= n) are.
fn radix_select(n: u32, k: u32, thread: u32) -> vec2<u32> {
    var prefix = vec2(0u); // the bits found so far; the others are 0
    var known = vec2(0u);  // mask of the bits found so far
    var wanted = k;
    // Above the bits that places need, all of ~place is ones.
    let place_bits = 32u - countLeadingZeros(n);
    for (var digit = 0u; digit < 6u; digit++) {
        var word = 0u;
        var width = min(DIGIT_BITS, 32u - DIGIT_BITS * digit);
        var shift = 32u - DIGIT_BITS * digit - width;
        if (digit >= 3u) {
            word = 1u;
            let done = DIGIT_BITS * (digit - 3u);
            if (done >= place_bits) {
                break;
            }
            width = min(DIGIT_BITS, place_bits - done);
            shift = place_bits - done - width;
        }
        if (digit == 3u) {
            known.y = ~((1u << place_bits) - 1u);
            prefix.y = known.y;
        }
        count_digit(n, prefix, known, word, shift, (1u << width) - 1u, thread);
        let bin = find_bin(wanted, thread);
        prefix[word] |= bin.x << shift;
        known[word] |= ((1u << width) - 1u) << shift;
        wanted = bin.y;
        if (bin.y == bin.z) {
            break;
        }
    }
    return prefix;
}

// Histogram of `mask` << shift of word `word` of the entries that agree with the prefix.
fn count_digit(n: u32, prefix: vec2<u32>, known: vec2<u32>, word: u32, shift: u32, mask: u32, thread: u32) {
    for (var bin = thread; bin < BINS; bin += threads) {
        atomicStore(&histogram[bin], 0u);
    }
    workgroupBarrier();
    for (var i = thread; i < n; i += threads) {
        let entry = vec2(row_key(i), ~i);
        if (all((entry & known) == prefix)) {
            atomicAdd(&histogram[(select(entry.x, entry.y, word == 1u) >> shift) & mask], 1u);
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
    chunk_sums[thread] = sum;
    workgroupBarrier();
    var above = 0u;
    for (var other = 0u; other < thread; other++) {
        above += chunk_sums[other];
    }
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
