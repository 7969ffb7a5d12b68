// @import parts/reduce.wgsl
// @import parts/norm.wgsl
// @import parts/source.wgsl
// Mean and 1/deviation of one row of `source`, by all 256 threads of a workgroup (every workgroup repeats it: the row
// is in cache, and a dispatch of its own would cost more). The variance is two-pass, as PyTorch's is in effect.

fn row_stats(row: u32, thread: u32) -> vec2<f32> {
    if (norm == 0u) {
        return vec2<f32>(0.0, 1.0);
    }
    let first = row * n_inputs;
    var mean = 0.0;
    if (norm == LAYER_NORM) {
        var sum = 0.0;
        for (var i = thread; i < n_inputs; i += 256u) {
            sum += source[first + i];
        }
        mean = total(thread, sum) / f32(n_inputs);
    }
    var squares = 0.0;
    for (var i = thread; i < n_inputs; i += 256u) {
        let centred = source[first + i] - mean;
        squares += centred * centred;
    }
    return vec2<f32>(mean, inverseSqrt(total(thread, squares) / f32(n_inputs) + eps));
}
