//! Keys and values: a memory of pages, and the texts whose tokens are in it.
//!
//! A page is one block of 64 tokens.  Texts that begin alike share pages, counted; a text that appends to
//! a page which others have too takes a copy first, so that a page never changes under anybody.  Layers
//! with one window are a group with pages of its own, and let go of those that no token to come sees.
//! Every head of every layer has its pages side by side, so that a long text is read as a stream.
//!
//! Quantised (`codes`), a token is written twice: into its page, and in half precision into a ring of
//! four blocks that the texts of a memory share.  A token reads its own block and the one before from the
//! ring.  Which page a block of the ring belongs to says whose it is: pages with one number have one
//! content.  The first 16 tokens of a text are kept in half precision by each text.

use std::sync::Arc;

use crate::attention::{BLOCK, SEGMENT, SINK, first_block};
use crate::buffer::Buffer;
use crate::error::{Code, Error, Result, ensure};
use crate::model::Network;
use crate::pages::{Books, Layout, Memory, NOBODY, NONE, RING};
use crate::pieces::PIECE;
use crate::places::{Places, sink_bytes};

/// One text: the page of each of its blocks, in every group.
pub(crate) struct Text {
    pub memory: Arc<Memory>,
    pub length: usize,
    pub(crate) tables: Vec<Vec<u32>>,
    /// `[layers, kv_heads, sink bytes]`; shared by texts that begin alike.
    sink: Option<Arc<Buffer<u8>>>,
    /// Blocks of the ring that are this text's, while a step runs.
    ring_holds: [usize; RING],
}

impl Text {
    pub fn new(network: &Network, owner: u64, capacity: usize, bits: (usize, usize)) -> Result<Self> {
        let layout = Layout::new(network.head_dim, bits.0, bits.1)?;
        let memory = Memory::new(network, owner, capacity, layout)?;
        Self::empty(Arc::new(memory))
    }

    fn empty(memory: Arc<Memory>) -> Result<Self> {
        let tables = vec![Vec::new(); memory.groups.len()];
        Ok(Self { memory, length: 0, tables, sink: None, ring_holds: [usize::MAX; RING] })
    }

    /// A sink of its own, with what the one shared before holds.
    fn own_sink(&mut self) -> Result<()> {
        if !self.memory.layout.quantised() || self.sink.as_ref().is_some_and(|sink| Arc::strong_count(sink) == 1) {
            return Ok(());
        }
        let size = self.memory.sink_bytes();
        let sink = Buffer::zeroed(size)?;
        if let Some(shared) = &self.sink {
            // SAFETY: two buffers of this size.
            unsafe { std::ptr::copy_nonoverlapping(shared.pointer(), sink.pointer(), size) };
        }
        self.sink = Some(Arc::new(sink));
        Ok(())
    }

    /// Another text of the same memory that begins with `length` tokens of this one.
    pub fn fork(&self, length: usize) -> Result<Self> {
        self.check(length)?;
        let mut other = Self::empty(self.memory.clone())?;
        let mut books = self.memory.books();
        for (group, table) in self.tables.iter().enumerate() {
            let kept = &table[..length.div_ceil(BLOCK).min(table.len())];
            for page in kept.iter().filter(|page| **page != NONE) {
                books.texts[group][*page as usize] += 1;
            }
            other.tables[group] = kept.to_vec();
        }
        drop(books);
        other.sink = if length > 0 { self.sink.clone() } else { None };
        other.length = length;
        Ok(other)
    }

    fn check(&self, length: usize) -> Result<()> {
        ensure!(length <= self.length, "cannot cut {} tokens to {length}", self.length);
        ensure!(self.windows_reach(length), "what the last of {length} tokens saw is not kept any more");
        Ok(())
    }

    /// Whether the windows of the token after `length` others are there.
    fn windows_reach(&self, length: usize) -> bool {
        let last = length.div_ceil(BLOCK);
        self.memory.groups.iter().zip(&self.tables).all(|(group, table)| {
            let first = first_block(length, group.window).min(last);
            table[first..last].iter().all(|page| *page != NONE)
        })
    }

