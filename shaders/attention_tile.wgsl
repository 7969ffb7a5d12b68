// Attention for many rows: one workgroup of 256 threads takes a head of 16 rows that follow each other (8 where d_head is above 128), and
// reads each key and value once for all of them, in the flash manner. A tile is 64 keys × 16 rows, or 128 × 8: a thread scores one key
// for four rows, whose numbers are in a vec4, as queries are. Keys come four numbers at a time, so d_head is a multiple of 4. Values are
// summed by dims: a thread adds those of one dim for one or two vectors of rows, and where that leaves threads over, every slices-th key.
// 13.1 KiB of workgroup memory. Grid: (heads, rows / rows of a tile).
// @import parts/heads.wgsl

@group(0) @binding(3) var<storage, read> qkv: array<f32>;          // [rows, d_query + 2·d_kv]; own values of alternatives
@group(0) @binding(4) var<storage, read_write> z: array<f32>;      // [rows, n_heads, d_head]
@group(0) @binding(7) var<storage, read> cache: array<vec4<u32>>;  // [positions, 2, d_kv], see parts/cached.wgsl

const LOWEST: f32 = -3.0e38;

var<workgroup> queries: array<vec4<f32>, 512>; // [d_head, vectors of rows], in the cache's order
var<workgroup> shares: array<vec4<f32>, 256>;  // [keys of a tile, vectors]: scores, then e to their powers
var<workgroup> folded: array<vec4<f32>, 64>;   // [parts of the keys, vectors]
var<workgroup> shrinks: array<vec4<f32>, 4>;

// Vectors of rows in a tile.
fn row_vectors() -> u32 {
    return select(2u, 4u, d_head <= 128u);
}

// Of number `column` of q and k side by side, four rows.
fn four_rotated(row: u32, column: u32) -> vec4<f32> {
    let width = (n_heads + n_kv_heads) * d_head;
    let last = params.rows - 1u;
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(last)) * width + column;
    return vec4<f32>(rotated[rows.x], rotated[rows.y], rotated[rows.z], rotated[rows.w]);
}

// Own values of four alternatives.
fn four_values(row: u32, column: u32) -> vec4<f32> {
    let width = (n_heads + 2u * n_kv_heads) * d_head;
    let last = params.rows - 1u;
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(last)) * width + column;
    return four_as_cached(vec4<f32>(qkv[rows.x], qkv[rows.y], qkv[rows.z], qkv[rows.w]));
}

// Numbers `at` … of the cache, four.
fn four_cached(at: u32) -> vec4<f32> {
    if (cache_type == 0u) {
        return bitcast<vec4<f32>>(cache[at / 4u]);
    }
    let words = cache[at / 8u];
    let two = select(words.xy, words.zw, at % 8u == 4u);
    return vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y));
}

fn one_cached(at: u32) -> f32 {
    if (cache_type == 0u) {
        return bitcast<f32>(cache[at / 4u][at % 4u]);
    }
    let two = unpack2x16float(cache[at / 8u][at % 8u / 2u]);
    return select(two.x, two.y, at % 2u == 1u);
}

// The largest of the shares of each row, or their sum.
fn fold_shares(thread: u32, vectors: u32, sums: bool) -> vec4<f32> {
    workgroupBarrier();
    if (thread < 64u) {
        let first = thread / vectors * 4u * vectors + thread % vectors;
        var all = shares[first];
        for (var i = 1u; i < 4u; i++) {
            let next = shares[first + i * vectors];
            all = select(max(all, next), all + next, sums);
        }
        folded[thread] = all;
    }
    workgroupBarrier();
    var all = folded[thread % vectors];
    for (var i = thread % vectors + vectors; i < 64u; i += vectors) {
        all = select(max(all, folded[i]), all + folded[i], sums);
    }
    return all;
}

fn four_as_cached(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(as_cached(x.x), as_cached(x.y), as_cached(x.z), as_cached(x.w));
}

