//! One function, compiled for the widest registers that a machine has.

/// Calls the function compiled for AVX-512 or AVX2 where the machine has it; the arithmetic is the same, lane by lane.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis $name:ident $(<$of:ident: $bound:ident>)?, $portable:ident, ($($arg:ident : $type:ty),*) $(-> $ret:ty)?) => {
        $(#[$doc])*
        // See `gemm.rs` on what browsers compile.
        #[cfg_attr(target_arch = "wasm32", inline(never))]
        $vis fn $name $(<$of: $bound>)? ($($arg: $type),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
                fn widest $(<$of: $bound>)? ($($arg: $type),*) $(-> $ret)? {
                    $portable($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn wide $(<$of: $bound>)? ($($arg: $type),*) $(-> $ret)? {
                    $portable($($arg),*)
                }
                if $crate::numerics::dispatch::has_avx512()
                {
                    // SAFETY: the features were just detected.
                    return unsafe { widest($($arg),*) };
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was just detected.
                    return unsafe { wide($($arg),*) };
                }
            }
            $portable($($arg),*)
        }
    };
}
pub(crate) use dispatch;

/// Asks for the line of the cache at `address`, which may be anywhere. The intrinsic is called here alone: where a function names its registers,
/// newer compilers find it safe, and the oldest one that Cargo.toml names does not.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn fetch<T>(address: *const T) {
    use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
    // SAFETY: asking for an address reads nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

/// Whether this machine has the 512-bit registers that the kernels use.
#[cfg(target_arch = "x86_64")]
pub fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512bw")
}

/// Whether it multiplies pairs of 16-bit numbers in them, and adds them up, by one instruction.
#[cfg(target_arch = "x86_64")]
pub fn has_vnni() -> bool {
    has_avx512() && std::arch::is_x86_feature_detected!("avx512vnni")
}
