// The one step that every bitonic sort of packed entries is made of.
// Needs order.wgsl, `threads` and an array `entries` in workgroup memory, as long as its user needs it.

// Sorts each run of `run` entries of entries[base .. base + size), which must be bitonic: a run whose position (`offset` added) has the
// bit `run` unset descending, the others ascending. A run longer than `size` is only a part of one, sorted likewise.
// Two strides go together, on four entries at a time: half the barriers, and half the reads and writes.
fn bitonic_merge(base: u32, size: u32, run: u32, offset: u32, thread: u32) {
    var stride = min(run, size) / 2u;
    for (; stride > 1u; stride /= 4u) {
        let half = stride / 2u;
        for (var four = thread; four < size / 4u; four += threads) {
            let low = four & (half - 1u);
            let position = 4u * (four - low) + low;
            let descends = ((position + offset) & run) == 0u;
            let at = base + position;
            let outer = in_order(entries[at], entries[at + stride], descends);
            let inner = in_order(entries[at + half], entries[at + stride + half], descends);
            let first = in_order(outer.xy, inner.xy, descends);
            let second = in_order(outer.zw, inner.zw, descends);
            entries[at] = first.xy;
            entries[at + half] = first.zw;
            entries[at + stride] = second.xy;
            entries[at + stride + half] = second.zw;
        }
        workgroupBarrier();
    }
    if (stride == 1u) {
        for (var pair = thread; pair < size / 2u; pair += threads) {
            let descends = ((2u * pair + offset) & run) == 0u;
            let at = base + 2u * pair;
            let both = in_order(entries[at], entries[at + 1u], descends);
            entries[at] = both.xy;
            entries[at + 1u] = both.zw;
        }
        workgroupBarrier();
    }
}

// Two entries, the first of them first where they descend.
fn in_order(a: vec2<u32>, b: vec2<u32>, descends: bool) -> vec4<u32> {
    return select(vec4(a, b), vec4(b, a), precedes(b, a) == descends);
}
