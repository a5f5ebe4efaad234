//! Pinning the calling thread to one processor.  Where the system refuses, or has no such call,
//! the thread runs unpinned, which costs speed only.

/// The thread's earlier affinity, restored on drop.
pub(crate) struct Pinned(#[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code))] Option<system::Mask>);

impl Pinned {
    /// Pins the calling thread to processor `cpu`, as the system numbers it.
    pub fn to(cpu: u32) -> Self {
        Self(system::pin(cpu))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(mask) = self.0.take() {
            system::restore(mask);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    /// A kernel `cpu_set_t` of 1024 processors.
    pub(super) type Mask = [u64; 16];

    unsafe extern "C" {
        fn sched_getaffinity(pid: i32, size: usize, mask: *mut u64) -> i32;
        fn sched_setaffinity(pid: i32, size: usize, mask: *const u64) -> i32;
    }

    pub(super) fn pin(cpu: u32) -> Option<Mask> {
        let (mut old, mut new) = ([0; 16], [0; 16]);
        *new.get_mut(cpu as usize / 64)? = 1 << (cpu % 64);
        // SAFETY: both masks are valid for their size; pid 0 is the calling thread.
        unsafe {
            let known = sched_getaffinity(0, size_of::<Mask>(), old.as_mut_ptr()) == 0;
            (known && sched_setaffinity(0, size_of::<Mask>(), new.as_ptr()) == 0).then_some(old)
        }
    }

    pub(super) fn restore(mask: Mask) {
        // SAFETY: as above.
        unsafe { sched_setaffinity(0, size_of::<Mask>(), mask.as_ptr()) };
    }
}

#[cfg(windows)]
mod system {
    use std::ffi::c_void;

    pub(super) type Mask = usize;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThread() -> *mut c_void;
        fn SetThreadAffinityMask(thread: *mut c_void, mask: usize) -> usize;
    }

    pub(super) fn pin(cpu: u32) -> Option<Mask> {
        let mask = 1usize.checked_shl(cpu)?;
        // SAFETY: the pseudo handle of the calling thread is always valid; 0 means refused.
        match unsafe { SetThreadAffinityMask(GetCurrentThread(), mask) } {
            0 => None,
            old => Some(old),
        }
    }

    pub(super) fn restore(mask: Mask) {
        // SAFETY: as above.
        unsafe { SetThreadAffinityMask(GetCurrentThread(), mask) };
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod system {
    pub(super) type Mask = ();

    pub(super) fn pin(_: u32) -> Option<Mask> {
        None
    }

    pub(super) fn restore(_: Mask) {}
}
