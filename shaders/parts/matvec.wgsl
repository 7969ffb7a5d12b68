// @import parts/linear.wgsl
// @import parts/row_stats.wgsl
// @import parts/terms.wgsl
// Linear op for few rows (decoding): one workgroup of 256 threads makes 16 output pairs of one row, as parts/terms.wgsl says; the 16
// threads of a pair meet in 2 KiB of workgroup memory. The row itself comes from the cache. Grid: (pairs / 16, rows).

var<workgroup> partials: array<vec2<f32>, 256>;
var<private> stats: vec2<f32>;

fn term(row: u32, n: u32) -> Term {
    return Term(n, normed(source[row * n_inputs + n], n, stats));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    stats = row_stats(row, thread);
    var sum = pair_part(row, n_inputs, group.x * 16u, thread);
    partials[thread] = sum;
    workgroupBarrier();
    if (thread < 16u) {
        for (var split = 1u; split < 16u; split++) {
            sum += partials[split * 16u + thread];
        }
        finish(row, group.x * 16u + thread, sum);
    }
}
