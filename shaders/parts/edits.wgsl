// Edits of neurons. Twin: `ResolvedEdit` in crate/src/edits.rs. Needs params.wgsl, order.wgsl, `d_model`, `hidden` and `status`.
//
// edits: words 2l and 2l + 1 are the first word of list l's records and how many there are, the lists of autoencoders after those of
// the layers. params.aux2: how far after that of params.layer the list is; 0 of neurons. A record has 8 words:
// index, kind, value bits, from, to, row, 0, 0.

@group(0) @binding(3) var<storage, read> edits: array<u32>;

const ACTION: u32 = 3u; // bits of kind: 0 add, 1 clamp, 2 scale, 3 ablate
const SITE: u32 = 256u; // bit of kind that tells the sites apart
const TOPK_OUT: u32 = 0u;
const TOPK_IN: u32 = 256u;
const EVERY_ROW: u32 = 0xffffffffu;
const ONE: u32 = 0x3f800000u;

// How many edits the list has, of both sites and for all rows.
fn edit_count() -> u32 {
    return edits[2u * (params.layer + params.aux2) + 1u];
}

// Bits of an edited value. An edit to the value that is already there changes nothing, bit for bit.
fn edit_value(action: u32, bits: u32, operand: u32) -> u32 {
    let value = bitcast<f32>(bits);
    switch action {
        case 0u: { return select(bits, bitcast<u32>(value + bitcast<f32>(operand)), is_nonzero(operand)); }
        case 1u: { return select(operand, bits, bits == operand || !(is_nonzero(bits) || is_nonzero(operand))); }
        case 2u: { return select(bitcast<u32>(value * bitcast<f32>(operand)), bits, operand == ONE); }
        default: { return select(0u, bits, !is_nonzero(bits)); }
    }
}

// Applies the list's edits of one site, in order, to the entries of `hidden[row]` with begin <= index < end. Index i belongs to
// thread i % threads, which alone reads and writes it: the order holds without a barrier.
fn edit_row(site: u32, row: u32, thread: u32, threads: u32, begin: u32, end: u32) {
    let position = position_of(row);
    let first = edits[2u * (params.layer + params.aux2)];
    for (var number = 0u; number < edit_count(); number++) {
        let record = first + 8u * number;
        let index = edits[record];
        if (index % threads != thread || index < begin || index >= end) {
            continue;
        }
        let kind = edits[record + 1u];
        let only_row = edits[record + 5u];
        if ((kind & SITE) == site && position >= edits[record + 3u] && position < edits[record + 4u]
            && (only_row == row || only_row == EVERY_ROW)) {
            let at = row * d_model + index;
            let result = edit_value(kind & ACTION, hidden[at], edits[record + 2u]);
            hidden[at] = result;
            if (is_nonfinite(result)) {
                atomicMin(&status[0], params.layer);
            }
        }
    }
}
