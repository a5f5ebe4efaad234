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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::pool::Pool;
    use crate::pool::tests::outlives_a_panic;

    thread_local! {
        static PLACE: Cell<(usize, usize)> = const { Cell::new((0, 1)) };
    }

    /// A runtime that gives at most two threads, whatever is asked for.
    extern "C" fn parallel(work: extern "C" fn(*mut c_void), data: *mut c_void, threads: c_uint, _: c_uint) {
        let (data, size) = (data as usize, threads.min(2) as usize);
        thread::scope(|scope| {
            for index in 0..size {
                scope.spawn(move || {
                    PLACE.set((index, size));
                    work(data as *mut c_void);
                });
            }
        });
    }

    extern "C" fn index() -> c_int {
        PLACE.get().0 as c_int
    }

    extern "C" fn size() -> c_int {
        PLACE.get().1 as c_int
    }

    #[test]
    fn a_job_makes_do_with_the_threads_it_gets() {
        for wanted in [1, 2, 3] {
            let pool = Pool::of(Team { parallel, index, size }, wanted).unwrap();
            assert_eq!(pool.threads(), wanted);
            let (done, arrived) = (AtomicUsize::new(0), AtomicUsize::new(0));
            pool.run(&|worker| {
                assert_eq!(worker.threads, wanted.min(2));
                arrived.fetch_add(1, Ordering::Relaxed);
                worker.barrier();
                assert_eq!(arrived.load(Ordering::Relaxed), worker.threads);
                while let Some(items) = worker.claim(100, 7) {
                    done.fetch_add(items.len(), Ordering::Relaxed);
                }
            })
            .unwrap();
            assert_eq!(done.load(Ordering::Relaxed), 100);
        }
    }

    #[test]
    fn a_panic_ends_the_job_in_all_of_them() {
        outlives_a_panic(&Pool::of(Team { parallel, index, size }, 2).unwrap());
    }
}
