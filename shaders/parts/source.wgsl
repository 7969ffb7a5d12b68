// The dense input of a linear op, [rows, n_inputs].

@group(0) @binding(1) var<storage, read> source: array<f32>;
