// Keys and values as the cache has them, [positions, 2, d_kv], k then v: f32 in the natural order, or f16 two to a word. Those two are
// neighbours but for keys that RoPE rotates: there they are the two that it rotates together, which one thread has made.

override rotary_dims: u32 = 0u; // numbers of a head that RoPE rotates, from its first on; 0: none
override cache_type: u32 = 0u;  // 0 f32, 1 f16

// The nearest f16 of a number, at a tie the even one; beyond the largest one that. Twin of `Kept` in numerics/stored.rs. WGSL leaves open
// how its own conversion rounds.
fn half_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let magnitude = bits & 0x7fffffffu;
    let sign = (bits >> 16u) & 0x8000u;
    if (magnitude >= 0x7f800000u) {
        return sign | select(0x7c00u, 0x7e00u, magnitude > 0x7f800000u);
    }
    if (magnitude < 0x38800000u) {
        return sign | u32(round(abs(x) * 16777216.0));
    }
    let bounded = min(magnitude, 0x477fe000u) - 0x38000000u;
    return sign | ((bounded + 0xfffu + ((bounded >> 13u) & 1u)) >> 13u);
}

fn two_half_bits(x: f32, y: f32) -> u32 {
    return half_bits(x) | (half_bits(y) << 16u);
}

// A number as the cache gives it back.
fn as_cached(x: f32) -> f32 {
    if (cache_type == 0u) {
        return x;
    }
    return unpack2x16float(half_bits(x)).x;
}

// Where number j of a rotated head is among those stored in pairs.
fn paired(j: u32) -> u32 {
    let half = rotary_dims / 2u;
    if (j >= rotary_dims) {
        return j;
    }
    return select(2u * (j - half) + 1u, 2u * j, j < half);
}
