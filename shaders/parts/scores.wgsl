// @import parts/heads.wgsl
// Scores of one row's query. All keys are in the cache, but in ALTERNATIVES mode a row's own key and value are in `rotated` and `qkv`, and
// the cache holds the positions before it.

@group(0) @binding(7) var<storage, read> cache: array<u32>;   // [positions, 2, d_kv], see parts/cached.wgsl

var<workgroup> query: array<f32, 256>; // in the cache's order; d_head is at most 256

// Loads the scaled query of (row, head); a barrier must follow.
fn load_query(row: u32, head: u32, thread: u32) {
    if (thread < d_head) {
        query[in_key(thread)] = rotated[row * (n_heads + n_kv_heads) * d_head + head * d_head + thread] * scale;
    }
}

fn own(row: u32, position: u32) -> bool {
    return params.mode == ALTERNATIVES && position == position_of(row);
}

// Scaled score of one position for the loaded query, behind the soft-cap.
fn score(row: u32, kv_head: u32, position: u32) -> f32 {
    var sum = 0.0;
    if (own(row, position)) {
        let first = (row * (n_heads + n_kv_heads) + n_heads + kv_head) * d_head;
        for (var i = 0u; i < d_head; i++) {
            sum += query[in_key(i)] * as_cached(rotated[first + i]);
        }
        return softcapped(sum, attn_softcap);
    }
    let first = (cached_at(row, position) * 2u * n_kv_heads + kv_head) * d_head;
    if (cache_type == 0u) {
        var i = 0u;
        for (; i + 4u <= d_head; i += 4u) {
            let k = bitcast<vec4<f32>>(vec4<u32>(cache[first + i], cache[first + i + 1u], cache[first + i + 2u], cache[first + i + 3u]));
            sum += query[i] * k.x;
            sum += query[i + 1u] * k.y;
            sum += query[i + 2u] * k.z;
            sum += query[i + 3u] * k.w;
        }
        for (; i < d_head; i++) {
            sum += query[i] * bitcast<f32>(cache[first + i]);
        }
    } else {
        for (var i = 0u; i < d_head; i += 2u) {
            let two = unpack2x16float(cache[(first + i) / 2u]);
            sum += query[i] * two.x + query[i + 1u] * two.y;
        }
    }
    return softcapped(sum, attn_softcap);
}
