// How kernels end that end a TopK block. Needs parts/residual.wgsl and fn cut(row, begin, end, thread), which is what they differ in.

@compute @workgroup_size(threads)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x;
    if (row >= params.rows) {
        return;
    }
    let begin = run_begin(thread, threads);
    let end = run_begin(thread + 1u, threads);
    add_residual(row, begin, end);
    cut(row, begin, end, thread);
}
