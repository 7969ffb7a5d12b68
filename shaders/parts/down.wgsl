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

fn two_down_pairs(row: u32, quad: u32) -> vec4<f32> {
    return vec4<f32>(down_pair(row, 2u * quad), down_pair(row, 2u * quad + 1u));
}

// Columns 4·quad … of the sum of `count` rows from `first` on. Several rows are asked for at once: one after the other, each would wait for
// memory as long as all of them. Of 8 and 4 bits, where four numbers are not in two words, they come from one
// load, and their scales once, or once a group.
fn down_sum(first: u32, count: u32, quad: u32) -> vec4<f32> {
    let quads = down_stride / 4u;
    var sum = vec4<f32>(0.0);
    if (down_stride % 4u != 0u || down_type < 3u) {
        var j = 0u;
        for (; j + 4u <= count; j += 4u) {
            let a = two_down_pairs(first + j, quad);
            let b = two_down_pairs(first + j + 1u, quad);
            let c = two_down_pairs(first + j + 2u, quad);
            let d = two_down_pairs(first + j + 3u, quad);
            sum += factor(j) * a;
            sum += factor(j + 1u) * b;
            sum += factor(j + 2u) * c;
            sum += factor(j + 3u) * d;
        }
        for (; j < count; j++) {
            sum += factor(j) * two_down_pairs(first + j, quad);
        }
        return sum;
    }
    if (down_type == 3u) {
        var at = down_stride + first * quads + quad;
        var j = 0u;
        for (; j + 8u <= count; j += 8u) {
            let a = down[at];
            let b = down[at + quads];
            let c = down[at + 2u * quads];
            let d = down[at + 3u * quads];
            let e = down[at + 4u * quads];
            let f = down[at + 5u * quads];
            let g = down[at + 6u * quads];
            let h = down[at + 7u * quads];
            sum += factor(j) * four_bytes(a);
            sum += factor(j + 1u) * four_bytes(b);
            sum += factor(j + 2u) * four_bytes(c);
            sum += factor(j + 3u) * four_bytes(d);
            sum += factor(j + 4u) * four_bytes(e);
            sum += factor(j + 5u) * four_bytes(f);
            sum += factor(j + 6u) * four_bytes(g);
            sum += factor(j + 7u) * four_bytes(h);
            at += 8u * quads;
        }
        for (; j < count; j++) {
            sum += factor(j) * four_bytes(down[at]);
            at += quads;
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
