// The MLP of a block whose input is dense: see parts/mlp.wgsl. Workgroup memory: 11.3 KiB.
// @import parts/mlp.wgsl

// The row behind the attention, times the norm's gain, is in `sixteens` until the parts of the first product meet there.
fn keep(i: u32, x: f32) {
    sixteens[i] = x * vectors[gain_at + i];
}

fn term(row: u32, n: u32) -> Term {
    return Term(n, sixteens[n]);
}

fn first_product(row: u32, first: u32, thread: u32) -> vec2<f32> {
    if (!by_sixteen()) {
        return plain_part(row, n_inputs, first, thread);
    }
    let parts = sixteen_parts(row, n_inputs, first, thread);
    workgroupBarrier();
    return met(parts, first, thread);
}
