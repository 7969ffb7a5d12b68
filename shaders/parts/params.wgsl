// The uniform that every model kernel binds at 0, with a dynamic offset into one ring of blocks (`gpu/record.rs`).
// It changes from dispatch to dispatch; what a model fixes once (d_model, k, …) is an override constant.

struct Params {
    rows: u32,   // rows of this batch
    start: u32,  // absolute position of row 0
    mode: u32,   // SEQUENCE or ALTERNATIVES
    layer: u32,
    step: u32,   // slot of this decode step's outputs
    aux0: u32,   // three words of the kernel's own; its header says what they mean
    aux1: u32,
    aux2: u32,
    more: vec4<u32>, // four further words of the kernel's own
    pad: vec4<u32>,  // to 64 bytes
}

@group(0) @binding(0) var<uniform> params: Params;

const SEQUENCE: u32 = 0u;     // row r is at position start + r
const ALTERNATIVES: u32 = 1u; // every row is at position start

// Absolute position of a row of the batch.
fn position_of(row: u32) -> u32 {
    return select(params.start + row, params.start, params.mode == ALTERNATIVES);
}
