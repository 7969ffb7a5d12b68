// lm_head for few rows where barriers are dear (an emulated device) and 16 divides d_model: no thread waits for another. A thread makes
// four logits of one row, or two, and an input that it has read feeds all of them; a workgroup of `threads` makes 16. What the norm needs,
// every thread sums for itself. Grid: (ids of the shard / 16, rows), as for lm_head_matvec.wgsl; the first workgroup of a row writes the
// normalized row likewise.
// @import parts/lm_head.wgsl
// @import parts/source.wgsl

override threads: u32 = 4u; // 4 or 8

// Sixteen numbers of a row of W; those of 8 bits without their scale.
fn sixteen_weights(id: u32, sixteen: u32) -> mat4x4<f32> {
    if (weight_type == 4u) {
        let w = weights[table_row(id).y / 4u + sixteen];
        return mat4x4<f32>(four_bytes(w.x), four_bytes(w.y), four_bytes(w.z), four_bytes(w.w));
    }
    if (weight_type == 0u) {
        let at = id * (stride / 4u) + 4u * sixteen;
        return mat4x4<f32>(
            bitcast<vec4<f32>>(weights[at]),
            bitcast<vec4<f32>>(weights[at + 1u]),
            bitcast<vec4<f32>>(weights[at + 2u]),
            bitcast<vec4<f32>>(weights[at + 3u]),
        );
    }
    let at = id * (stride / 8u) + 2u * sixteen;
    let a = weights[at];
    let b = weights[at + 1u];
    return mat4x4<f32>(
        vec4<f32>(two_halves(weight_type, a.x), two_halves(weight_type, a.y)),
        vec4<f32>(two_halves(weight_type, a.z), two_halves(weight_type, a.w)),
        vec4<f32>(two_halves(weight_type, b.x), two_halves(weight_type, b.y)),
        vec4<f32>(two_halves(weight_type, b.z), two_halves(weight_type, b.w)),
    );
}

fn product(x: mat4x4<f32>, id: u32, sixteen: u32) -> vec4<f32> {
    let w = sixteen_weights(id, sixteen);
    return x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
}

fn own_stats(first: u32) -> vec2<f32> {
    if (norm == 0u) {
        return vec2<f32>(0.0, 1.0);
    }
    // Four sums, so that none gets long.
    var mean = 0.0;
    if (norm == LAYER_NORM) {
        var sums = vec4<f32>(0.0);
        for (var i = first; i < first + n_inputs; i += 4u) {
            sums += four_inputs(i);
        }
        mean = dot(sums, vec4<f32>(1.0)) / f32(n_inputs);
    }
    var squares = vec4<f32>(0.0);
    for (var i = first; i < first + n_inputs; i += 4u) {
        let centred = four_inputs(i) - mean;
        squares += centred * centred;
    }
    return vec2<f32>(mean, inverseSqrt(dot(squares, vec4<f32>(1.0)) / f32(n_inputs) + eps));
}

fn four_inputs(at: u32) -> vec4<f32> {
    return vec4<f32>(source[at], source[at + 1u], source[at + 2u], source[at + 3u]);
}

fn four_normed(first: u32, i: u32, stats: vec2<f32>) -> vec4<f32> {
    let x = four_inputs(first + i);
    return vec4<f32>(
        normed(x.x, i, stats),
        normed(x.y, i + 1u, stats),
        normed(x.z, i + 2u, stats),
        normed(x.w, i + 3u, stats),
    );
}

// The sums of four rows of W, of which the last two may be left out.
fn four_sums(first: u32, ids: vec4<u32>, stats: vec2<f32>) -> vec4<f32> {
    var a = vec4<f32>(0.0);
    var b = vec4<f32>(0.0);
    var c = vec4<f32>(0.0);
    var d = vec4<f32>(0.0);
    for (var sixteen = 0u; 16u * sixteen < n_inputs; sixteen++) {
        let i = 16u * sixteen;
        let x = mat4x4<f32>(
            four_normed(first, i, stats),
            four_normed(first, i + 4u, stats),
            four_normed(first, i + 8u, stats),
            four_normed(first, i + 12u, stats),
        );
        a += product(x, ids.x, sixteen);
        b += product(x, ids.y, sixteen);
        if (threads == 4u) {
            c += product(x, ids.z, sixteen);
            d += product(x, ids.w, sixteen);
        }
    }
    let sums = vec4<f32>(dot(a, vec4<f32>(1.0)), dot(b, vec4<f32>(1.0)), dot(c, vec4<f32>(1.0)), dot(d, vec4<f32>(1.0)));
    if (weight_type == 4u) {
        return sums * vec4<f32>(row_scale(ids.x), row_scale(ids.y), row_scale(ids.z), row_scale(ids.w));
    }
    return sums;
}

fn row_scale(id: u32) -> f32 {
    return bitcast<f32>(word_at(table_row(id).x));
}

@compute @workgroup_size(threads)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = params.aux0 + group.y;
    let first = row * n_inputs;
    let stats = own_stats(first);
    if (group.x == 0u) {
        for (var i = thread; i < n_inputs; i += threads) {
            normalized[first + i] = before_gain(source[first + i], stats);
        }
    }
    let each = 16u / threads;
    let id = group.x * 16u + thread * each;
    if (id >= params.aux2) {
        return;
    }
    // Rows that are not there are the last one once more, which is not stored.
    let ids = params.aux1 + min(vec4<u32>(id, id + 1u, id + 2u, id + 3u), vec4<u32>(params.aux2 - 1u));
    let sums = four_sums(first, ids, stats);
    for (var i = 0u; i < each; i++) {
        store_logit(group.y, id + i, sums[i]);
    }
}
