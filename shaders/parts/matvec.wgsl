// @import parts/linear.wgsl
// @import parts/row_stats.wgsl
// Linear op for few rows (decoding): one workgroup of 256 threads makes 16 output pairs of one row. Thread (split, lane)
// sums every 16th input for pair `lane`, so 16 neighbouring threads read 64 (f16) or 128 (f32) bytes in a row of weights;
// the 16 splits meet in 2 KiB of workgroup memory. The row itself comes from the cache. Grid: (pairs / 16, rows).

var<workgroup> partials: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    let pair = group.x * 16u + thread % 16u;
    let stats = row_stats(row, thread);
    var sum = vec2<f32>(0.0);
    if (2u * pair < n_outputs) {
        for (var i = thread / 16u; i < n_inputs; i += 16u) {
            sum += normed(source[row * n_inputs + i], i, stats) * weight_pair(i, pair);
        }
    }
    partials[thread] = sum;
    workgroupBarrier();
    if (thread < 16u) {
        for (var split = 1u; split < 16u; split++) {
            sum += partials[split * 16u + thread];
        }
        finish(row, pair, sum);
    }
}
