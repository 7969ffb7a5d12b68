// @import parts/params.wgsl
// @import parts/norm.wgsl
// @import parts/cached.wgsl
// q, k and v of a block in one product, rotated and filed where attention reads them. A Llama pair of q or k is
// (j, j + rotary_dims/2), the two that RoPE rotates, so a thread has both; the others come in natural pairs.

@group(0) @binding(4) var<storage, read> rope: array<f32>;           // [n_ctx, rotary_dims/2] of (cos, sin)
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>;      // [rows, d_query + 2·d_kv], before RoPE
@group(0) @binding(6) var<storage, read_write> rotated: array<f32>;  // [rows, d_query + d_kv], q then k
@group(0) @binding(7) var<storage, read_write> cache: array<u32>;    // [positions, 2, d_kv], see parts/cached.wgsl

override n_heads: u32 = 1u;
override n_kv_heads: u32 = 1u;
override d_head: u32 = 2u;

// `raw` in the natural column order; `turned` is the same value after RoPE.
fn file_column(row: u32, column: u32, raw: f32, turned: f32) {
    let d_query = n_heads * d_head;
    let d_kv = n_kv_heads * d_head;
    qkv[row * (d_query + 2u * d_kv) + column] = raw;
    if (column < d_query + d_kv) {
        rotated[row * (d_query + d_kv) + column] = turned;
    }
    if (cache_type == 0u && column >= d_query && params.mode != ALTERNATIVES) {
        cache[cached_at(row, position_of(row)) * 2u * d_kv + column - d_query] = bitcast<u32>(turned);
    }
}

// The two numbers of a pair, after RoPE, as a word of the cache.
fn file_word(row: u32, pair: u32, turned: vec2<f32>) {
    let before = n_heads * d_head / 2u;
    if (cache_type == 1u && pair >= before && params.mode != ALTERNATIVES) {
        cache[cached_at(row, position_of(row)) * n_kv_heads * d_head + pair - before] = two_half_bits(turned.x, turned.y);
    }
}

fn store(row: u32, pair: u32, value: vec2<f32>) {
    let half = rotary_dims / 2u;
    let head = 2u * pair / d_head;
    let j = pair - head * d_head / 2u;
    if (j < half && head < n_heads + n_kv_heads) {
        let at = 2u * (position_of(row) * half + j);
        let c = rope[at];
        let s = rope[at + 1u];
        let column = head * d_head + j;
        let turned = vec2<f32>(value.x * c - value.y * s, value.y * c + value.x * s);
        file_column(row, column, value.x, turned.x);
        file_column(row, column + half, value.y, turned.y);
        file_word(row, pair, turned);
        return;
    }
    file_word(row, pair, value);
    file_column(row, 2u * pair, value.x, value.x);
    if (2u * pair + 1u < n_outputs) {
        file_column(row, 2u * pair + 1u, value.y, value.y);
    }
}
