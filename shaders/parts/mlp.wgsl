// @import parts/params.wgsl
// @import parts/weights.wgsl
// @import parts/norm.wgsl
// @import parts/reduce.wgsl
// @import parts/activation.wgsl
// The MLP for few rows in one dispatch (ops/fused.rs says when), behind attention_out.wgsl: one workgroup of 256 threads makes 16 output
// pairs of the first product, 16 threads a pair, and multiplies what the activation makes of them with their rows of the second matrix. The
// results are added where they are read (parts/residual.wgsl), and the stream behind the attention, which the first workgroup of a row
// writes, is the first of them. RMSNorm only. Grid: (pairs / 16, rows). Whoever imports this defines
//   keep(i, x): what becomes of number i of the stream behind the attention
//   first_product(row, pair, split) -> the part of a pair that thread `split` of 16 adds up, before the norm's scale

@group(0) @binding(1) var<storage, read> hidden: array<f32>;           // [rows, d_model]
@group(0) @binding(4) var<storage, read> head_out: array<f32>;         // [rows, n_heads, d_model + d_head], see attention_out.wgsl
@group(0) @binding(5) var<storage, read> down: array<u32>;             // [d_mlp, down_stride], stored as `weights`
@group(0) @binding(7) var<storage, read_write> mlp_parts: array<f32>;  // [rows, 1 + workgroups, d_model]

override n_heads: u32 = 1u;
override d_head: u32 = 2u;
override n_outputs: u32 = 2u;
override d_mlp: u32 = 1u;
override down_type: u32 = 0u;
override down_stride: u32 = 2u;
override down_group: u32 = 1u;
override down_words: u32 = 0u;
override bias_at: u32 = 0xffffffffu;

var<workgroup> partials: array<vec2<f32>, 256>;
var<workgroup> post: array<f32, 32>;

// As `weight_pair`.
fn down_pair(row: u32, pair: u32) -> vec2<f32> {
    let word = row * (down_stride / 2u) + pair;
    if (down_type == 5u) {
        let words = row / down_group * down_stride + 2u * pair;
        return four_bits(down[down_words + word / 4u], word % 4u, vec2<u32>(down[words], down[words + 1u]));
    }
    if (down_type == 3u) {
        let scales = vec2<u32>(down[2u * pair], down[2u * pair + 1u]);
        return bitcast<vec2<f32>>(scales) * two_bytes(down[down_stride + word / 2u], word % 2u);
    }
    if (down_type == 0u) {
        return bitcast<vec2<f32>>(vec2<u32>(down[2u * word], down[2u * word + 1u]));
    }
    return two_halves(down_type, down[word]);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y;
    let parts = row * (groups.x + 1u) * n_inputs;
    var squares = 0.0;
    for (var i = thread; i < n_inputs; i += 256u) {
        var attn_out = 0.0;
        for (var head = 0u; head < n_heads; head++) {
            attn_out += head_out[(row * n_heads + head) * (n_inputs + d_head) + i];
        }
        let x = hidden[row * n_inputs + i] + attn_out;
        keep(i, x);
        squares += x * x;
        if (group.x == 0u) {
            mlp_parts[parts + i] = x;
        }
    }
    // The barriers of `total` also publish what was kept.
    let scale = inverseSqrt(total(thread, squares) / f32(n_inputs) + eps);
    let lane = thread % 16u;
    let pair = group.x * 16u + lane;
    var sum = vec2<f32>(0.0);
    if (2u * pair < n_outputs) {
        sum = first_product(row, pair, thread / 16u);
    }
    partials[thread] = sum;
    workgroupBarrier();
    let width = select(2u, 1u, gated == 1u); // numbers that a pair makes
    if (thread < 16u) {
        for (var split = 1u; split < 16u; split++) {
            sum += partials[split * 16u + thread];
        }
        sum *= scale;
        if (bias_at != ABSENT) {
            sum += vec2<f32>(vectors[bias_at + 2u * pair], vectors[bias_at + 2u * pair + 1u]);
        }
        if (gated == 1u) {
            post[lane] = activated(sum.x) * sum.y;
        } else {
            post[2u * lane] = activated(sum.x);
            post[2u * lane + 1u] = activated(sum.y);
        }
    }
    workgroupBarrier();
    let first = group.x * 16u * width;
    let count = min(16u * width, d_mlp - first);
    for (var out = thread; 2u * out < n_inputs; out += 256u) {
        var product = vec2<f32>(0.0);
        for (var j = 0u; j < count; j++) {
            product += post[j] * down_pair(first + j, out);
        }
        let at = parts + (group.x + 1u) * n_inputs + 2u * out;
        mlp_parts[at] = product.x;
        if (2u * out + 1u < n_inputs) {
            mlp_parts[at + 1u] = product.y;
        }
    }
}
