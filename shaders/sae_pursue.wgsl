// Matching pursuit: again and again the feature whose decoder row the rest of x has most of, its share taken off the rest. One workgroup of
// 256 threads a row; each thread scores every 256th feature, then all find the largest (the lowest index at a tie). Grid: (rows).
// @import parts/sae_input.wgsl
// @import parts/order.wgsl

@group(0) @binding(6) var<storage, read_write> clean: array<f32>; // [rows, d_sae]
@group(0) @binding(7) var<storage, read_write> rest: array<f32>;  // [rows, d_in]

override iterations: u32 = 1u;
override residual: f32 = 0.0;          // ends when the rest is shorter; 0: never
override stop_on_duplicate: u32 = 1u;  // ends when a feature comes again

var<workgroup> best_values: array<f32, 256>;
var<workgroup> best_features: array<u32, 256>;
var<workgroup> chosen: vec2<u32>; // feature, bits of its value
var<workgroup> ended: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    let first = row * d_in;
    let scale = scale_of(row, thread);
    keep(row, scale, thread);
    for (var i = thread; i < d_in; i += 256u) {
        rest[first + i] = encoder_input(row, i, scale);
    }
    for (var f = thread; f < d_sae; f += 256u) {
        clean[row * d_sae + f] = 0.0;
    }
    storageBarrier();
    for (var step = 0u; step < iterations; step++) {
        var best = -1.0;
        var feature = 0u;
        for (var f = thread; f < d_sae; f += 256u) {
            var score = 0.0;
            for (var i = 0u; i < d_in; i++) {
                score += rest[first + i] * weight_at(f, i);
            }
            if (is_nonfinite(bitcast<u32>(score))) {
                clean[row * d_sae + f] = score; // for sae_activate.wgsl, which says so
            }
            score = max(score, 0.0);
            if (score > best) {
                best = score;
                feature = f;
            }
        }
        best_values[thread] = best;
        best_features[thread] = feature;
        workgroupBarrier();
        if (thread == 0u) {
            for (var other = 1u; other < 256u; other++) {
                let value = best_values[other];
                if (value > best || (value == best && best_features[other] < feature)) {
                    best = value;
                    feature = best_features[other];
                }
            }
            let at = row * d_sae + feature;
            ended = select(0u, 1u, stop_on_duplicate == 1u && (clean[at] != 0.0 || best <= 0.0));
            clean[at] += best;
            chosen = vec2<u32>(feature, bitcast<u32>(best));
        }
        let which = workgroupUniformLoad(&chosen);
        var squares = 0.0;
        for (var i = thread; i < d_in; i += 256u) {
            let value = rest[first + i] - bitcast<f32>(which.y) * weight_at(which.x, i);
            rest[first + i] = value;
            squares += value * value;
        }
        let length = sqrt(total(thread, squares));
        storageBarrier();
        let stop = workgroupUniformLoad(&ended);
        if (stop == 1u) {
            break;
        }
        // Every thread has the same sum, but a compiler can't know it.
        if (thread == 0u) {
            ended = select(0u, 1u, residual > 0.0 && length < residual);
        }
        if (workgroupUniformLoad(&ended) == 1u) {
            break;
        }
    }
}
