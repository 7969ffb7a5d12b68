// @import parts/params.wgsl
// @import parts/softcap.wgsl
// @import parts/cached.wgsl
// What attention has to know of a model, and which positions a row sees.

@group(0) @binding(1) var<storage, read> rotated: array<f32>; // [rows, d_query + d_kv], q then k, after RoPE

override n_heads: u32 = 1u;
override n_kv_heads: u32 = 1u;
override d_head: u32 = 2u;
override scale: f32 = 1.0;         // mostly 1 / sqrt(d_head)
override attn_softcap: f32 = 0.0;  // 0: none
override window: u32 = 0u;         // positions that one sees, its own included; 0: all before it

// Where the cache has number j of a key.
fn in_key(j: u32) -> u32 {
    return select(paired(j), j, cache_type == 0u);
}

// The first position that a row sees.
fn first_seen(row: u32) -> u32 {
    let end = position_of(row) + 1u;
    return select(end - window, 0u, window == 0u || end <= window);
}
