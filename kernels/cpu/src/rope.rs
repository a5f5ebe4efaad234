//! Rotary embedding in half-split pairing: element `i` of a head turns with element `i + half`.

/// Cosines and sines of one position, `[half]` each.  The angle is the float32 product
/// position · frequency, as in the models' own code.
pub(crate) fn angles(frequencies: &[f32], scale: f32, position: usize, cos: &mut [f32], sin: &mut [f32]) {
    for ((frequency, cos), sin) in frequencies.iter().zip(cos).zip(sin) {
        let (s, c) = (f64::from(position as f32 * frequency)).sin_cos();
        (*cos, *sin) = (c as f32 * scale, s as f32 * scale);
    }
}

/// Turns one head in place; elements beyond `2·half` stay.
pub(crate) fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (low, rest) = head.split_at_mut(cos.len());
    for (((a, b), c), s) in low.iter_mut().zip(rest).zip(cos).zip(sin) {
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        let mut head = [1.0, 2.0, 3.0, 4.0, 5.0];
        rotate(&mut head, &[0.0, 0.0], &[1.0, 1.0]);
        assert_eq!(head, [-3.0, -4.0, 1.0, 2.0, 5.0]);
    }

    #[test]
    fn angles_are_products() {
        let (mut cos, mut sin) = ([0.0], [0.0]);
        angles(&[0.5], 2.0, 3, &mut cos, &mut sin);
        assert!((cos[0] - 2.0 * 1.5f32.cos()).abs() < 1e-6);
        assert!((sin[0] - 2.0 * 1.5f32.sin()).abs() < 1e-6);
    }
}
