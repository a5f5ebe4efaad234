//! The keys and values of one running text, in half precision.

use crate::attention::{BLOCK, KEY_RUN, value_stride};
use crate::buffer::Buffer;
use crate::error::{Code, Error, Result, ensure};
use crate::half;
use crate::model::Network;

/// Keys `[layers, kv_heads, capacity / 16, head_dim, 16]` and values
/// `[layers, kv_heads, capacity, value stride]`; capacity rounded up to whole blocks.
pub(crate) struct Cache {
    keys: Buffer<u16>,
    values: Buffer<u16>,
    /// The network that it belongs to.
    pub owner: u64,
    pub capacity: usize,
    pub length: usize,
    rounded: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl Cache {
    /// Room for `capacity` tokens of the network that is called `owner`.
    pub fn new(network: &Network, owner: u64, capacity: usize) -> Result<Self> {
        ensure!(capacity > 0 && capacity <= u32::MAX as usize, "a capacity of {capacity} tokens is not possible");
        let rounded = capacity.next_multiple_of(BLOCK);
        let heads = network.layers.len() * network.kv_heads;
        let numbers = |width: usize| heads.checked_mul(rounded).and_then(|n| n.checked_mul(width));
        let (Some(keys), Some(values)) = (numbers(network.head_dim), numbers(value_stride(network.head_dim))) else {
            return Err(Error::memory(usize::MAX));
        };
        let whole = keys.saturating_add(values).saturating_mul(size_of::<u16>());
        let failed =
            |_| Error::new(Code::Memory, format!("a cache of {capacity} tokens needs {whole} bytes of memory"));
        Ok(Self {
            keys: Buffer::zeroed(keys).map_err(failed)?,
            values: Buffer::zeroed(values).map_err(failed)?,
            owner,
            capacity,
            length: 0,
            rounded,
            kv_heads: network.kv_heads,
            head_dim: network.head_dim,
        })
    }

    /// The keys and the values of one head, from position 0.
    pub fn head(&self, layer: usize, head: usize) -> (*mut u16, *mut u16) {
        let at = (layer * self.kv_heads + head) * self.rounded;
        let (keys, values) = (self.keys.pointer(), self.values.pointer());
        // SAFETY: within the allocations, whose sizes are these products.
        unsafe { (keys.add(at * self.head_dim), values.add(at * value_stride(self.head_dim))) }
    }

    /// Writes one position of one head.
    ///
    /// # Safety
    /// `position` is below the capacity and no one else reads or writes it; `key` and `value` have
    /// `head_dim` numbers.
    pub unsafe fn write(&self, layer: usize, head: usize, position: usize, key: *const f32, value: *const f32) {
        let (keys, values) = self.head(layer, head);
        let run = keys.add(position / KEY_RUN * KEY_RUN * self.head_dim + position % KEY_RUN);
        let row = values.add(position * value_stride(self.head_dim));
        for d in 0..self.head_dim {
            *run.add(d * KEY_RUN) = half::from_f32(*key.add(d));
            *row.add(d) = half::from_f32(*value.add(d));
        }
    }
}
