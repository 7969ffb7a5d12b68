// What topk.wgsl and residual.wgsl have in common: the end of a block up to the edits of site topk_in.
// Each thread has a run of indices of the row, in every pass over it, so that no pass waits for another.

override d_model: u32;
override in_parts: u32 = 0u; // 1: parts of mlp_out are the stream and what each workgroup adds
override threads: u32 = 256u; // a power of two; see shaders/topk_plan.json

@group(0) @binding(1) var<storage, read> resid_mid: array<f32>;       // [rows, d_model]
@group(0) @binding(2) var<storage, read> mlp_out: array<f32>;         // [rows, aux0, d_model]: its sum, or see in_parts
@group(0) @binding(4) var<storage, read_write> topk_in: array<u32>; // [rows, d_model] f32 bits: the sum, before any edit
@group(0) @binding(5) var<storage, read_write> hidden: array<u32>;    // [rows, d_model] f32 bits: the block's result
@group(0) @binding(7) var<storage, read_write> status: array<atomic<u32>>; // word 0: first layer with a sum or edit not finite

// Where the indices of a thread of so many begin; those of the next end them.
fn run_begin(thread: u32, all: u32) -> u32 {
    return min(thread * ((d_model + all - 1u) / all), d_model);
}

// hidden = topk_in = resid_mid + mlp_out, then the edits of site topk_in on hidden: the indices begin .. end.
fn add_residual(row: u32, begin: u32, end: u32) {
    var finite = true;
    for (var i = begin; i < end; i++) {
        let at = row * d_model + i;
        var added = mlp_out[(row * params.aux0 + in_parts) * d_model + i];
        for (var part = 1u + in_parts; part < params.aux0; part++) {
            added += mlp_out[(row * params.aux0 + part) * d_model + i];
        }
        var mid = resid_mid[at];
        if (in_parts == 1u) {
            mid = mlp_out[row * params.aux0 * d_model + i];
        }
        let sum = bitcast<u32>(mid + added);
        topk_in[at] = sum;
        hidden[at] = sum;
        finite = finite && !is_nonfinite(sum);
    }
    if (!finite) {
        atomicMin(&status[0], params.layer);
    }
    edit_row(TOPK_IN, row, 0u, 1u, begin, end);
}
