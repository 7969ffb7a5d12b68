// The uniform that every model kernel binds at 0, with a dynamic offset into one ring of blocks (`gpu/record.rs`).
// It changes from dispatch to dispatch; what a model fixes once (d_model, k, …) is an override constant.

struct Params {
    rows: u32,   // rows of this batch
    start: u32,  // absolute position of row 0
    mode: u32,   // SEQUENCE, ALTERNATIVES or EACH
    layer: u32,
    step: u32,   // slot of this decode step's outputs
    aux0: u32,   // three words of the kernel's own; its header says what they mean
    aux1: u32,
    aux2: u32,
    more: vec4<u32>, // four further words of the kernel's own
    pad: vec4<u32>,
    each: array<vec4<u32>, 8>, // two rows in each: position, and where in `cache` the row's sequence begins
}

@group(0) @binding(0) var<uniform> params: Params;

const SEQUENCE: u32 = 0u;     // row r is at position start + r
const ALTERNATIVES: u32 = 1u; // every row is at position start
const EACH: u32 = 2u;         // every row is of a sequence of its own, start behind its place in `each`

fn place_of(row: u32) -> vec2<u32> {
    let two = params.each[row / 2u];
    return select(two.xy, two.zw, row % 2u == 1u);
}

// Absolute position of a row of the batch.
fn position_of(row: u32) -> u32 {
    if (params.mode == EACH) {
        return place_of(row).x + params.start;
    }
    return select(params.start + row, params.start, params.mode == ALTERNATIVES);
}

// Where a position of a row's sequence is in `cache`.
fn cached_at(row: u32, position: u32) -> u32 {
    if (params.mode == EACH) {
        return place_of(row).y + position;
    }
    return position;
}
