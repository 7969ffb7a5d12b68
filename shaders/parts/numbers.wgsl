// Numbers of 16, 8 and 4 bits out of the words in which they are stored. Values mean exactly what the file says.

// The two numbers of a word of f16 (kind 1) or bf16 (2).
fn two_halves(kind: u32, both: u32) -> vec2<f32> {
    if (kind == 1u) {
        return unpack2x16float(both);
    }
    return bitcast<vec2<f32>>(vec2<u32>(both << 16u, both & 0xffff0000u));
}

// The two numbers of the lower (0) or upper half of a word of bytes.
fn two_bytes(word: u32, half: u32) -> vec2<f32> {
    return four_bytes(word >> (16u * half)).xy;
}

// Each byte is moved to the top of a word by a product, and down again as f32, both exact: an emulated device has no quick shift of
// vectors.
fn four_bytes(word: u32) -> vec4<f32> {
    let top = (vec4<u32>(word) * vec4<u32>(0x1000000u, 0x10000u, 0x100u, 1u)) & vec4<u32>(0xff000000u);
    return vec4<f32>(bitcast<vec4<i32>>(top)) * 5.9604644775390625e-8; // 2⁻²⁴
}

// The four numbers of the lower half of a word of 4 bits each, q - zero; `group` has their words of the group: the scale as f16 below, the
// zero above.
fn four_bits(word: u32, group: vec4<u32>) -> vec4<f32> {
    let q = (vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    return vec4<f32>(vec4<i32>(q) - vec4<i32>(group >> vec4<u32>(16u)));
}

fn group_scales(group: vec4<u32>) -> vec4<f32> {
    let two = vec4<f32>(unpack2x16float(group.x), unpack2x16float(group.y));
    return vec4<f32>(two.xz, unpack2x16float(group.z).x, unpack2x16float(group.w).x);
}

// The two numbers of a byte of a word of 4 bits each, in full; `both` are their words of the group.
fn two_of_four_bits(word: u32, byte: u32, both: vec2<u32>) -> vec2<f32> {
    let group = both.xyxy;
    return four_bits(word >> (8u * byte), group).xy * group_scales(group).xy;
}
