//! Rounding to f16, for `convert` and for [`KeptAs::F16`](crate::weights::KeptAs).

use half::f16;

use crate::error::{fail, Result};
use crate::memory::reserve;
use crate::weights::{Dtype, Tensor};

/// Numbers of the tensor `name` as f16, little-endian.
pub(super) fn f16_bytes(numbers: &[f32], name: &str) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    reserve(&mut data, 2 * numbers.len(), format_args!("{name:?} as f16"))?;
    for number in numbers {
        let narrow = f16::from_f32(*number);
        if !narrow.is_finite() {
            fail!(
                Checkpoint,
                "tensor {name:?} has the value {number}, which does not fit into f16; leave dtype out"
            );
        }
        data.extend(narrow.to_le_bytes());
    }
    Ok(data)
}

/// A matrix that is not 8-bit, as f16; `name`: what it is made of.
pub(super) fn as_f16(mut matrix: Tensor, name: &str) -> Result<Tensor> {
    if matrix.dtype != Dtype::F16 {
        matrix.data = f16_bytes(&matrix.to_f32(), name)?;
        matrix.dtype = Dtype::F16;
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded() {
        let matrix = as_f16(Tensor::vector(&[1.0 / 3.0, -2.0]), "w").unwrap();
        assert_eq!((matrix.dtype, matrix.data.len()), (Dtype::F16, 4));
        assert_eq!(matrix.to_f32(), [f16::from_f32(1.0 / 3.0).to_f32(), -2.0]);
        assert_eq!(as_f16(matrix.clone(), "w").unwrap(), matrix);
    }

    #[test]
    fn a_value_that_f16_has_no_number_for_is_named() {
        assert_eq!(
            f16_bytes(&[1.0, 1e6], "w").unwrap_err().to_string(),
            "tensor \"w\" has the value 1000000, which does not fit into f16; leave dtype out"
        );
    }
}
