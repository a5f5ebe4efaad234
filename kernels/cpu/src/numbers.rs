//! Arrays of float32 or bfloat16, as torch has them.

use crate::abi::TzNumbers;
use crate::error::{Error, Result, ensure};

/// What an array's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float = 0,
    Brain = 1,
}

/// Numbers that lie together, of either kind.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    data: *mut u8,
    pub kind: Kind,
}

// SAFETY: an address; who reads and writes through it promises that threads take disjoint parts.
unsafe impl Send for Numbers {}
unsafe impl Sync for Numbers {}

impl Numbers {
    /// The array `raw`, called `name`, of exactly `length` numbers.
    pub fn new(name: &str, raw: &TzNumbers, length: usize) -> Result<Self> {
        let kind = match raw.kind {
            0 => Kind::Float,
            1 => Kind::Brain,
            other => return Err(Error::invalid(format!("{name}: no kind of number is called {other}"))),
        };
        ensure!(
            !raw.data.is_null() && raw.length == length,
            "{name} has {} numbers where {length} are needed",
            raw.length
        );
        Ok(Self { data: raw.data, kind })
    }

    /// The address of number `index`, for kernels that are compiled for the kind.
    ///
    /// # Safety
    /// The array has it, and its numbers are of the type `N`.
    #[inline(always)]
    pub unsafe fn at<N: Number>(&self, index: usize) -> *mut N {
        self.data.cast::<N>().add(index)
    }
}

/// A number in memory.
pub(crate) trait Number: Copy {
    fn wide(self) -> f32;
    /// The nearest, ties to even.
    fn near(value: f32) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
    #[inline(always)]
    fn near(value: f32) -> Self {
        value
    }
}

/// The upper half of a float32.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Brain(pub u16);

impl Number for Brain {
    #[inline(always)]
    fn wide(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn near(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
        // A NaN keeps its upper bits and is made a quiet one: rounding could carry it to an infinity.
        Self(((if value.is_nan() { bits | 0x40_0000 } else { rounded }) >> 16) as u16)
    }
}

/// Runs `$body` with `$number` as the type of numbers of `$kind`.
macro_rules! with_number {
    ($kind:expr, $number:ident, $body:expr) => {
        match $kind {
            $crate::numbers::Kind::Float => {
                type $number = f32;
                $body
            }
            $crate::numbers::Kind::Brain => {
                type $number = $crate::numbers::Brain;
                $body
            }
        }
    };
}
pub(crate) use with_number;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_the_upper_half() {
        for (value, wanted) in [(1.0, 0x3F80), (1.0 + 1.0 / 256.0, 0x3F80), (1.0 + 3.0 / 256.0, 0x3F82), (-2.0, 0xC000)]
        {
            assert_eq!(Brain::near(value), Brain(wanted), "{value}");
        }
        assert_eq!(Brain::near(f32::MAX).wide(), f32::INFINITY);
        assert!(Brain::near(f32::from_bits(0x7F80_0001)).wide().is_nan());
        for bits in 0..=u16::MAX {
            let value = Brain(bits).wide();
            assert!(value.is_nan() || Brain::near(value) == Brain(bits));
        }
    }
}
