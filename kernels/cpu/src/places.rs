//! Where attention reads the keys and values of one head, and how blocks in half precision lie.

use crate::attention::{BLOCK, KEY_RUN, SINK};

/// Where one key/value head's keys and values of one text lie.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// The page of each block.
    pub table: *const u32,
    /// Page 0 of this head.
    pub pages: *const u8,
    pub page_bytes: usize,
    /// Bits of a number; 16 is half precision, in which nothing else is needed.
    pub key_bits: usize,
    pub value_bits: usize,
    /// Blocks in half precision, by their number modulo four, and which these are.
    pub ring: *const u8,
    pub ring_holds: [usize; 4],
    /// The first [`SINK`] positions, laid out as a block of which the rest is missing.
    pub sink: *const u8,
}

/// A block in half precision: keys `[2, width, 32]`, values of `rows` positions `[width / 32, rows, 32]`, the last
/// of them narrower where the width is no multiple of 32.
#[derive(Clone, Copy)]
pub(crate) struct Halves {
    pub keys: *const u16,
    pub values: *const u16,
    pub rows: usize,
}

/// Numbers of a value that lie side by side in half precision.
const VALUE_RUN: usize = 32;

/// Where number `d` of the value in row 0 of `rows` lies, and how far the other rows are from it and each other.
pub(crate) const fn value_place(width: usize, rows: usize, d: usize) -> (usize, usize) {
    let first = d / VALUE_RUN * VALUE_RUN;
    let wide = if first + VALUE_RUN <= width { VALUE_RUN } else { width - first };
    (first * rows + d % VALUE_RUN, wide)
}

/// Bytes of a block in half precision.
pub(crate) const fn exact_bytes(width: usize) -> usize {
    2 * 2 * BLOCK * width
}

/// Bytes of the sink: keys of a run, and [`SINK`] values.
pub(crate) const fn sink_bytes(width: usize) -> usize {
    2 * (KEY_RUN + SINK) * width
}

impl Places {
    pub fn quantised(&self) -> bool {
        self.key_bits < 16
    }

    pub unsafe fn page(&self, block: usize) -> *const u8 {
        self.pages.add(*self.table.add(block) as usize * self.page_bytes)
    }

    /// A page, or a block of the ring.
    pub unsafe fn halves(at: *const u8, width: usize) -> Halves {
        let keys = at.cast::<u16>();
        Halves { keys, values: keys.add(BLOCK * width), rows: BLOCK }
    }

    pub unsafe fn sink(&self, width: usize) -> Halves {
        let keys = self.sink.cast::<u16>();
        Halves { keys, values: keys.add(KEY_RUN * width), rows: SINK }
    }

    /// Whether a row in block `own` reads `block` in half precision.
    pub fn exact(&self, block: usize, own: usize) -> bool {
        block + 1 >= own && self.ring_holds[block % 4] == block
    }
}
