// The end of a block without a TopK activation: residual add, edits of site topk_in, then those of site topk_out.
// Grid: (aux1 workgroups a row).

// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/residual.wgsl

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x / params.aux1;
    if (row >= params.rows) {
        return;
    }
    let place = group.x % params.aux1 * threads + thread;
    let begin = run_begin(place, params.aux1 * threads);
    let end = run_begin(place + 1u, params.aux1 * threads);
    add_residual(row, begin, end);
    edit_row(TOPK_OUT, row, 0u, 1u, begin, end);
}
