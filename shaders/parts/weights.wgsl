// A stored matrix [rows, stride]: f32, or f16/bf16 two to a word; read as pairs of neighbours (`weights.rs` says which
// outputs are paired). Values mean exactly what the file says; all arithmetic is f32.

@group(0) @binding(2) var<storage, read> weights: array<u32>;

override weight_type: u32 = 0u; // 0 f32, 1 f16, 2 bf16
override stride: u32 = 2u;      // numbers in a stored row, even

// Numbers 2·pair and 2·pair + 1 of a row.
fn weight_pair(row: u32, pair: u32) -> vec2<f32> {
    let word = row * (stride / 2u) + pair;
    if (weight_type == 1u) {
        return unpack2x16float(weights[word]);
    }
    if (weight_type == 2u) {
        let both = weights[word];
        return bitcast<vec2<f32>>(vec2<u32>(both << 16u, both & 0xffff0000u));
    }
    return bitcast<vec2<f32>>(vec2<u32>(weights[2u * word], weights[2u * word + 1u]));
}

// One number of a row.
fn weight_at(row: u32, column: u32) -> f32 {
    let both = weight_pair(row, column / 2u);
    return select(both.x, both.y, column % 2u == 1u);
}
