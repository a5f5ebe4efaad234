//! The threads of a step: persistent workers that spin while a job runs and sleep between jobs.
//!
//! A job is one function that every thread runs; [`Worker::barrier`] separates its phases.  The
//! caller is thread 0.  A panic in any thread ends the job in all of them and is reported.
//!
//! Who waits longer than the others' work can differ by, sleeps: the thread that it waits for
//! has lost its core to another program, and a sleeper is scheduled at once when it is woken, while
//! one that spins, or yields, uses up its share of time for nothing.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::affinity;
use crate::error::{Code, Error, Result};
use crate::team::Team;

/// Pauses before a waiting thread sleeps: some 20 to 50 µs.
const SPINS: u32 = 1000;
const MAX_THREADS: usize = 1024;

type Task = *const (dyn Fn(&Worker) + Sync);

/// On its own cache line, so that waiting on one counter does not slow another.
#[repr(align(128))]
#[derive(Default)]
struct Apart<T>(T);

/// Waiting for a change that another thread announces.
#[derive(Default)]
struct Signal {
    sleepers: Apart<AtomicUsize>,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Signal {
    /// Returns once `done` is true: its change is followed by [`Signal::announce`].
    fn wait(&self, done: impl Fn() -> bool) {
        for _ in 0..SPINS {
            if done() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.0.fetch_add(1, Ordering::Relaxed);
        // With the fence below: either this thread sees the change, or the announcer the sleeper.
        fence(Ordering::SeqCst);
        while !done() {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes those who sleep, after the change was stored.
    fn announce(&self) {
        fence(Ordering::SeqCst);
        if self.sleepers.0.load(Ordering::Relaxed) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

struct Shared {
    threads: usize,
    /// The job in progress, and its number; written by `run` while no thread performs one.
    task: Mutex<Option<SendTask>>,
    number: Apart<AtomicUsize>,
    running: Apart<AtomicUsize>,
    arrived: Apart<AtomicUsize>,
    phase: Apart<AtomicUsize>,
    /// Items of every thread's share that were claimed in this phase.
    claimed: Vec<Apart<AtomicUsize>>,
    panicked: AtomicBool,
    started: Signal,
    passed: Signal,
    finished: Signal,
}

#[derive(Clone, Copy)]
struct SendTask(Task);
// SAFETY: the task is Sync, and `run` keeps it alive until every thread is done with it.
unsafe impl Send for SendTask {}

/// One thread of a job.
pub(crate) struct Worker<'a> {
    shared: &'a Shared,
    pub index: usize,
    pub threads: usize,
}

struct Abandoned;

impl Shared {
    /// While no thread claims anything.
    fn forget_claims(&self) {
        for claimed in &self.claimed {
            claimed.0.store(0, Ordering::Relaxed);
        }
    }
}

impl Worker<'_> {
    /// Waits until all threads are here; what they wrote before is visible after.
    pub fn barrier(&self) {
        let shared = self.shared;
        if self.threads == 1 {
            return shared.forget_claims();
        }
        let phase = shared.phase.0.load(Ordering::Relaxed);
        if shared.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            shared.arrived.0.store(0, Ordering::Relaxed);
            shared.forget_claims();
            shared.phase.0.store(phase.wrapping_add(1), Ordering::Release);
            shared.passed.announce();
            return;
        }
        let passed = || shared.phase.0.load(Ordering::Acquire) != phase;
        shared.passed.wait(|| passed() || shared.panicked.load(Ordering::Relaxed));
        if !passed() {
            std::panic::resume_unwind(Box::new(Abandoned));
        }
    }

    /// This thread's share of `count` equal items, in contiguous runs.
    pub fn share(&self, count: usize) -> Range<usize> {
        self.share_of(self.index, count)
    }

    fn share_of(&self, index: usize, count: usize) -> Range<usize> {
        count * index / self.threads..count * (index + 1) / self.threads
    }

    /// Up to `most` of `count` items for this thread to do now: of its own share and, when that is
    /// used up, of the share of a thread that is slower, or has lost its core to another program.
    /// Between two barriers each item is handed out once, and all calls must be for the same count.
    pub fn claim(&self, count: usize, most: usize) -> Option<Range<usize>> {
        for turn in 0..self.threads {
            let owner = (self.index + turn) % self.threads;
            let (share, claimed) = (self.share_of(owner, count), &self.shared.claimed[owner].0);
            if claimed.load(Ordering::Relaxed) < share.len() {
                let at = claimed.fetch_add(most, Ordering::Relaxed);
                if at < share.len() {
                    return Some(share.start + at..share.start + (at + most).min(share.len()));
                }
            }
        }
        None
    }
}

/// A set of threads that runs one job at a time.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Whose threads run the jobs, in place of workers.
    team: Option<Team>,
    cpus: Vec<u32>,
    turn: Mutex<()>,
}

impl Pool {
    /// `threads` threads, the caller's included; thread `i` runs on `cpus[i]`, where given.
    pub fn new(threads: usize, cpus: Vec<u32>) -> Result<Self> {
        let mut pool = Self::empty(threads, cpus, None)?;
        for index in 1..threads {
            let shared = pool.shared.clone();
            let cpu = pool.cpus.get(index).copied();
            let body = move || work(&shared, index, cpu);
            let worker = thread::Builder::new().name(format!("tz-{index}")).spawn(body);
            let worker =
                worker.map_err(|error| Error::new(Code::Memory, format!("a thread could not start: {error}")))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Up to `threads` threads of another runtime.
    pub fn of(team: Team, threads: usize) -> Result<Self> {
        Self::empty(threads, Vec::new(), Some(team))
    }

    fn empty(threads: usize, cpus: Vec<u32>, team: Option<Team>) -> Result<Self> {
        if threads == 0 || threads > MAX_THREADS {
            return Err(Error::invalid(format!("{threads} threads; 1 to {MAX_THREADS} are possible")));
        }
        if !cpus.is_empty() && cpus.len() != threads {
            return Err(Error::invalid(format!("{} processors named for {threads} threads", cpus.len())));
        }
        let shared = Arc::new(Shared {
            threads,
            task: Mutex::new(None),
            number: Apart::default(),
            running: Apart::default(),
            arrived: Apart::default(),
            phase: Apart::default(),
            claimed: (0..threads).map(|_| Apart::default()).collect(),
            panicked: AtomicBool::new(false),
            started: Signal::default(),
            passed: Signal::default(),
            finished: Signal::default(),
        });
        Ok(Self { shared, workers: Vec::new(), team, cpus, turn: Mutex::new(()) })
    }

    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Runs `task` on all threads and waits for them.
    pub fn run(&self, task: &(dyn Fn(&Worker) + Sync)) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        let _pinned = self.cpus.first().map(|&cpu| affinity::Pinned::to(cpu));
        shared.panicked.store(false, Ordering::Relaxed);
        shared.arrived.0.store(0, Ordering::Relaxed);
        shared.forget_claims();
        match self.team {
            Some(team) if shared.threads > 1 => {
                team.run(shared.threads, &|index, size| perform(shared, (index, size), task));
            }
            _ => self.on_workers(task),
        }
        if shared.panicked.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Internal, "a thread of the step panicked"));
        }
        Ok(())
    }

