//! Texts as bytes: pieces of four blocks, to be kept elsewhere and put back.
//!
//! A piece is a header of 32-bit numbers (a mark, how many blocks it has, and for each group of layers a
//! mask of those that are there), then, group by group and head by head, the blocks' pages.  The first
//! piece of quantised texts ends with the sink.

use crate::attention::BLOCK;
use crate::cache::Text;
use crate::error::{Code, Error, Result, ensure};
use crate::pages::NONE;

/// Blocks of a piece.
pub(crate) const PIECE: usize = 4;
const MARK: u32 = u32::from_le_bytes(*b"tzk1");

/// A part of a piece: `count` bytes at an address of the memory.
type Part = (*mut u8, usize);

impl Text {
    /// The blocks of a piece that a text of `length` tokens has.
    fn blocks(piece: usize, length: usize) -> std::ops::Range<usize> {
        let all = length.div_ceil(BLOCK);
        (piece * PIECE).min(all)..((piece + 1) * PIECE).min(all)
    }

    fn header_bytes(&self) -> usize {
        4 * (2 + self.tables.len())
    }

    /// Which of the blocks are there, by group.
    fn masks(&self, blocks: &std::ops::Range<usize>) -> Vec<u32> {
        let there = |table: &Vec<u32>, block: usize| table.get(block).is_some_and(|page| *page != NONE);
        let mask = |table| blocks.clone().enumerate().map(|(i, block)| u32::from(there(table, block)) << i).sum();
        self.tables.iter().map(mask).collect()
    }

    /// Where the parts of a piece lie, in their order; a block that is not in `masks` is passed over.
    fn parts(&self, piece: usize, blocks: &std::ops::Range<usize>, masks: &[u32]) -> Vec<Part> {
        let (memory, size) = (&self.memory, self.memory.layout.page_bytes);
        let mut parts = Vec::new();
        for (group, mask) in masks.iter().enumerate() {
            for pages in memory.heads(group) {
                for (i, block) in blocks.clone().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
                    debug_assert!(block == blocks.start + i);
                    // SAFETY: a page of this group.
                    parts.push((unsafe { pages.add(self.tables[group][block] as usize * size) }, size));
                }
            }
        }
        if piece == 0 && memory.layout.quantised() {
            parts.push((self.sink(0, 0), memory.sink_bytes()));
        }
        parts
    }

    /// Bytes of a piece.
    pub fn piece_bytes(&self, piece: usize) -> usize {
        let blocks = Self::blocks(piece, self.length);
        let parts = self.parts(piece, &blocks, &self.masks(&blocks));
        self.header_bytes() + parts.iter().map(|part| part.1).sum::<usize>()
    }

    /// Writes a piece to `to`, which has [`Self::piece_bytes`].
    ///
    /// # Safety
    /// `to` is valid.
    pub unsafe fn save(&self, piece: usize, to: *mut u8) {
        let blocks = Self::blocks(piece, self.length);
        let masks = self.masks(&blocks);
        let mut at = to;
        for number in [MARK, blocks.len() as u32].iter().chain(&masks) {
            at.cast::<u32>().write_unaligned(*number);
            at = at.add(4);
        }
        for (from, count) in self.parts(piece, &blocks, &masks) {
            std::ptr::copy_nonoverlapping(from, at, count);
            at = at.add(count);
        }
    }

    /// Appends a piece of a text that is to have `length` tokens in the end.  On an error the text is as it was.
    pub fn load(&mut self, piece: usize, length: usize, bytes: &[u8]) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(Code::Invalid, format!("the saved context is damaged: {what}")));
        let first = piece * PIECE * BLOCK;
        ensure!(self.length == first && length > first, "piece {piece} does not follow {} tokens", self.length);
        let groups = self.tables.len();
        let blocks = Self::blocks(piece, length);
        let number = |i: usize| bytes.get(4 * i..4 * i + 4).map(|b| u32::from_le_bytes(b.try_into().expect("four")));
        let (Some(mark), Some(count)) = (number(0), number(1)) else { return wrong("it ends early") };
        if mark != MARK || (count as usize) < blocks.len() || count as usize > PIECE {
            return wrong("it is of another kind");
        }
        let saved: Vec<u32> = (0..groups).filter_map(|group| number(2 + group)).collect();
        if saved.len() != groups || saved.iter().any(|mask| *mask >> count != 0) {
            return wrong("its blocks are not known");
        }
        let size = self.memory.layout.page_bytes;
        let heads: Vec<usize> = (0..groups).map(|group| self.memory.heads(group).count()).collect();
        let pages: usize = saved.iter().zip(&heads).map(|(mask, heads)| mask.count_ones() as usize * heads).sum();
        let sink = if piece == 0 && self.memory.layout.quantised() { self.memory.sink_bytes() } else { 0 };
        if bytes.len() != self.header_bytes() + pages * size + sink {
            return wrong("its length is not that of its blocks");
        }
        let last = self.place(piece, length, &saved)?;
        let mut at = self.header_bytes();
        for group in 0..groups {
            for pages in self.memory.heads(group) {
                for i in (0..count as usize).filter(|i| saved[group] >> i & 1 == 1) {
                    let page = self.tables[group].get(blocks.start + i).copied().unwrap_or(NONE);
                    if page != NONE {
                        // SAFETY: a page of this group that is this text's alone; the length was checked.
                        unsafe {
                            let to = pages.add(page as usize * size);
                            std::ptr::copy_nonoverlapping(bytes[at..].as_ptr(), to, size);
                        }
                    }
                    at += size;
                }
            }
        }
        if sink > 0 {
            // SAFETY: the sink has so many bytes.
            unsafe { std::ptr::copy_nonoverlapping(bytes[at..].as_ptr(), self.sink(0, 0), sink) };
        }
        self.length = last;
        Ok(())
    }
}
