//! Jobs on the threads of an OpenMP runtime that the process has anyway, such as torch's.
//!
//! Such threads spin for a while after every region, on the cores that others would want: where their regions and our
//! jobs take turns, threads of our own get half of every core.  The functions are libgomp's, which LLVM's runtime has
//! under the same names.

use std::ffi::{c_int, c_uint, c_void};

/// Runs the first argument, with the second, on so many threads; the last are flags, of which there are none.
pub(crate) type Parallel = extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);

/// Tells a thread something of its region.
pub(crate) type Number = extern "C" fn() -> c_int;

#[derive(Clone, Copy)]
pub(crate) struct Team {
    /// `GOMP_parallel`
    pub parallel: Parallel,
    /// `omp_get_thread_num`
    pub index: Number,
    /// `omp_get_num_threads`
    pub size: Number,
}

/// A job, as its threads find it.
struct Call<'a> {
    team: Team,
    work: &'a (dyn Fn(usize, usize) + Sync),
}

impl Team {
    /// Calls `work(index, size)` on each of `threads` threads, or of fewer: within another region there is one.
    /// `work` does not panic.
    pub fn run(self, threads: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        let call = Call { team: self, work };
        (self.parallel)(enter, std::ptr::from_ref(&call).cast_mut().cast(), threads as c_uint, 0);
    }
}

extern "C" fn enter(call: *mut c_void) {
    // SAFETY: the call outlives the region, whose threads only read it.
    let call = unsafe { &*call.cast::<Call>() };
    (call.work)((call.team.index)() as usize, (call.team.size)() as usize);
}
