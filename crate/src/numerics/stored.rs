//! Numbers as a checkpoint stores them, which the products of `gemm.rs` widen in registers.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, _mm256_loadu_si256, _mm256_maskz_loadu_epi16, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps,
    _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_slli_epi32,
};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use std::arch::wasm32::{
    i32x4_load_extend_i16x4, i32x4_shl, i32x4_splat, u32x4_load_extend_u16x4, v128, v128_and, v128_load,
};

/// A finite half-precision number.
#[derive(Clone, Copy, Debug, Default, bytemuck::AnyBitPattern)]
#[repr(transparent)]
pub struct F16(pub(super) u16);

/// A number that a cache keeps.
pub trait Kept: Stored {
    /// Of a finite number.
    fn of(number: f32) -> Self;
}

impl Kept for f32 {
    #[inline(always)]
    fn of(number: f32) -> f32 {
        number
    }
}

impl Kept for F16 {
    /// The nearest, at a tie the even one; twin of `half_bits` in `shaders/parts/cached.wgsl`.
    #[inline]
    fn of(number: f32) -> F16 {
        const LARGEST: u16 = 0x7bff;
        let bits = half::f16::from_f32(number).to_bits();
        F16((bits & 0x7fff).min(LARGEST) | (bits & 0x8000))
    }
}

/// A bfloat16.
#[derive(Clone, Copy, Debug, Default, bytemuck::AnyBitPattern)]
#[repr(transparent)]
pub struct Bf16(pub(super) u16);

/// A floating-point number as stored.
pub trait Stored: Copy + Default {
    /// A number's value is `bits()` times this power of two.
    const UNIT: f32;

    /// The number as an f32 that lacks `UNIT`.
    fn bits(self) -> f32;

    #[inline(always)]
    fn value(self) -> f32 {
        self.bits() * Self::UNIT
    }

    /// Sixteen values.
    ///
    /// # Safety
    /// Sixteen numbers lie there, and the machine has AVX-512 F, VL and BW.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load(at: *const Self) -> __m512;

    /// The values whose bits are set in `mask`, 0 for the others.
    ///
    /// # Safety
    /// As many numbers lie there as the mask has bits, and the machine has AVX-512 F, VL and BW.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load_masked(mask: u16, at: *const Self) -> __m512;

    /// `bits()` of four numbers.
    ///
    /// # Safety
    /// Four numbers lie there.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    unsafe fn load_bits(at: *const Self) -> v128;
}

impl Stored for f32 {
    const UNIT: f32 = 1.0;

    #[inline(always)]
    fn bits(self) -> f32 {
        self
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: as the caller says.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load_masked(mask: u16, at: *const f32) -> __m512 {
        // SAFETY: as the caller says.
        unsafe { _mm512_maskz_loadu_ps(mask, at) }
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    unsafe fn load_bits(at: *const f32) -> v128 {
        // SAFETY: as the caller says.
        unsafe { v128_load(at.cast()) }
    }
}

impl Stored for F16 {
    /// 2^112: the difference between the exponents' biases.
    const UNIT: f32 = f32::from_bits((127 + 112) << 23);

    #[inline(always)]
    fn bits(self) -> f32 {
        f32::from_bits(((i32::from(self.0 as i16) << 13) as u32) & 0x8fff_ffff)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load(at: *const F16) -> __m512 {
        // SAFETY: as the caller says.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load_masked(mask: u16, at: *const F16) -> __m512 {
        // SAFETY: as the caller says.
        unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at.cast())) }
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    unsafe fn load_bits(at: *const F16) -> v128 {
        // SAFETY: as the caller says.
        let halves = unsafe { i32x4_load_extend_i16x4(at.cast()) };
        v128_and(i32x4_shl(halves, 13), i32x4_splat(0x8fff_ffff_u32 as i32))
    }
}

impl Stored for Bf16 {
    const UNIT: f32 = 1.0;

    #[inline(always)]
    fn bits(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self.bits()
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load(at: *const Bf16) -> __m512 {
        // SAFETY: as the caller says.
        unsafe {
            let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn load_masked(mask: u16, at: *const Bf16) -> __m512 {
        // SAFETY: as the caller says.
        unsafe {
            let words = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, at.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
        }
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    unsafe fn load_bits(at: *const Bf16) -> v128 {
        // SAFETY: as the caller says.
        i32x4_shl(unsafe { u32x4_load_extend_u16x4(at.cast()) }, 16)
    }
}

/// `x` with `S::UNIT` multiplied in, so that products with `bits()` are those with `value()`, bit for bit; and what their sums are to be
/// multiplied by: 1, unless `x` has numbers from 2^15 on, which would leave f32's range.
pub fn fold<'a, S: Stored>(x: &'a [f32], folded: &'a mut Vec<f32>) -> (&'a [f32], f32) {
    if S::UNIT == 1.0 {
        return (x, 1.0);
    }
    let largest = x.iter().filter(|x| x.is_finite()).fold(0f32, |largest, x| largest.max(x.abs()));
    let mut back = 1.0f32;
    while largest / back >= 32_768.0 {
        back *= 2.0;
    }
    folded.clear();
    folded.extend(x.iter().map(|x| x / back * S::UNIT));
    (folded, back)
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    /// Every f16 stays; between two of them the nearer one is taken, and half way the even one.
    #[test]
    fn numbers_are_kept_as_the_nearest_f16() {
        let kept = |x: f32| F16::of(x).0;
        for bits in 0..0x7bffu16 {
            let (here, next) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32());
            let (middle, even) = ((here + next) / 2.0, bits + bits % 2);
            for (x, expected) in [
                (here, bits),
                (middle.next_down(), bits),
                (middle, even),
                (middle.next_up(), bits + 1),
            ] {
                assert_eq!((kept(x), kept(-x)), (expected, expected | 0x8000), "{x:e}");
            }
        }
        for beyond in [65504.0, 65519.9, 65520.0, 1e30] {
            assert_eq!((F16::of(beyond).value(), F16::of(-beyond).value()), (65504.0, -65504.0));
        }
    }
}
