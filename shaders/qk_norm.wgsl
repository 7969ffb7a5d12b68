// RMSNorm over each head of q and k, then RoPE; the keys go to the cache. One workgroup of 256 threads per (head, row), a thread a
// number of the head; heads of k follow those of q. Grid: (heads of q and k, rows).
// @import parts/params.wgsl
// @import parts/reduce.wgsl
// @import parts/cached.wgsl

@group(0) @binding(1) var<storage, read> qkv: array<f32>;            // [rows, d_query + 2·d_kv], before norm and RoPE
@group(0) @binding(2) var<storage, read> rope: array<f32>;           // [n_ctx, rotary_dims/2] of (cos, sin)
@group(0) @binding(3) var<storage, read> vectors: array<f32>;        // gains of q and of k [2, d_head], RoPE's pairs side by side
@group(0) @binding(4) var<storage, read_write> rotated: array<f32>;  // [rows, d_query + d_kv], q then k
@group(0) @binding(5) var<storage, read_write> cache: array<u32>;    // [positions, 2, d_kv], see parts/cached.wgsl

override n_heads: u32 = 1u;
override n_kv_heads: u32 = 1u;
override d_head: u32 = 2u;
override eps: f32 = 1e-5;

var<workgroup> normed: array<f32, 256>; // d_head is at most 256
var<workgroup> turned: array<f32, 256>; // in pairs

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) j: u32) {
    let head = group.x;
    let row = group.y;
    let half = rotary_dims / 2u;
    var x = 0.0;
    if (j < d_head) {
        x = qkv[(row * (n_heads + 2u * n_kv_heads) + head) * d_head + j];
    }
    let scale = inverseSqrt(total(j, x * x) / f32(d_head) + eps);
    if (j < d_head) {
        normed[j] = x * scale * vectors[select(0u, d_head, head >= n_heads) + paired(j)];
    }
    workgroupBarrier();
    if (j < d_head) {
        var value = normed[j];
        if (j < rotary_dims) {
            var pair = j;
            var other = 0.0;
            if (j < half) {
                other = -normed[j + half];
            } else {
                pair = j - half;
                other = normed[pair];
            }
            let at = 2u * (position_of(row) * half + pair);
            value = value * rope[at] + other * rope[at + 1u];
        }
        rotated[(row * (n_heads + n_kv_heads) + head) * d_head + j] = value;
        turned[paired(j)] = value;
    }
    workgroupBarrier();
    if (head < n_heads || j >= d_head || params.mode == ALTERNATIVES) {
        return;
    }
    let key = (cached_at(row, position_of(row)) * 2u * n_kv_heads + head - n_heads) * d_head;
    if (cache_type == 0u) {
        cache[key + j] = bitcast<u32>(turned[paired(j)]);
    } else if (j % 2u == 0u) {
        cache[(key + j) / 2u] = two_half_bits(turned[j], turned[j + 1u]);
    }
}