    /// Tokens, at most `length`, that one can go back to and read on from as if the others had never been:
    /// the nearest blocks of those are read anew where their half precision is gone.
    pub fn resumable(&self, length: usize) -> usize {
        let length = length.min(self.length);
        if !self.windows_reach(length) {
            return 0;
        }
        let own = length / BLOCK;
        let first = own.saturating_sub(1);
        let books = self.memory.books();
        let held = |block: usize| books.ring[block % RING] == self.tables[0][block];
        let whole = !self.memory.layout.quantised() || (first..length.div_ceil(BLOCK)).all(held);
        drop(books);
        if whole || !self.windows_reach(first * BLOCK) { length } else { first * BLOCK }
    }

    pub fn truncate(&mut self, length: usize) -> Result<()> {
        self.check(length)?;
        let mut books = self.memory.books();
        for (group, table) in self.tables.iter_mut().enumerate() {
            for page in table.drain(length.div_ceil(BLOCK).min(table.len())..) {
                if page != NONE {
                    books.release(group, page);
                }
            }
        }
        self.length = length;
        Ok(())
    }

    /// Tokens that can be appended now.
    pub fn room(&self) -> usize {
        let books = self.memory.books();
        let end = self.length.next_multiple_of(BLOCK);
        let whole = |group: usize| {
            // A page that others have too is copied first.
            let shared = self.shared(&books, group);
            let mut pages = books.free[group].len();
            let copied = !shared || pages > 0;
            pages -= usize::from(shared && copied);
            let open = if copied { end - self.length } else { 0 };
            // Pages of a window come free as the text goes on.
            let enough = self.memory.groups[group].enough().is_some_and(|blocks| pages + self.held(group) >= blocks);
            if enough { usize::MAX } else { open + pages * BLOCK }
        };
        let free = (0..self.memory.groups.len()).map(whole).min().unwrap_or(0);
        free.min(self.memory.capacity - self.length)
    }

    fn held(&self, group: usize) -> usize {
        self.tables[group].iter().filter(|page| **page != NONE).count()
    }

    /// Whether the last page is partly filled and others have it too.
    fn shared(&self, books: &Books, group: usize) -> bool {
        let last =
            self.tables[group].last().copied().filter(|page| *page != NONE && !self.length.is_multiple_of(BLOCK));
        last.is_some_and(|page| books.texts[group][page as usize] > 1)
    }

