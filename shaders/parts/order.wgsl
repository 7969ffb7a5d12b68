// The ranking of TopK. Twins: crate/src/numerics/order.rs, tests/goldens/topk.py.
//
// Entries are ordered by key descending, then index ascending. An entry is packed as vec2(key, ~index), so that the lexicographically
// larger one comes first. No key is 0: vec2(0, 0) is padding (key 0, index 0xffffffff) and comes last.

override select_abs: u32 = 0u; // 1: by magnitude

const SIGN: u32 = 0x80000000u;
const MAGNITUDE: u32 = 0x7fffffffu;
const INFINITY: u32 = 0x7f800000u;
const PADDING = vec2<u32>(0u, 0u);

// Order-preserving key of the bits of an f32. Integer operations only: a device may flush subnormals and ignore NaN. No || and
// &&, here and below: they are branches, which a compiler may keep.
fn order_key(bits: u32) -> u32 {
    let magnitude = bits & MAGNITUDE;
    let positive = ((bits & SIGN) == 0u) | (select_abs != 0u);
    let key = select(~bits, magnitude | SIGN, positive | (magnitude == 0u)); // -0 folds into +0
    return select(key, 0xffffffffu, magnitude > INFINITY);                  // every NaN
}

// Whether packed entry a comes before b.
fn precedes(a: vec2<u32>, b: vec2<u32>) -> bool {
    return (a.x > b.x) | ((a.x == b.x) & (a.y > b.y));
}

// Neither +0 nor -0.
fn is_nonzero(bits: u32) -> bool {
    return (bits & MAGNITUDE) != 0u;
}

// Infinite or NaN.
fn is_nonfinite(bits: u32) -> bool {
    return (bits & INFINITY) == INFINITY;
}
