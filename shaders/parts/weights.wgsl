// @import parts/numbers.wgsl
// A stored matrix [rows, stride]: f32, f16/bf16 two to a word, or numbers of 8 or 4 bits, four or eight to a word, beside their scales;
// read as pairs of neighbours (`weights.rs` says which outputs are paired), or of 8 and 4 bits by sixteens (parts/sixteen.wgsl). All
// arithmetic is f32.

@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;

override weight_type: u32 = 0u; // 0 f32, 1 f16, 2 bf16, 3 and 4: see eight_bit_pair, 5: see weight_pair
override stride: u32 = 2u;      // numbers in a stored row, even
override group_rows: u32 = 1u;     // 5: rows of a group
override words_in_front: u32 = 0u; // 5: words in front of the numbers, [groups, stride]

fn word_at(at: u32) -> u32 {
    return weights[at / 4u][at % 4u];
}

fn two_words(first: u32) -> vec2<u32> {
    return vec2<u32>(word_at(first), word_at(first + 1u));
}

// Numbers 2·pair and 2·pair + 1 of a row.
fn weight_pair(row: u32, pair: u32) -> vec2<f32> {
    let at = row * (stride / 2u) + pair;
    if (weight_type == 5u) {
        let both = two_words(row / group_rows * stride + 2u * pair);
        return two_of_four_bits(word_at(words_in_front + at / 4u), at % 4u, both);
    }
    if (weight_type >= 3u) {
        return eight_bit_pair(row, pair);
    }
    if (weight_type == 0u) {
        return bitcast<vec2<f32>>(two_words(2u * at));
    }
    return two_halves(weight_type, word_at(at));
}

// Of a table, whose rows fill whole words: four rows at a time, their four scales in front. The words of a row's scale and numbers.
fn table_row(row: u32) -> vec2<u32> {
    let words = (stride + 3u) / 4u;
    let first = row / 4u * (4u * words + 4u);
    return vec2<u32>(first + row % 4u, first + 4u + row % 4u * words);
}

// 3: a matrix: the scales of its columns, then its numbers. 4: a table.
fn eight_bit_pair(row: u32, pair: u32) -> vec2<f32> {
    if (weight_type == 4u) {
        let at = table_row(row);
        return bitcast<f32>(word_at(at.x)) * two_bytes(word_at(at.y + pair / 2u), pair % 2u);
    }
    let half = row * (stride / 2u) + pair;
    return bitcast<vec2<f32>>(two_words(2u * pair)) * two_bytes(word_at(stride + half / 2u), half % 2u);
}

// One number of a row.
fn weight_at(row: u32, column: u32) -> f32 {
    let both = weight_pair(row, column / 2u);
    return select(both.x, both.y, column % 2u == 1u);
}
