//! How the keys and values of a token get into the pages, the ring and the sink of its text.

use crate::attention::{BLOCK, KEY_RUN, SINK};
use crate::cache::Text;
use crate::coded::part_bytes;
use crate::codes::{RUN, put, strip_place};
use crate::half;
use crate::kernels::Kernels;
use crate::pages::{RING, WIDEST};
use crate::places::{exact_bytes, value_place};
use crate::softmax::turned_block;

impl Text {
    /// The page of a position, and the block of the ring.
    unsafe fn at(&self, layer: usize, head: usize, position: usize) -> (*mut u8, *mut u8) {
        let (group, slot) = self.memory.places[layer];
        let page = self.tables[group][position / BLOCK] as usize;
        let ring = self.memory.ring(layer, head);
        let block = if ring.is_null() {
            ring
        } else {
            ring.add(position / BLOCK % RING * exact_bytes(self.memory.layout.width))
        };
        (self.memory.pages(group, slot, head).add(page * self.memory.layout.page_bytes), block)
    }

    /// Turns a vector of a head in place, where the layout wants it.
    unsafe fn turn(&self, kernels: &Kernels, vector: *mut f32) {
        let dim = self.memory.layout.head_dim;
        let block = turned_block(dim);
        (kernels.hadamard)(vector, dim, block);
        let factor = 1.0 / (block as f32).sqrt();
        for d in 0..dim {
            *vector.add(d) *= factor;
        }
    }

    /// Turns a query where keys are turned.
    ///
    /// # Safety
    /// `query` has `head_dim` numbers.
    pub unsafe fn turn_query(&self, kernels: &Kernels, query: *mut f32) {
        if self.memory.layout.quantised() {
            self.turn(kernels, query);
        }
    }

    /// Writes the key of one position of one head, which is turned in place.
    ///
    /// # Safety
    /// There is a page for `position` and no one else reads or writes the key; it has `head_dim` numbers.
    pub unsafe fn write_key(&self, kernels: &Kernels, layer: usize, head: usize, position: usize, key: *mut f32) {
        let layout = &self.memory.layout;
        let (page, ring) = self.at(layer, head, position);
        let (run, lane, dim) = (position % BLOCK / KEY_RUN, position % KEY_RUN, layout.head_dim);
        let halves = |to: *mut u8, run: usize| {
            let to = to.cast::<u16>().add(run * KEY_RUN * layout.width + lane);
            for d in 0..dim {
                *to.add(d * KEY_RUN) = half::from_f32(*key.add(d));
            }
        };
        if !layout.quantised() {
            return halves(page, run);
        }
        self.turn(kernels, key);
        halves(ring, run);
        if position < SINK {
            halves(self.sink(layer, head), 0);
        }
        let mut codes = [0; WIDEST];
        let scale = (kernels.encode)(key, dim, layout.key_bits, codes.as_mut_ptr());
        let quads = layout.width / 4;
        let (strip, step) = strip_place(layout.key_bits, quads, position % BLOCK / RUN, BLOCK / RUN);
        for d in 0..layout.width {
            let at = 4 * (position % RUN) + d % 4;
            put((page.add(strip), step), layout.key_bits, quads, d / 4, at, codes[d]);
        }
        *page.add(part_bytes(layout.key_bits, layout.width) - BLOCK + position % BLOCK) = scale;
    }

    /// Writes the values of consecutive positions of one block, `apart` numbers from each other.
    ///
    /// # Safety
    /// As for [`Self::write_key`], for the whole block: positions share bytes.
    pub unsafe fn write_values(
        &self,
        kernels: &Kernels,
        (layer, head): (usize, usize),
        positions: std::ops::Range<usize>,
        values: *mut f32,
        apart: usize,
    ) {
        let layout = &self.memory.layout;
        let (page, ring) = self.at(layer, head, positions.start);
        let dim = layout.head_dim;
        for position in positions.clone() {
            let value = values.add((position - positions.start) * apart);
            let row = position % BLOCK;
            let halves = |to: *mut u8, keys: usize, rows: usize| {
                let to = to.cast::<u16>().add(keys * layout.width);
                for d in 0..dim {
                    let (first, apart) = value_place(layout.width, rows, d);
                    *to.add(first + row * apart) = half::from_f32(*value.add(d));
                }
            };
            if !layout.quantised() {
                halves(page, BLOCK, BLOCK);
                continue;
            }
            self.turn(kernels, value);
            halves(ring, BLOCK, BLOCK);
            if position < SINK {
                halves(self.sink(layer, head), KEY_RUN, SINK);
            }
            let mut codes = [0; WIDEST];
            let scale = (kernels.encode)(value, dim, layout.value_bits, codes.as_mut_ptr());
            let part = page.add(part_bytes(layout.key_bits, layout.width));
            for d in 0..layout.width {
                let (strip, step) = strip_place(layout.value_bits, BLOCK / 4, d / RUN, layout.width / RUN);
                let at = 4 * (d % RUN) + row % 4;
                put((part.add(strip), step), layout.value_bits, BLOCK / 4, row / 4, at, codes[d]);
            }
            *part.add(part_bytes(layout.value_bits, layout.width) - BLOCK + row) = scale;
        }
    }
}
