// @import parts/weights.wgsl
// @import parts/sixteen.wgsl
// A sum of rows of W, each times a number, for 16 output pairs, by a workgroup of 256 threads. Thread (split, lane) sums every 16th term
// for pair `lane`, so 16 neighbouring threads read 64 (f16) or 128 (f32) bytes in a row of W. Of 8 or 4 bits, where 16 bytes divide a row,
// it is 128 splits of two lanes: a load gives a thread 16 outputs, and their scales come once, or once a group. Whoever imports this has
// `n_outputs` and defines
//   term(row, n) -> term n of the sum for a row of the batch

struct Term {
    at: u32, // row of W
    factor: f32,
}

fn by_sixteen() -> bool {
    return (weight_type == 3u && stride % 16u == 0u) || (weight_type == 5u && stride % 32u == 0u);
}

// What a thread has of pair thread % 16 of those from `first` on: 16 threads' parts make a pair. Its barriers are for all threads.
fn pair_part(row: u32, count: u32, first: u32, thread: u32) -> vec2<f32> {
    if (by_sixteen()) {
        return met(sixteen_parts(row, count, first, thread), first, thread);
    }
    return plain_part(row, count, first, thread);
}

fn plain_part(row: u32, count: u32, first: u32, thread: u32) -> vec2<f32> {
    let pair = first + thread % 16u;
    var sum = vec2<f32>(0.0);
    if (2u * pair < n_outputs) {
        // Four at once: one after the other, each would wait for memory as long as all of them.
        var n = thread / 16u;
        for (; n + 48u < count; n += 64u) {
            let a = term(row, n);
            let b = term(row, n + 16u);
            let c = term(row, n + 32u);
            let d = term(row, n + 48u);
            let w_a = weight_pair(a.at, pair);
            let w_b = weight_pair(b.at, pair);
            let w_c = weight_pair(c.at, pair);
            let w_d = weight_pair(d.at, pair);
            sum += a.factor * w_a;
            sum += b.factor * w_b;
            sum += c.factor * w_c;
            sum += d.factor * w_d;
        }
        for (; n < count; n += 16u) {
            let one = term(row, n);
            sum += one.factor * weight_pair(one.at, pair);
        }
    }
    return sum;
}

fn sixteen_bytes(row: u32, sixteen: u32) -> vec4<u32> {
    return weights[stride / 4u + row * (stride / 16u) + sixteen];
}

fn of_bytes(w: vec4<u32>) -> mat4x4<f32> {
    return mat4x4<f32>(four_bytes(w.x), four_bytes(w.y), four_bytes(w.z), four_bytes(w.w));
}

// A thread's part of 16 outputs; of 8 bits without their scales.
fn sixteen_parts(row: u32, count: u32, first: u32, thread: u32) -> mat4x4<f32> {
    let sixteen = first / 8u + thread % 2u;
    var sums = mat4x4<f32>();
    if (16u * sixteen >= n_outputs) {
        return sums;
    }
    if (weight_type == 3u) {
        var n = thread / 2u;
        for (; n + 384u < count; n += 512u) {
            let a = term(row, n);
            let b = term(row, n + 128u);
            let c = term(row, n + 256u);
            let d = term(row, n + 384u);
            let w_a = sixteen_bytes(a.at, sixteen);
            let w_b = sixteen_bytes(b.at, sixteen);
            let w_c = sixteen_bytes(c.at, sixteen);
            let w_d = sixteen_bytes(d.at, sixteen);
            sums += a.factor * of_bytes(w_a);
            sums += b.factor * of_bytes(w_b);
            sums += c.factor * of_bytes(w_c);
            sums += d.factor * of_bytes(w_d);
        }
        for (; n < count; n += 128u) {
            let one = term(row, n);
            sums += one.factor * of_bytes(sixteen_bytes(one.at, sixteen));
        }
        return sums;
    }
    // Neighbouring terms, so that a group's scales come once.
    let each = (count + 127u) / 128u;
    let end = min(count, (thread / 2u + 1u) * each);
    var n = thread / 2u * each;
    while (n < end) {
        var one = term(row, n);
        let group = one.at / group_rows;
        let at = group * (stride / 4u) + 4u * sixteen;
        let a = weights[at];
        let b = weights[at + 1u];
        let c = weights[at + 2u];
        let d = weights[at + 3u];
        var part = mat4x4<f32>();
        loop {
            let w = weights[words_in_front / 4u + one.at * (stride / 32u) + sixteen / 2u];
            let two = select(w.xy, w.zw, sixteen % 2u == 1u);
            let q = mat4x4<f32>(four_bits(two.x, a), four_bits(two.x >> 16u, b), four_bits(two.y, c), four_bits(two.y >> 16u, d));
            part += one.factor * q;
            n++;
            if (n >= end) {
                break;
            }
            one = term(row, n);
            if (one.at / group_rows != group) {
                break;
            }
        }
        sums += mat4x4<f32>(
            part[0] * group_scales(a),
            part[1] * group_scales(b),
            part[2] * group_scales(c),
            part[3] * group_scales(d),
        );
    }
    return sums;
}

// From 128 threads' parts of 16 outputs to 16 threads' parts of a pair.
fn met(parts: mat4x4<f32>, first: u32, thread: u32) -> vec2<f32> {
    let place = thread % 128u;
    if (thread >= 128u) {
        keep_sixteen(place, parts);
    }
    workgroupBarrier();
    if (thread < 128u) {
        keep_sixteen(place, parts + sixteen_of(place));
    }
    workgroupBarrier();
    let at = 258u * (thread % 8u) + 8u * (thread / 16u) + thread / 8u % 2u;
    var sum = vec2<f32>(0.0);
    for (var split = 0u; split < 8u; split += 2u) {
        sum += vec2<f32>(sixteens[at + split], sixteens[at + 129u + split]);
    }
    if (weight_type == 3u) {
        sum *= bitcast<vec2<f32>>(two_words(2u * (first + thread % 16u)));
    }
    return sum;
}
