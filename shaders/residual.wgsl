// The end of a block without a TopK activation: residual add, edits of site topk_in, then those of site topk_out.
// Dispatch: one workgroup a row, in two dimensions where rows > 65535.

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl

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
    let begin = run_begin(thread);
    let end = run_begin(thread + 1u);
    add_residual(row, begin, end);
    edit_row(TOPK_OUT, row, 0u, 1u, begin, end);
}
