// The activation of an MLP; what of it is gated is said by `gated`.

override gated: u32 = 1u;
override activation: u32 = 0u; // one of those below

const SILU: u32 = 0u;
const GELU_TANH: u32 = 1u;
const GELU: u32 = 2u;
const RELU: u32 = 3u;

// The exponent is bounded where the result is already at its limit: WGSL leaves overflow open.
fn silu(x: f32) -> f32 {
    return x / (1.0 + exp(min(-x, 80.0)));
}

fn gelu_new(x: f32) -> f32 {
    let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x); // sqrt(2/pi)
    return 0.5 * x * (1.0 + tanh(clamp(inner, -10.0, 10.0)));
}

// Twin: `erf` in crate/src/numerics/math.rs, whose polynomial this is. Off by 1e-7 at most, beside what the device's exp is off by.
fn erf(x: f32) -> f32 {
    let m = min(abs(x), 4.0);
    var series = 1.318818e-6;
    series = series * m - 2.2643088e-5;
    series = series * m + 1.7288845e-4;
    series = series * m - 7.526962e-4;
    series = series * m + 1.8146166e-3;
    series = series * m - 2.6424785e-4;
    series = series * m - 0.019113183;
    series = series * m + 0.102770396;
    series = series * m + 0.63661987;
    series = series * m + 1.12837917;
    return sign(x) * (1.0 - exp(-m * series));
}

fn activated(x: f32) -> f32 {
    switch activation {
        case GELU_TANH: { return gelu_new(x); }
        case GELU: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case RELU: { return select(x, 0.0, x < 0.0); } // NaN stays
        default: { return silu(x); }
    }
}
