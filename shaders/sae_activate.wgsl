// Sparse autoencoder: the activation function, then the edits of its features; one workgroup a row. `hidden` are the feature activations
// after edits (the name that parts/edits.wgsl uses), `clean` those before.
// kind: 0 ReLU, 1 JumpReLU, 2 TopK (radix select), 3 matching pursuit (`clean` is there already). Grid: (rows).
// @import parts/params.wgsl
// @import parts/order.wgsl
// @import parts/edits.wgsl
// @import parts/radix.wgsl

@group(0) @binding(1) var<storage, read> pre: array<u32>;          // [rows, d_sae] f32 bits
@group(0) @binding(2) var<storage, read> thresholds: array<f32>;   // [d_sae]; JumpReLU only
@group(0) @binding(4) var<storage, read_write> clean: array<u32>;  // [rows, d_sae] f32 bits
@group(0) @binding(5) var<storage, read_write> hidden: array<u32>; // [rows, d_sae] f32 bits
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>;

override d_model: u32;          // d_sae
override threads: u32 = 256u;   // a power of two
override kind: u32 = 0u;
override k: u32 = 1u;

var<private> row_base: u32;

fn row_entry(i: u32) -> vec2<u32> {
    return vec2(order_key(pre[row_base + i]), ~i);
}

fn is_kept(i: u32, bits: u32, last: vec2<u32>) -> bool {
    if ((bits & SIGN) != 0u) {
        return false;
    }
    switch kind {
        case 1u: { return bitcast<f32>(bits) > thresholds[i]; }
        case 2u: { return !precedes(last, vec2(order_key(bits), ~i)); }
        default: { return true; }
    }
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    row_base = row * d_model;
    var last = vec2(0u);
    if (kind == 2u) {
        last = radix_select(d_model, k, thread);
    }
    for (var i = thread; i < d_model; i += threads) {
        let at = row_base + i;
        var bits = clean[at];
        if (kind != 3u) {
            bits = pre[at];
            clean[at] = select(0u, bits, is_kept(i, bits, last));
        }
        hidden[at] = clean[at];
        if (is_nonfinite(bits)) {
            atomicMin(&status[0], params.layer);
        }
    }
    edit_row(TOPK_OUT, row, thread, threads, 0u, d_model);
}
