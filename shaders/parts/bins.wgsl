// @import parts/scan.wgsl
// A histogram of 256 bins, and the bin of the k-th entry from the top. Needs `threads`. Workgroup memory: 3.2 KiB.

const BINS: u32 = 256u;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> found: vec3<u32>; // the bin with the k-th entry, how many of its entries are wanted, how many it has

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
