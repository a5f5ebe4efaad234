//! The memory that texts share: pages of keys and values, and whose they are.
//!
//! See `cache` for the whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::attention::BLOCK;
use crate::buffer::Buffer;
use crate::coded::part_bytes;
use crate::error::{Code, Error, Result, ensure};
use crate::model::Network;
use crate::places::{exact_bytes, sink_bytes};
use crate::softmax::padded_head;

/// Blocks of the ring.
pub(crate) const RING: usize = 4;
/// Texts that a window's pages suffice for.
const WINDOWS: usize = 4;
/// Pages beside the windows: those of a chunk that is being read, and its edges.
const BESIDE: usize = 5;
/// In a text's table: this page is not there any more.
pub(crate) const NONE: u32 = u32::MAX;
/// In the ring: what lies here is nobody's.
pub(crate) const NOBODY: u32 = u32::MAX - 1;
/// Widest head whose keys and values can be codes.
pub(crate) const WIDEST: usize = 512;

/// How one head's block lies in a page.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub key_bits: usize,
    pub value_bits: usize,
    pub head_dim: usize,
    pub width: usize,
    pub page_bytes: usize,
}

impl Layout {
    pub fn new(head_dim: usize, key_bits: usize, value_bits: usize) -> Result<Self> {
        let known = [(16, 16), (8, 8), (6, 5), (4, 4), (4, 2)];
        let bits = (key_bits, value_bits);
        ensure!(known.contains(&bits), "no cache has keys of {key_bits} and values of {value_bits} bits");
        ensure!(key_bits == 16 || head_dim <= WIDEST, "heads of {head_dim} numbers are too wide to be quantised");
        let width = padded_head(head_dim);
        let page_bytes = match key_bits {
            16 => exact_bytes(width),
            _ => part_bytes(key_bits, width) + part_bytes(value_bits, width),
        };
        Ok(Self { key_bits, value_bits, head_dim, width, page_bytes })
    }

    pub fn quantised(&self) -> bool {
        self.key_bits < 16
    }
}

/// The layers of one window.
pub(crate) struct Group {
    pub window: usize,
    layers: usize,
    count: usize,
    /// `[layers, kv_heads, count, page bytes]`
    pages: Buffer<u8>,
}

/// Which pages are free, how many texts have each of the others, and whose the ring is.
pub(crate) struct Books {
    pub free: Vec<Vec<u32>>,
    pub texts: Vec<Vec<u32>>,
    /// The page of the first group that each block of the ring belongs to.
    pub ring: [u32; RING],
}

/// The memory of any number of texts.
pub(crate) struct Memory {
    /// The network that it belongs to.
    pub owner: u64,
    pub capacity: usize,
    pub layout: Layout,
    pub kv_heads: usize,
    pub groups: Vec<Group>,
    /// Group of each layer, and its place in it.
    pub places: Vec<(usize, usize)>,
    /// `[layers, kv_heads, RING, exact bytes]`
    ring: Option<Buffer<u8>>,
    books: Mutex<Books>,
}

impl Group {
    /// Positions that are kept of a text: the window and what lies behind it.
    pub fn reach(&self) -> usize {
        self.window.saturating_add(BEHIND)
    }

    /// Blocks that a text needs of a window while it goes on; `None` for layers that see everything.
    pub fn enough(&self) -> Option<usize> {
        (self.window < ALL).then(|| window_blocks(self.window) + BESIDE + 1)
    }
}

/// A window from which on nothing is let go of.
const ALL: usize = usize::MAX / 2;

/// Positions behind a window that are kept: one can go back by a few drafts, or to where the latest two blocks
/// are read anew.
pub(crate) const BEHIND: usize = 3 * BLOCK;

/// Blocks that hold a window and what is kept behind it.
fn window_blocks(window: usize) -> usize {
    (window + BEHIND).div_ceil(BLOCK)
}

