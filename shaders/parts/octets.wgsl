// @import parts/linear.wgsl
// Eight neighbouring numbers of a row of W at a time, where they fill whole words; else by pairs. Those of 8 bits come without their
// scales, which a sum gets at its end. What lies behind a row is never stored: it may be anything.

fn in_octets() -> bool {
    return stride % 8u == 0u;
}

// 4 bits: the first row of the group whose words for the octet were read last, and what they say. A quotient is dear: one a group.
var<private> group_first: u32 = 0x80000000u;
var<private> group_zeros: mat2x4<f32>;
var<private> group_units: mat2x4<f32>;

fn four_zeros(group: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(group >> vec4<u32>(16u));
}

fn four_nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
}

fn read_group(i: u32, octet: u32) {
    let group = i / group_rows;
    let low = weights[group * (stride / 4u) + 2u * octet];
    let high = weights[group * (stride / 4u) + 2u * octet + 1u];
    group_first = group * group_rows;
    group_zeros = mat2x4<f32>(four_zeros(low), four_zeros(high));
    group_units = mat2x4<f32>(group_scales(low), group_scales(high));
}

// Columns 8·octet … of row i; a thread asks for one octet only.
fn octet_of(i: u32, octet: u32) -> mat2x4<f32> {
    if (weight_type == 0u && in_octets()) {
        let at = i * (stride / 4u) + 2u * octet;
        return mat2x4<f32>(bitcast<vec4<f32>>(weights[at]), bitcast<vec4<f32>>(weights[at + 1u]));
    }
    if ((weight_type == 1u || weight_type == 2u) && in_octets()) {
        let w = weights[i * (stride / 8u) + octet];
        return mat2x4<f32>(
            vec4<f32>(two_halves(weight_type, w.x), two_halves(weight_type, w.y)),
            vec4<f32>(two_halves(weight_type, w.z), two_halves(weight_type, w.w)),
        );
    }
    if (weight_type == 3u && in_octets()) {
        let w = two_words(stride + i * (stride / 4u) + 2u * octet);
        return mat2x4<f32>(four_bytes(w.x), four_bytes(w.y));
    }
    if (weight_type == 5u && in_octets()) {
        if (i - group_first >= group_rows) {
            read_group(i, octet);
        }
        let w = word_at(words_in_front + i * (stride / 8u) + octet);
        return mat2x4<f32>(
            (four_nibbles(w) - group_zeros[0]) * group_units[0],
            (four_nibbles(w >> 16u) - group_zeros[1]) * group_units[1],
        );
    }
    return mat2x4<f32>(
        vec4<f32>(weight_pair(i, 4u * octet), weight_pair(i, 4u * octet + 1u)),
        vec4<f32>(weight_pair(i, 4u * octet + 2u), weight_pair(i, 4u * octet + 3u)),
    );
}

// What a sum of such numbers counts.
fn octet_units(octet: u32) -> mat2x4<f32> {
    if (weight_type == 3u && in_octets()) {
        return mat2x4<f32>(bitcast<vec4<f32>>(weights[2u * octet]), bitcast<vec4<f32>>(weights[2u * octet + 1u]));
    }
    return mat2x4<f32>(vec4<f32>(1.0), vec4<f32>(1.0));
}

fn in_units(sums: mat2x4<f32>, factor: f32, units: mat2x4<f32>) -> mat2x4<f32> {
    return mat2x4<f32>(factor * sums[0] * units[0], factor * sums[1] * units[1]);
}