    fn on_workers(&self, task: &(dyn Fn(&Worker) + Sync)) {
        let shared = &*self.shared;
        shared.running.0.store(shared.threads - 1, Ordering::Relaxed);
        if shared.threads > 1 {
            // SAFETY: only the lifetime changes, and no thread uses the task after `running` is 0.
            let task = unsafe { std::mem::transmute::<&(dyn Fn(&Worker) + Sync), Task>(task) };
            *shared.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(SendTask(task));
            shared.number.0.fetch_add(1, Ordering::Release);
            shared.started.announce();
        }
        perform(shared, (0, shared.threads), task);
        shared.finished.wait(|| shared.running.0.load(Ordering::Acquire) == 0);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        *self.shared.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.number.0.fetch_add(1, Ordering::Release);
        self.shared.started.announce();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn perform(shared: &Shared, (index, threads): (usize, usize), task: &(dyn Fn(&Worker) + Sync)) {
    let worker = Worker { shared, index, threads };
    if catch_unwind(AssertUnwindSafe(|| task(&worker))).is_err() {
        shared.panicked.store(true, Ordering::Relaxed);
        shared.passed.announce();
    }
}

fn work(shared: &Shared, index: usize, cpu: Option<u32>) {
    if let Some(cpu) = cpu {
        std::mem::forget(affinity::Pinned::to(cpu));
    }
    let mut seen = 0;
    loop {
        shared.started.wait(|| shared.number.0.load(Ordering::Acquire) != seen);
        seen = shared.number.0.load(Ordering::Acquire);
        let task = *shared.task.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(SendTask(task)) = task else { return };
        // SAFETY: `run` waits for this thread before the task ends.
        perform(shared, (index, shared.threads), unsafe { &*task });
        if shared.running.0.fetch_sub(1, Ordering::Release) == 1 {
            shared.finished.announce();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn phases_are_separated() {
        let pool = Pool::new(4, vec![]).unwrap();
        let counter = AtomicUsize::new(0);
        for round in 0..50 {
            pool.run(&|worker| {
                for phase in 1..=20 {
                    counter.fetch_add(1, Ordering::Relaxed);
                    worker.barrier();
                    assert_eq!(counter.load(Ordering::Relaxed), round * 80 + phase * 4);
                    worker.barrier();
                }
            })
            .unwrap();
        }
    }

    /// A panic in a thread of `pool` ends the job in all, and the pool lives on.
    pub(crate) fn outlives_a_panic(pool: &Pool) {
        let failed = pool.run(&|worker| {
            if worker.index == 1 {
                std::panic::resume_unwind(Box::new("wanted"));
            }
            worker.barrier();
        });
        assert_eq!(failed.unwrap_err().code, Code::Internal);
        pool.run(&|worker| worker.barrier()).unwrap();
    }

    #[test]
    fn a_panic_ends_the_job_everywhere_and_the_pool_lives_on() {
        outlives_a_panic(&Pool::new(3, vec![]).unwrap());
    }

    #[test]
    fn claims_cover_everything_once_whoever_is_slow() {
        let pool = Pool::new(3, vec![]).unwrap();
        for (count, most) in [(1, 4), (10, 1), (100, 7), (3, 3)] {
            let seen: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let others = AtomicUsize::new(0);
            pool.run(&|worker| {
                for phase in 1..=5 {
                    while let Some(items) = worker.claim(count, most) {
                        for i in items {
                            assert_eq!(seen[i].fetch_add(1, Ordering::Relaxed), phase - 1);
                            others.fetch_add(usize::from(!worker.share(count).contains(&i)), Ordering::Relaxed);
                        }
                        if worker.index == 0 {
                            thread::sleep(std::time::Duration::from_millis(3));
                        }
                    }
                    worker.barrier();
                }
            })
            .unwrap();
            assert!(seen.iter().all(|done| done.load(Ordering::Relaxed) == 5));
            assert!(count < 100 || others.load(Ordering::Relaxed) > 0, "no one helped the slow thread");
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        let pool = Pool::new(3, vec![]).unwrap();
        let seen: Vec<_> = (0..10).map(|_| AtomicUsize::new(0)).collect();
        pool.run(&|worker| {
            for i in worker.share(10) {
                seen[i].fetch_add(1, Ordering::Relaxed);
            }
        })
        .unwrap();
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}
