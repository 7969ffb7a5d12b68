// The MLP of a block whose input is the active list of a TopK block: see parts/mlp.wgsl. The first product is a gather of the rows of W
// that active entries select, and what the attention adds: the values of its heads times a small matrix (ops/mlp_in.rs has the sum).
// @import parts/mlp.wgsl

// Per row 2 + 2·capacity words: count, unused, then (index, value bits) by index.
@group(0) @binding(6) var<storage, read> entries: array<u32>;
@group(0) @binding(8) var<storage, read> product: array<f32>; // [n_heads · d_head, n_outputs]

override capacity: u32 = 1u;

fn keep(i: u32, x: f32) {}

fn term(row: u32, n: u32) -> Term {
    let at = row * (2u + 2u * capacity) + 2u + 2u * n;
    let i = entries[at];
    return Term(i, bitcast<f32>(entries[at + 1u]) * vectors[gain_at + i]);
}

// What number i of the heads' values adds to a pair of outputs.
fn of_head(row: u32, i: u32, column: u32) -> vec2<f32> {
    let head = i / d_head;
    let value = head_out[(row * n_heads + head) * (n_inputs + d_head) + n_inputs + i - head * d_head];
    let at = i * n_outputs + column;
    return value * vec2<f32>(product[at], product[at + 1u]);
}

fn first_product(row: u32, first: u32, thread: u32) -> vec2<f32> {
    var sum = pair_part(row, entries[row * (2u + 2u * capacity)], first, thread);
    let column = 2u * (first + thread % 16u);
    if (column < n_outputs) {
        var i = thread / 16u;
        for (; i + 48u < n_heads * d_head; i += 64u) {
            let a = of_head(row, i, column);
            let b = of_head(row, i + 16u, column);
            let c = of_head(row, i + 32u, column);
            let d = of_head(row, i + 48u, column);
            sum = sum + a + b + c + d;
        }
        for (; i < n_heads * d_head; i += 16u) {
            sum += of_head(row, i, column);
        }
    }
    return sum;
}
