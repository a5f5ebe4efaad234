//! Zeroed, cache-line-aligned memory whose allocation can fail without ending the process, and
//! the shared view of it that the threads of one step write disjoint parts of.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::error::{Error, Result};

const ALIGNMENT: usize = 64;

/// A zeroed array of plain numbers.  Pages are touched only when used.
pub(crate) struct Buffer<T: Copy> {
    start: NonNull<T>,
    layout: Layout,
    kind: PhantomData<T>,
}

// SAFETY: a Buffer owns its memory; access to it follows the usual rules of references, or the
// caller's partition of work where `pointer` is used.
unsafe impl<T: Copy + Send> Send for Buffer<T> {}
unsafe impl<T: Copy + Sync> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    /// `count` zeroes, or an error with the number of bytes that were asked for.
    pub fn zeroed(count: usize) -> Result<Self> {
        let bytes = count.checked_mul(size_of::<T>()).ok_or_else(|| Error::memory(usize::MAX))?;
        let layout = Layout::from_size_align(bytes.max(ALIGNMENT), ALIGNMENT).map_err(|_| Error::memory(bytes))?;
        // SAFETY: the layout's size is not zero, and all-zero bytes are valid numbers.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }.cast()).ok_or_else(|| Error::memory(bytes))?;
        Ok(Self { start, layout, kind: PhantomData })
    }

    /// The first element.  Who writes which part is the caller's business.
    pub fn pointer(&self) -> *mut T {
        self.start.as_ptr()
    }
}

impl<T: Copy> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) }
    }
}