impl Memory {
    /// Room for `capacity` tokens of the network that is called `owner`.
    pub fn new(network: &Network, owner: u64, capacity: usize, layout: Layout) -> Result<Self> {
        ensure!(capacity > 0 && capacity <= u32::MAX as usize, "a capacity of {capacity} tokens is not possible");
        let blocks = capacity.div_ceil(BLOCK);
        let mut windows: Vec<usize> = Vec::new();
        let mut layers: Vec<usize> = Vec::new();
        let mut places = Vec::new();
        for layer in &network.layers {
            let group = windows.iter().position(|window| *window == layer.window).unwrap_or_else(|| {
                windows.push(layer.window);
                layers.push(0);
                windows.len() - 1
            });
            places.push((group, layers[group]));
            layers[group] += 1;
        }
        let counts: Vec<usize> = windows
            .iter()
            .map(|window| match *window < ALL {
                false => blocks,
                true => blocks.min(WINDOWS * window_blocks(*window) + BESIDE),
            })
            .collect();
        let head_bytes = |count: usize| count.checked_mul(layout.page_bytes);
        let sizes: Option<Vec<usize>> = counts
            .iter()
            .zip(&layers)
            .map(|(count, n)| head_bytes(*count)?.checked_mul(n * network.kv_heads))
            .collect();
        let sizes = sizes.ok_or_else(|| Error::memory(usize::MAX))?;
        let ring_bytes = network.layers.len() * network.kv_heads * RING * exact_bytes(layout.width);
        let whole = sizes.iter().fold(ring_bytes, |sum, size| sum.saturating_add(*size));
        let failed =
            |_| Error::new(Code::Memory, format!("a cache of {capacity} tokens needs {whole} bytes of memory"));
        let mut groups = Vec::new();
        for ((window, layers), (count, size)) in windows.iter().zip(&layers).zip(counts.iter().zip(&sizes)) {
            let pages = Buffer::zeroed(*size).map_err(failed)?;
            groups.push(Group { window: *window, layers: *layers, count: *count, pages });
        }
        let ring = match layout.quantised() {
            true => Some(Buffer::zeroed(ring_bytes).map_err(failed)?),
            false => None,
        };
        let books = Books {
            free: counts.iter().map(|count| (0..*count as u32).rev().collect()).collect(),
            texts: counts.iter().map(|count| vec![0; *count]).collect(),
            ring: [NOBODY; RING],
        };
        let kv_heads = network.kv_heads;
        Ok(Self { owner, capacity, layout, kv_heads, groups, places, ring, books: Mutex::new(books) })
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of a text's sink.
    pub fn sink_bytes(&self) -> usize {
        self.places.len() * self.kv_heads * sink_bytes(self.layout.width)
    }

    /// Bytes that are allocated, one text's sink among them.
    pub fn bytes(&self) -> usize {
        let pages: usize = self.groups.iter().map(|group| group.layers * group.count).sum();
        let exact = self.places.len() * RING * exact_bytes(self.layout.width);
        let exact = if self.ring.is_some() { self.kv_heads * exact + self.sink_bytes() } else { 0 };
        self.kv_heads * pages * self.layout.page_bytes + exact
    }

    /// Page 0 of a head, in its group.
    pub fn pages(&self, group: usize, slot: usize, head: usize) -> *mut u8 {
        let group = &self.groups[group];
        let at = (slot * self.kv_heads + head) * group.count * self.layout.page_bytes;
        // SAFETY: within the allocation, whose size is the product of these.
        unsafe { group.pages.pointer().add(at) }
    }

    pub fn ring(&self, layer: usize, head: usize) -> *mut u8 {
        let at = (layer * self.kv_heads + head) * RING * exact_bytes(self.layout.width);
        // SAFETY: as above.
        self.ring.as_ref().map_or(std::ptr::null_mut(), |ring| unsafe { ring.pointer().add(at) })
    }

    /// Heads of a group, each by its page 0.
    pub fn heads(&self, group: usize) -> impl Iterator<Item = *mut u8> {
        (0..self.groups[group].layers * self.kv_heads)
            .map(move |n| self.pages(group, n / self.kv_heads, n % self.kv_heads))
    }

    pub fn copy_page(&self, group: usize, from: u32, to: u32) {
        let size = self.layout.page_bytes;
        for pages in self.heads(group) {
            // SAFETY: two pages of the group; the new one is nobody else's.
            unsafe {
                std::ptr::copy_nonoverlapping(pages.add(from as usize * size), pages.add(to as usize * size), size);
            }
        }
    }
}

impl Books {
    /// A free page, which has one text now.
    pub fn take(&mut self, group: usize) -> Option<u32> {
        let page = self.free[group].pop()?;
        self.texts[group][page as usize] = 1;
        if group == 0 {
            self.ring.iter_mut().filter(|holds| **holds == page).for_each(|holds| *holds = NOBODY);
        }
        Some(page)
    }

    pub fn release(&mut self, group: usize, page: u32) {
        let texts = &mut self.texts[group][page as usize];
        *texts -= 1;
        if *texts == 0 {
            self.free[group].push(page);
        }
    }
}
