// @import parts/numbers.wgsl
// A matrix [rows, down_stride], stored as parts/weights.wgsl says, of which a thread takes four columns of a sum of rows. Whoever imports
// this defines factor(j): by what row j of those is multiplied.

@group(0) @binding(5) var<storage, read> down: array<u32>;

override down_type: u32 = 0u;
override down_stride: u32 = 2u;
override down_group: u32 = 1u;
override down_words: u32 = 0u;

fn two_of_down(first: u32) -> vec2<u32> {
    return vec2<u32>(down[first], down[first + 1u]);
}

// As `weight_pair`.
fn down_pair(row: u32, pair: u32) -> vec2<f32> {
    let at = row * (down_stride / 2u) + pair;
    if (down_type == 5u) {
        let both = two_of_down(row / down_group * down_stride + 2u * pair);
        return two_of_four_bits(down[down_words + at / 4u], at % 4u, both);
    }
    if (down_type == 3u) {
        return bitcast<vec2<f32>>(two_of_down(2u * pair)) * two_bytes(down[down_stride + at / 2u], at % 2u);
    }
    if (down_type == 0u) {
        return bitcast<vec2<f32>>(two_of_down(2u * at));
    }
    return two_halves(down_type, down[at]);
}

fn four_of_down(first: u32) -> vec4<u32> {
    return vec4<u32>(two_of_down(first), two_of_down(first + 2u));
}

// Columns 4·quad … of the sum of `count` rows from `first` on. Of 8 and 4 bits, where four numbers are not in two words, they come from one
// load, and their scales once, or once a group.
fn down_sum(first: u32, count: u32, quad: u32) -> vec4<f32> {
    let quads = down_stride / 4u;
    var sum = vec4<f32>(0.0);
    if (down_stride % 4u != 0u || down_type < 3u) {
        for (var j = 0u; j < count; j++) {
            sum += factor(j) * vec4<f32>(down_pair(first + j, 2u * quad), down_pair(first + j, 2u * quad + 1u));
        }
        return sum;
    }
    if (down_type == 3u) {
        for (var j = 0u; j < count; j++) {
            sum += factor(j) * four_bytes(down[down_stride + (first + j) * quads + quad]);
        }
        return bitcast<vec4<f32>>(four_of_down(4u * quad)) * sum;
    }
    var j = 0u;
    while (j < count) {
        let group = (first + j) / down_group;
        let words = four_of_down(group * down_stride + 4u * quad);
        var part = vec4<f32>(0.0);
        for (; j < min(count, (group + 1u) * down_group - first); j++) {
            let half = (first + j) * quads + quad;
            part += factor(j) * four_bits(down[down_words + half / 2u] >> (16u * (half % 2u)), words);
        }
        sum += group_scales(words) * part;
    }
    return sum;
}
