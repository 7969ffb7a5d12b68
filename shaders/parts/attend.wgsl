// @import parts/scores.wgsl
// @import parts/reduce.wgsl
// Causal attention in the flash manner, by one workgroup of 256 threads for a head of a row and a part of the context. A tile is 256
// positions: each thread scores one key, the tile's maximum and sum update the running ones, then thread (slice, dim) adds
// up every slices-th weighted value of its dim; the slices meet at the end. 4 KiB of workgroup memory.

@group(0) @binding(3) var<storage, read> qkv: array<f32>;       // [rows, d_query + 2·d_kv]; own values of alternatives

const LOWEST: f32 = -3.0e38;

var<workgroup> weight_tile: array<f32, 256>;
var<workgroup> slice_sums: array<f32, 256>;

// What has been seen of the context.
struct Attended {
    highest: f32,
    sum: f32,
    weighted: f32, // of dim `thread`, where there is one
}

fn value_at(row: u32, kv_head: u32, position: u32, dim: u32) -> f32 {
    if (own(row, position)) {
        return as_cached(qkv[(row * (n_heads + 2u * n_kv_heads) + n_heads + n_kv_heads + kv_head) * d_head + dim]);
    }
    let at = ((cached_at(row, position) * 2u + 1u) * n_kv_heads + kv_head) * d_head + dim;
    if (cache_type == 0u) {
        return bitcast<f32>(cache[at]);
    }
    let two = unpack2x16float(cache[at / 2u]);
    return select(two.x, two.y, at % 2u == 1u);
}

fn attend(row: u32, head: u32, begin: u32, end: u32, thread: u32) -> Attended {
    let kv_head = head / (n_heads / n_kv_heads);
    let slices = 256u / d_head;
    let slice = thread / d_head;
    let dim = thread % d_head;
    load_query(row, head, thread);
    workgroupBarrier();

    var at = Attended(LOWEST, 0.0, 0.0);
    for (var tile = begin; tile < end; tile += 256u) {
        let there = tile + thread < end;
        var s = LOWEST;
        if (there) {
            s = score(row, kv_head, tile + thread);
        }
        let before = at.highest;
        at.highest = max(before, maximum(thread, s));
        var e = 0.0;
        if (there) {
            e = exp(s - at.highest);
        }
        weight_tile[thread] = e;
        let shrink = exp(before - at.highest);
        at.sum = at.sum * shrink + total(thread, e); // its barriers also publish weight_tile
        at.weighted *= shrink;
        if (slice < slices) {
            // Four at once: one after the other, each would wait for memory as long as all of them.
            let count = min(256u, end - tile);
            var j = slice;
            for (; j + 3u * slices < count; j += 4u * slices) {
                let a = value_at(row, kv_head, tile + j, dim);
                let b = value_at(row, kv_head, tile + j + slices, dim);
                let c = value_at(row, kv_head, tile + j + 2u * slices, dim);
                let d = value_at(row, kv_head, tile + j + 3u * slices, dim);
                at.weighted += weight_tile[j] * a;
                at.weighted += weight_tile[j + slices] * b;
                at.weighted += weight_tile[j + 2u * slices] * c;
                at.weighted += weight_tile[j + 3u * slices] * d;
            }
            for (; j < count; j += slices) {
                at.weighted += weight_tile[j] * value_at(row, kv_head, tile + j, dim);
            }
        }
        workgroupBarrier();
    }
    slice_sums[thread] = at.weighted;
    workgroupBarrier();
    if (thread < d_head) {
        for (var s = 1u; s < slices; s++) {
            at.weighted += slice_sums[s * d_head + thread];
        }
    }
    return at;
}
