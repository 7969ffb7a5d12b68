// The end of a TopK block: residual add (stored as topk_in), edits of site topk_in, the k first in ranking (parts/order.wgsl), for any
// k, topk_post, edits of site topk_out, the dense row and the list of its active entries.
// Dispatch: one workgroup a row, in two dimensions where rows > 65535.

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl
// @import parts/cut.wgsl

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= params.rows) {
        return;
    }
    let begin = run_begin(thread, threads);
    let end = run_begin(thread + 1u, threads);
    add_residual(row, begin, end);
    cut(row, begin, end, thread);
}
