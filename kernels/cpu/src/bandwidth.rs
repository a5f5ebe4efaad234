//! How fast this machine's memory can be read: the yardstick of every weight-bound kernel.

use std::time::Instant;

use crate::buffer::Buffer;
use crate::error::Result;
use crate::pool::Pool;

/// Bytes per second of the best of `passes` passes over `bytes` bytes, split between the threads.
pub(crate) fn read(pool: &Pool, bytes: usize, passes: usize) -> Result<f64> {
    let count = bytes / size_of::<u64>();
    let memory = Buffer::<u64>::zeroed(count)?;
    let memory = &memory;
    // Untouched zero pages are all one page: every page must be written to be real.
    pool.run(&|worker| {
        for i in worker.share(count) {
            // SAFETY: within the buffer, and the shares do not overlap.
            unsafe { *memory.pointer().add(i) = i as u64 };
        }
    })?;
    let mut best = f64::INFINITY;
    for _ in 0..passes {
        let start = Instant::now();
        pool.run(&|worker| {
            let share = worker.share(count);
            // SAFETY: within the buffer; nothing writes to it now.
            let part = unsafe { std::slice::from_raw_parts(memory.pointer().add(share.start), share.len()) };
            // Independent sums, which the compiler turns into vectors.
            let mut sums = [0u64; 32];
            for line in part.chunks_exact(32) {
                for (sum, value) in sums.iter_mut().zip(line) {
                    *sum ^= value;
                }
            }
            std::hint::black_box(sums);
        })?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((count * size_of::<u64>()) as f64 / best)
}