    /// Pages of its own for `count` more tokens.  On an error the text is as it was.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        let memory = self.memory.clone();
        if self.length < SINK {
            self.own_sink()?;
        }
        let mut books = memory.books();
        let (before, end) = (self.length.div_ceil(BLOCK), (self.length + count).div_ceil(BLOCK));
        let full = |left: usize| {
            let message = format!("{count} tokens where {left} of {} are left", memory.capacity);
            Error::new(Code::ContextFull, message)
        };
        for group in 0..memory.groups.len() {
            // What the tokens to come do not see is let go of.
            let gone = first_block(self.length, memory.groups[group].reach()).min(before);
            for place in 0..gone {
                let page = std::mem::replace(&mut self.tables[group][place], NONE);
                if page != NONE {
                    books.release(group, page);
                }
            }
        }
        let lacking = (0..memory.groups.len()).any(|group| {
            let needed = end - before.min(end) + usize::from(self.shared(&books, group));
            books.free[group].len() < needed
        });
        if lacking || self.length + count > memory.capacity {
            drop(books);
            return Err(full(self.room()));
        }
        for group in 0..memory.groups.len() {
            if self.shared(&books, group) {
                let old = self.tables[group][before - 1];
                let page = books.take(group).expect("counted above");
                memory.copy_page(group, old, page);
                if group == 0 {
                    books.ring.iter_mut().filter(|holds| **holds == old).for_each(|holds| *holds = page);
                }
                books.release(group, old);
                self.tables[group][before - 1] = page;
            }
            for _ in before..end {
                let page = books.take(group).expect("counted above");
                self.tables[group].push(page);
            }
        }
        if memory.layout.quantised() {
            self.claim_ring(&mut books, end);
        }
        Ok(())
    }

    /// Pages for the blocks of a piece, where `saved` has them and the text of `length` tokens will want them;
    /// how far the text reaches then.  On an error the text is as it was.
    pub(crate) fn place(&mut self, piece: usize, length: usize, saved: &[u32]) -> Result<usize> {
        let memory = self.memory.clone();
        if piece == 0 {
            self.own_sink()?;
        }
        let mut books = memory.books();
        let end = length.min((piece + 1) * PIECE * BLOCK);
        let blocks = self.length / BLOCK..end.div_ceil(BLOCK);
        let seen = |group: usize, block: usize| block >= first_block(length, memory.groups[group].window);
        let first = blocks.start;
        let there = |group: usize, block: usize| saved[group] >> (block - first) & 1 == 1;
        let wanted = |group: usize, block: usize| {
            block >= first_block(length, memory.groups[group].reach()) && there(group, block)
        };
        for group in 0..memory.groups.len() {
            let needed = blocks.clone().filter(|block| wanted(group, *block)).count();
            let there = blocks.clone().all(|block| !seen(group, block) || there(group, block));
            ensure!(there, "the saved context lacks what the window of some layers needs");
            if books.free[group].len() < needed || length > memory.capacity {
                let message = format!("a saved context of {length} tokens does not fit into the memory that is free");
                return Err(Error::new(Code::ContextFull, message));
            }
        }
        for group in 0..memory.groups.len() {
            for block in blocks.clone() {
                let page = if wanted(group, block) { books.take(group).expect("counted above") } else { NONE };
                self.tables[group].push(page);
            }
        }
        Ok(end)
    }

    /// Takes the ring's blocks for what is written next, up to block `end`, and sees which others are its own.
    fn claim_ring(&mut self, books: &mut Books, end: usize) {
        let (first, table) = (self.length / BLOCK, &self.tables[0]);
        for block in first..end {
            let holds = &mut books.ring[block % RING];
            // A block that is written from its beginning is whole; another was so before, or will not be.
            if block > first || self.length.is_multiple_of(BLOCK) {
                *holds = table[block];
            } else if *holds != table[block] {
                *holds = NOBODY;
            }
        }
        self.ring_holds = [usize::MAX; RING];
        for block in first.saturating_sub(1)..end {
            if books.ring[block % RING] == table[block] {
                self.ring_holds[block % RING] = block;
            }
        }
    }

    /// Where the head of a layer reads.
    pub fn places(&self, layer: usize, head: usize) -> Places {
        let (group, slot) = self.memory.places[layer];
        Places {
            table: self.tables[group].as_ptr(),
            pages: self.memory.pages(group, slot, head),
            page_bytes: self.memory.layout.page_bytes,
            key_bits: self.memory.layout.key_bits,
            value_bits: self.memory.layout.value_bits,
            ring: self.memory.ring(layer, head),
            ring_holds: self.ring_holds,
            sink: self.sink(layer, head),
        }
    }

    pub(crate) fn sink(&self, layer: usize, head: usize) -> *mut u8 {
        let at = (layer * self.memory.kv_heads + head) * sink_bytes(self.memory.layout.width);
        // SAFETY: within the allocation, whose size is the product of these.
        self.sink.as_ref().map_or(std::ptr::null_mut(), |sink| unsafe { sink.pointer().add(at) })
    }

    /// Segments that a token at `position` sees of a layer with this window.
    pub fn segments(position: usize, window: usize) -> std::ops::Range<usize> {
        first_block(position, window) / (SEGMENT / BLOCK)..position / SEGMENT + 1
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let mut books = self.memory.books();
        for (group, table) in self.tables.iter().enumerate() {
            for page in table.iter().filter(|page| **page != NONE) {
                books.release(group, *page);
            }
        }
    }
}
