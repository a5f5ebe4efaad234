//! Zeroed, cache-line-aligned memory whose allocation can fail without ending the process, and
//! the shared view of it that the threads of one step write disjoint parts of.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::error::{Error, Result};

const ALIGNMENT: usize = 64;
const HUGE_PAGE: usize = 2 << 20;
/// Allocations from this size on ask for huge pages.
const LARGE: usize = 8 << 20;

/// A zeroed array of plain numbers.  Pages are touched only when used.
pub(crate) struct Buffer<T: Copy> {
    memory: NonNull<u8>,
    layout: Layout,
    start: NonNull<T>,
    count: usize,
}

// SAFETY: a Buffer owns its memory; access to it follows the usual rules of references, or the
// caller's partition of work where `pointer` is used.
unsafe impl<T: Copy + Send> Send for Buffer<T> {}
unsafe impl<T: Copy + Sync> Sync for Buffer<T> {}

impl<T: Copy> Buffer<T> {
    /// `count` zeroes, or an error with the number of bytes that were asked for.
    pub fn zeroed(count: usize) -> Result<Self> {
        let bytes = count.checked_mul(size_of::<T>()).ok_or_else(|| Error::memory(usize::MAX))?;
        let alignment = if bytes < LARGE { ALIGNMENT } else { HUGE_PAGE };
        // The system hands out untouched zero pages only where no large alignment is asked for,
        // so the alignment is made here.
        let whole = bytes.checked_add(alignment).ok_or_else(|| Error::memory(bytes))?;
        let layout = Layout::from_size_align(whole, 16).map_err(|_| Error::memory(bytes))?;
        // SAFETY: the layout's size is not zero.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| Error::memory(bytes))?;
        // SAFETY: within the allocation, which is longer by the alignment; zeroes are valid numbers.
        let start: NonNull<u8> = unsafe { memory.add(memory.as_ptr().align_offset(alignment)) };
        if bytes >= LARGE {
            prefer_huge_pages(start.as_ptr(), bytes);
        }
        Ok(Self { memory, layout, start: start.cast(), count })
    }

    /// Elements.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first element.  Who writes which part is the caller's business.
    pub fn pointer(&self) -> *mut T {
        self.start.as_ptr()
    }
}

impl<T: Copy> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) }
    }
}

/// Asks for huge pages, where streams through small ones wait for address translation.
#[cfg(target_os = "linux")]
fn prefer_huge_pages(start: *mut u8, bytes: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut u8, length: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // SAFETY: whole pages of one allocation; a refusal changes nothing.
    unsafe { madvise(start, bytes & !(HUGE_PAGE - 1), MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_: *mut u8, _: usize) {}
