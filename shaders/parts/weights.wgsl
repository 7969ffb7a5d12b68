// A stored matrix [rows, stride]: f32, f16/bf16 two to a word, or numbers of 8 or 4 bits, four or eight to a word, beside their scales;
// read as pairs of neighbours (`weights.rs` says which outputs are paired). Values mean exactly what the file says; all arithmetic is f32.

@group(0) @binding(2) var<storage, read> weights: array<u32>;

override weight_type: u32 = 0u; // 0 f32, 1 f16, 2 bf16, 3 and 4: see eight_bit_pair, 5: see four_bits
override stride: u32 = 2u;      // numbers in a stored row, even
override group_rows: u32 = 1u;     // 5: rows of a group
override words_in_front: u32 = 0u; // 5: words in front of the numbers

// Numbers 2·pair and 2·pair + 1 of a row.
fn weight_pair(row: u32, pair: u32) -> vec2<f32> {
    if (weight_type == 5u) {
        let words = row / group_rows * stride + 2u * pair;
        let half = row * (stride / 2u) + pair;
        return four_bits(weights[words_in_front + half / 4u], half % 4u, vec2<u32>(weights[words], weights[words + 1u]));
    }
    if (weight_type >= 3u) {
        return eight_bit_pair(row, pair);
    }
    let word = row * (stride / 2u) + pair;
    if (weight_type == 0u) {
        return bitcast<vec2<f32>>(vec2<u32>(weights[2u * word], weights[2u * word + 1u]));
    }
    return two_halves(weight_type, weights[word]);
}

// The two numbers of a word of f16 or bf16.
fn two_halves(kind: u32, both: u32) -> vec2<f32> {
    if (kind == 1u) {
        return unpack2x16float(both);
    }
    return bitcast<vec2<f32>>(vec2<u32>(both << 16u, both & 0xffff0000u));
}

// 3: a matrix: the scales of its columns, then its numbers. 4: a table: each row its scale, then its numbers, to a whole word.
fn eight_bit_pair(row: u32, pair: u32) -> vec2<f32> {
    if (weight_type == 4u) {
        let first = row * ((stride + 3u) / 4u + 1u);
        return bitcast<f32>(weights[first]) * two_bytes(weights[first + 1u + pair / 2u], pair % 2u);
    }
    let half = row * (stride / 2u) + pair;
    let scales = vec2<u32>(weights[2u * pair], weights[2u * pair + 1u]);
    return bitcast<vec2<f32>>(scales) * two_bytes(weights[stride + half / 2u], half % 2u);
}

// The two numbers of the lower (0) or upper half of a word.
fn two_bytes(word: u32, half: u32) -> vec2<f32> {
    let four = bitcast<i32>(word);
    return vec2<f32>(vec2<i32>(extractBits(four, 16u * half, 8u), extractBits(four, 16u * half + 8u, 8u)));
}

// The two numbers of a byte of a word, each (q - zero) * scale; `both` are their words of the group: the scale as f16 below, the zero
// above. In front of a matrix of them are the words [groups, stride].
fn four_bits(word: u32, byte: u32, both: vec2<u32>) -> vec2<f32> {
    let q = vec2<u32>(extractBits(word, 8u * byte, 4u), extractBits(word, 8u * byte + 4u, 4u));
    let scales = vec2<f32>(unpack2x16float(both.x).x, unpack2x16float(both.y).x);
    return vec2<f32>(vec2<i32>(q) - vec2<i32>(both >> vec2<u32>(16u))) * scales;
}

// One number of a row.
fn weight_at(row: u32, column: u32) -> f32 {
    let both = weight_pair(row, column / 2u);
    return select(both.x, both.y, column % 2u == 1u);
}
