//! IEEE half precision in software, for machines and places without the instruction.

/// The exact value of a half.
pub(crate) fn to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7FFF);
    if magnitude >= 0x7C00 {
        return f32::from_bits(sign | 0x7F80_0000 | ((magnitude & 0x3FF) << 13));
    }
    // Shifted into place the exponent is too small by 112; the product also normalises subnormals.
    let scaled = f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(scaled.to_bits() | sign)
}

/// The nearest half, ties to even; too large becomes infinity.
pub(crate) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7C00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: adding 0.5 leaves the result in the low bits, rounded by the hardware.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0x3F00_0000) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    sign | ((magnitude - 0x3800_0000 + 0xFFF + odd) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for half in 0..=u16::MAX {
            let value = to_f32(half);
            if value.is_nan() {
                assert!(to_f32(from_f32(value)).is_nan());
            } else {
                assert_eq!(from_f32(value), half);
            }
        }
    }

    #[test]
    fn ties_go_to_even() {
        assert_eq!(from_f32(1.0 + 1.0 / 2048.0), 0x3C00);
        assert_eq!(from_f32(1.0 + 3.0 / 2048.0), 0x3C02);
        assert_eq!(from_f32(65520.0), 0x7C00);
        assert_eq!(from_f32(65519.0), 0x7BFF);
    }
}
