// Sixteen numbers of 128 threads, or of as many places in a row, in workgroup memory (8 KiB): number n of place p at 129·n + p, so that
// neighbours are in different banks whether they differ in p or in n.

var<workgroup> sixteens: array<f32, 2064>;

fn four_of(at: u32) -> vec4<f32> {
    return vec4<f32>(sixteens[at], sixteens[at + 129u], sixteens[at + 258u], sixteens[at + 387u]);
}

fn sixteen_of(place: u32) -> mat4x4<f32> {
    return mat4x4<f32>(four_of(place), four_of(place + 516u), four_of(place + 1032u), four_of(place + 1548u));
}

fn keep_four(at: u32, four: vec4<f32>) {
    sixteens[at] = four.x;
    sixteens[at + 129u] = four.y;
    sixteens[at + 258u] = four.z;
    sixteens[at + 387u] = four.w;
}

fn keep_sixteen(place: u32, sixteen: mat4x4<f32>) {
    keep_four(place, sixteen[0]);
    keep_four(place + 516u, sixteen[1]);
    keep_four(place + 1032u, sixteen[2]);
    keep_four(place + 1548u, sixteen[3]);
}