fn four_softcapped(x: vec4<f32>) -> vec4<f32> {
    let cap = attn_softcap;
    return vec4<f32>(softcapped(x.x, cap), softcapped(x.y, cap), softcapped(x.z, cap), softcapped(x.w, cap));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let kv_head = head / (n_heads / n_kv_heads);
    let vectors = row_vectors();
    let first_row = group.y * 4u * vectors;
    let last_row = min(first_row + 4u * vectors, params.rows) - 1u;
    let alternatives = params.mode == ALTERNATIVES;
    for (var i = thread; i < d_head * vectors; i += 256u) {
        let dim = i % d_head;
        queries[in_key(dim) * vectors + i / d_head] = four_rotated(first_row + i / d_head * 4u, head * d_head + dim) * scale;
    }
    // Whose scores this thread makes, and which positions they see.
    let key = thread / vectors;
    let vector = thread % vectors;
    let row = first_row + 4u * vector;
    let keys = 256u / vectors;
    let rows = vec4<u32>(row, row + 1u, row + 2u, row + 3u);
    let seen_to = select(rows + params.start + 1u, vec4<u32>(params.start), vec4<bool>(alternatives));
    let seen_from = vec4<u32>(first_seen(rows.x), first_seen(rows.y), first_seen(rows.z), first_seen(rows.w));
    // Whose weighted values it sums.
    let units = 256u / d_head;
    let groups = select(select(1u, 2u, units >= 2u), 4u, units >= 4u && vectors == 4u);
    let unit = thread / d_head;
    let dim = thread % d_head;
    let own_vectors = vectors / groups;
    let own_first = unit % groups * own_vectors;
    let slices = units / groups;
    let slice = unit / groups;
    let sums_values = slice < slices;

    var highest = vec4<f32>(LOWEST);
    var sum = vec4<f32>(0.0);
    var weighted0 = vec4<f32>(0.0);
    var weighted1 = vec4<f32>(0.0);
    if (alternatives) {
        // Each begins with its own key, of which a thread takes every keys-th number.
        workgroupBarrier();
        var part = vec4<f32>(0.0);
        for (var i = key; i < d_head; i += keys) {
            let of_key = four_as_cached(four_rotated(row, (n_heads + kv_head) * d_head + i));
            part += queries[in_key(i) * vectors + vector] * of_key;
        }
        shares[thread] = part;
        highest = four_softcapped(fold_shares(thread, vectors, true));
        sum = select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<bool>(key == 0u));
        if (slice == 0u) {
            let column = (n_heads + n_kv_heads + kv_head) * d_head + dim;
            weighted0 = four_values(first_row + 4u * own_first, column);
            weighted1 = four_values(first_row + 4u * own_first + 4u, column);
        }
    }
    workgroupBarrier();

    let end = select(params.start + last_row + 1u, params.start, alternatives);
    for (var tile = first_seen(first_row); tile < end; tile += keys) {
        let position = tile + key;
        var scores = vec4<f32>(0.0);
        if (position < end) {
            let at = (position * 2u * n_kv_heads + kv_head) * d_head;
            for (var i = 0u; i < d_head; i += 4u) {
                let k = four_cached(at + i);
                let q = i * vectors + vector;
                scores += queries[q] * k.x;
                scores += queries[q + vectors] * k.y;
                scores += queries[q + 2u * vectors] * k.z;
                scores += queries[q + 3u * vectors] * k.w;
            }
        }
        let there = (vec4<u32>(position) < seen_to) & (vec4<u32>(position) >= seen_from);
        scores = select(vec4<f32>(LOWEST), four_softcapped(scores), there);
        shares[thread] = scores;
        let before = highest;
        highest = max(before, fold_shares(thread, vectors, false));
        let shrink = exp(before - highest);
        let share = select(vec4<f32>(0.0), exp(scores - highest), there);
        shares[thread] = share;
        sum = sum * shrink + share;
        if (thread < vectors) {
            shrinks[thread] = shrink;
        }
        workgroupBarrier();
        if (sums_values) {
            weighted0 *= shrinks[own_first];
            weighted1 *= shrinks[own_first + own_vectors - 1u];
            var at = (((tile + slice) * 2u + 1u) * n_kv_heads + kv_head) * d_head + dim;
            for (var j = slice; j < min(keys, end - tile); j += slices) {
                let v = one_cached(at);
                weighted0 += shares[j * vectors + own_first] * v;
                if (own_vectors == 2u) {
                    weighted1 += shares[j * vectors + own_first + 1u] * v;
                }
                at += slices * 2u * n_kv_heads * d_head;
            }
        }
        workgroupBarrier();
    }

    shares[thread] = sum;
    sum = fold_shares(thread, vectors, true);
    if (thread < vectors) {
        shrinks[thread] = sum;
    }
    shares[thread] = weighted0;
    workgroupBarrier();
    // Only where a thread has one vector there are several slices.
    if (slice > 0u || !sums_values) {
        return;
    }
    for (var s = 1u; s < slices; s++) {
        weighted0 += shares[(s * groups + unit) * d_head + dim];
    }
    store(head, first_row + 4u * own_first, dim, weighted0 / shrinks[own_first]);
    if (own_vectors == 2u) {
        store(head, first_row + 4u * own_first + 4u, dim, weighted1 / shrinks[own_first + 1u]);
    }
}

fn store(head: u32, row: u32, dim: u32, value: vec4<f32>) {
    for (var i = 0u; i < min(4u, params.rows - min(row, params.rows)); i++) {
        z[((row + i) * n_heads + head) * d_head + dim] = value[i];
    }
}
