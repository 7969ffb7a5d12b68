// What is kept of a row that is cut, and its list. Needs parts/residual.wgsl and its needs.

override k: u32;               // from 1 to d_model; d_model is below 65536, for counts of entries have 16 bits
override capacity: u32;        // entries that a row of `active` has room for
override post_relu: u32 = 0u;  // 1: kept entries below zero become 0

@group(0) @binding(6) var<storage, read_write> active_list: array<u32>; // [rows, 2 + 2·capacity]: count, 0, then (index, value bits)

fn list_of(row: u32) -> u32 {
    return row * (2u + 2u * capacity);
}

fn after_post(bits: u32) -> u32 {
    return select(bits, 0u, post_relu != 0u && (bits & SIGN) != 0u);
}

// Of one key all are active or none; but not where keys have lost the sign that `topk_post` looks at.
fn ties_active(last: u32) -> bool {
    return last != SIGN && (post_relu == 0u || last > SIGN);
}

// Whether the list has to be counted once more at the end.
fn recounts() -> bool {
    return edit_count() > 0u || (select_abs != 0u && post_relu != 0u);
}

fn enlist(list: u32, rank: u32, index: u32, bits: u32) {
    if (rank < capacity) {
        active_list[list + 2u + 2u * rank] = index;
        active_list[list + 3u + 2u * rank] = bits;
    }
}

fn end_list(list: u32, count: u32) {
    active_list[list] = min(count, capacity);
    active_list[list + 1u] = 0u;
}
