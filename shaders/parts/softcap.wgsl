// cap · tanh(x / cap), or x where the cap is 0. The argument is bounded where tanh is already at its limit: WGSL leaves overflow open.
fn softcapped(x: f32, cap: f32) -> f32 {
    // NaN stays, which bounds would hide.
    if (cap == 0.0 || (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) {
        return x;
    }
    return cap * tanh(clamp(x / cap, -10.0, 10.0));
}
