// @import parts/scan.wgsl
// Of the packed entries up to `last`, in ranking: the first at which the sum of a measure (1 each, or the mass), its own included,
// is greater than a given number. Radix descent by 8 bits at a time over the composite (key, ~index), with 64-bit sums.
// Needs order.wgsl, exp.wgsl, `threads`, fn entry_of(i) -> packed entry and fn weight_of(i) -> bits of its weight.
// Workgroup memory: 5.2 KiB.

var<workgroup> bin_low: array<atomic<u32>, 256>;   // sums of the measure by bin, low words
var<workgroup> bin_high: array<atomic<u32>, 256>;  // high words
var<workgroup> bin_count: array<atomic<u32>, 256>; // how many entries
var<workgroup> found: vec4<u32>;                   // the bin, its count, what of the target is left (low, high)

// The entry found: the only one up to `last` that agrees with the known bits.
struct Descent {
    prefix: vec2<u32>, // its known bits; the others are 0
    known: vec2<u32>,  // mask of the known bits
    last: vec2<u32>,
}

fn is_found(at: Descent, entry: vec2<u32>) -> bool {
    return all((entry & at.known) == at.prefix) && !precedes(at.last, entry);
}

// What `last` becomes when everything after the entry found is cut off.
fn cut_after(at: Descent) -> vec2<u32> {
    return select(at.last, at.prefix, precedes(at.prefix, at.last));
}

fn measure_of(i: u32, by_mass: bool) -> vec2<u32> {
    if (by_mass) {
        return mass_of(weight_of(i));
    }
    return vec2(1u, 0u);
}

fn descend(n: u32, by_mass: bool, last: vec2<u32>, target_sum: vec2<u32>, thread: u32) -> Descent {
    var at = Descent(vec2(0u), vec2(0u), last);
    var left = target_sum;
    for (var digit = 0u; digit < 8u; digit++) {
        let word = digit / 4u;
        let shift = 24u - 8u * (digit % 4u);
        for (var bin = thread; bin < 256u; bin += threads) {
            atomicStore(&bin_low[bin], 0u);
            atomicStore(&bin_high[bin], 0u);
            atomicStore(&bin_count[bin], 0u);
        }
        workgroupBarrier();
        for (var i = thread; i < n; i += threads) {
            let entry = entry_of(i);
            if (is_found(at, entry)) {
                let bin = (select(entry.x, entry.y, word == 1u) >> shift) & 255u;
                let measure = measure_of(i, by_mass);
                let before = atomicAdd(&bin_low[bin], measure.x);
                atomicAdd(&bin_high[bin], measure.y + select(0u, 1u, before + measure.x < before));
                atomicAdd(&bin_count[bin], 1u);
            }
        }
        workgroupBarrier();
        let bin = find_bin(left, thread);
        at.prefix[word] |= bin.x << shift;
        at.known[word] |= 255u << shift;
        left = bin.zw;
        if (bin.y <= 1u) {
            break;
        }
    }
    return at;
}

fn bin_sum(bin: u32) -> vec2<u32> {
    return vec2(atomicLoad(&bin_low[bin]), atomicLoad(&bin_high[bin]));
}

// From the highest bin down: the first at which the sum is greater than the target; what is above it is taken off.
fn find_bin(target_sum: vec2<u32>, thread: u32) -> vec4<u32> {
    let chunk = 256u / threads;
    let top = 256u - chunk * thread; // this thread's bins are [top - chunk, top)
    var sum = vec2(0u);
    for (var bin = 0u; bin < chunk; bin++) {
        sum = wide_add(sum, bin_sum(top - 1u - bin));
    }
    var above = sum_before(sum, thread);
    if (!wide_greater(above, target_sum) && wide_greater(wide_add(above, sum), target_sum)) {
        for (var bin = 0u; bin < chunk; bin++) {
            let next = wide_add(above, bin_sum(top - 1u - bin));
            if (wide_greater(next, target_sum)) {
                let left = wide_subtract(target_sum, above);
                found = vec4(top - 1u - bin, atomicLoad(&bin_count[top - 1u - bin]), left);
                break;
            }
            above = next;
        }
    }
    return workgroupUniformLoad(&found);
}
