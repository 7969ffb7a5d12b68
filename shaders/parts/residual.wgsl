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

fn four_of_parts(at: u32) -> vec4<f32> {
    return vec4<f32>(mlp_out[at], mlp_out[at + 1u], mlp_out[at + 2u], mlp_out[at + 3u]);
}

// The sum of the parts `at` … before `end`, d_model apart, of four indices or of one. Four parts are asked for at once: one after the
// other, each would wait for memory as long as all of them.
fn four_added(first: u32, end: u32) -> vec4<f32> {
    var sum = four_of_parts(first);
    var at = first + d_model;
    for (; at + 3u * d_model < end; at += 4u * d_model) {
        let a = four_of_parts(at);
        let b = four_of_parts(at + d_model);
        let c = four_of_parts(at + 2u * d_model);
        let d = four_of_parts(at + 3u * d_model);
        sum = sum + a + b + c + d;
    }
    for (; at < end; at += d_model) {
        sum += four_of_parts(at);
    }
    return sum;
}

fn one_added(first: u32, end: u32) -> f32 {
    var sum = mlp_out[first];
    var at = first + d_model;
    for (; at + 7u * d_model < end; at += 8u * d_model) {
        let a = mlp_out[at];
        let b = mlp_out[at + d_model];
        let c = mlp_out[at + 2u * d_model];
        let d = mlp_out[at + 3u * d_model];
        let e = mlp_out[at + 4u * d_model];
        let f = mlp_out[at + 5u * d_model];
        let g = mlp_out[at + 6u * d_model];
        let h = mlp_out[at + 7u * d_model];
        sum = sum + a + b + c + d + e + f + g + h;
    }
    for (; at < end; at += d_model) {
        sum += mlp_out[at];
    }
    return sum;
}

// The entry `at` of the row's sum; whether it is finite.
fn keep_sum(at: u32, value: f32) -> bool {
    let sum = bitcast<u32>(value);
    topk_in[at] = sum;
    hidden[at] = sum;
    return !is_nonfinite(sum);
}

// hidden = topk_in = resid_mid + mlp_out, then the edits of site topk_in on hidden: the indices begin .. end.
fn add_residual(row: u32, begin: u32, end: u32) {
    var finite = true;
    let parts = row * params.aux0 * d_model;
    let first = parts + in_parts * d_model;
    let last = parts + params.aux0 * d_model;
    let base = row * d_model;
    var i = begin;
    for (; i + 4u <= end; i += 4u) {
        let added = four_added(first + i, last);
        var mid = vec4<f32>(resid_mid[base + i], resid_mid[base + i + 1u], resid_mid[base + i + 2u], resid_mid[base + i + 3u]);
        if (in_parts == 1u) {
            mid = four_of_parts(parts + i);
        }
        for (var n = 0u; n < 4u; n++) {
            finite = keep_sum(base + i + n, mid[n] + added[n]) && finite;
        }
    }
    for (; i < end; i++) {
        let added = one_added(first + i, last);
        var mid = resid_mid[base + i];
        if (in_parts == 1u) {
            mid = mlp_out[parts + i];
        }
        finite = keep_sum(base + i, mid + added) && finite;
    }
    if (!finite) {
        atomicMin(&status[0], params.layer);
    }
    edit_row(TOPK_IN, row, 0u, 1u, begin, end);
}
