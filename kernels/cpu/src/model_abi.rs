//! Pools, models and sequences behind the C ABI, and the call that runs a model.
//!
//! Every function returns 0, or a code of [`crate::error::Code`] whose message `tz_last_error`
//! gives.  Handles are freed once, by the function of their kind; a null handle is an error
//! everywhere else.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::abi::TzModelSpec;
use crate::attention::SEGMENT;
use crate::buffer::Buffer;
use crate::cache::Text;
use crate::error::{Code, Error, Result, ensure, guarded};
use crate::kernels::{Kernels, select};
use crate::model::Network;
use crate::pool::Pool;
use crate::softmax::state_floats;
use crate::step::Step;
use crate::team::{Number, Parallel, Team};
use crate::workspace::Workspace;

/// Tokens of a prompt that go through the network together; fewer where the latest keys and values are kept
/// in a ring beside their codes, which must hold them all.
const CHUNK: usize = 256;
const CODED_CHUNK: usize = 128;

/// Threads that run the steps of any number of models, one at a time.
pub struct TzPool(pub(crate) Arc<Pool>);

/// A model ready to run; its weights are borrowed.
pub struct TzModel {
    network: Network,
    kernels: &'static Kernels,
    pool: Arc<Pool>,
    workspace: Mutex<Option<Workspace>>,
    id: u64,
}

/// The keys and values of one running text.
pub struct TzSequence(Mutex<Text>);

impl TzSequence {
    fn text(&self) -> MutexGuard<'_, Text> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernels called by a C string, or the best ones for null.
pub(crate) unsafe fn kernels_named(name: *const c_char) -> Result<&'static Kernels> {
    if name.is_null() {
        return select(None);
    }
    let name = unsafe { CStr::from_ptr(name) };
    select(Some(name.to_str().map_err(|_| Error::invalid("the name of the kernels is not text"))?))
}

unsafe fn put<T>(value: T, to: *mut *mut T) -> Result<()> {
    ensure!(!to.is_null(), "no place for the result");
    unsafe { *to = Box::into_raw(Box::new(value)) };
    Ok(())
}

unsafe fn release<T>(handle: *mut T) {
    if !handle.is_null() {
        // A panic in a destructor must not cross the ABI; there is nobody to tell.
        let _ = guarded(|| {
            drop(unsafe { Box::from_raw(handle) });
            Ok(())
        });
    }
}

unsafe fn handle<'a, T>(what: &str, handle: *const T) -> Result<&'a T> {
    ensure!(!handle.is_null(), "a null {what}");
    Ok(unsafe { &*handle })
}

/// Starts `threads` threads (the caller of a step is one of them).  `cpus` is null, or names the
/// processor of each.
///
/// # Safety
/// `cpus` is null or valid for `cpu_count` numbers, `result` for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_pool_new(
    threads: usize,
    cpus: *const u32,
    cpu_count: usize,
    result: *mut *mut TzPool,
) -> i32 {
    guarded(|| unsafe {
        ensure!(cpu_count <= 1 << 16, "{cpu_count} processors");
        let cpus = match cpus.is_null() {
            true => Vec::new(),
            false => std::slice::from_raw_parts(cpus, cpu_count).to_vec(),
        };
        put(TzPool(Arc::new(Pool::new(threads, cpus)?)), result)
    })
}

/// A pool that starts no threads: its jobs run on up to `threads` of an OpenMP runtime, whose functions `GOMP_parallel`,
/// `omp_get_thread_num` and `omp_get_num_threads` are given.
///
/// # Safety
/// The functions are null or of that name; `result` is valid for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_pool_of_team(
    threads: usize,
    parallel: *const c_void,
    index: *const c_void,
    size: *const c_void,
    result: *mut *mut TzPool,
) -> i32 {
    guarded(|| unsafe {
        ensure!(!parallel.is_null() && !index.is_null() && !size.is_null(), "a null function");
        // SAFETY: the caller's promise; an address of a function is one of data wherever this library runs.
        let team = Team {
            parallel: std::mem::transmute::<*const c_void, Parallel>(parallel),
            index: std::mem::transmute::<*const c_void, Number>(index),
            size: std::mem::transmute::<*const c_void, Number>(size),
        };
        put(TzPool(Arc::new(Pool::of(team, threads)?)), result)
    })
}

/// # Safety
/// `pool` is null or came from `tz_pool_new` or `tz_pool_of_team`, and is not used again.  Models may still use its threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_pool_free(pool: *mut TzPool) {
    unsafe { release(pool) }
}

/// Checks the whole network and makes it ready.  `variant` names the kernels; null takes the best.
///
/// # Safety
/// Every pointer in `spec` is null or valid for its length; weights stay mapped until the model
/// is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_model_new(
    pool: *const TzPool,
    variant: *const c_char,
    spec: *const TzModelSpec,
    result: *mut *mut TzModel,
) -> i32 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    guarded(|| unsafe {
        let pool = handle("pool", pool)?.0.clone();
        let network = Network::new(handle("spec", spec)?)?;
        let kernels = kernels_named(variant)?;
        let workspace = Mutex::new(Some(Workspace::new(&network, 1, pool.threads())?));
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        put(TzModel { network, kernels, pool, workspace, id }, result)
    })
}

/// # Safety
/// `model` is null or came from `tz_model_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_model_free(model: *mut TzModel) {
    unsafe { release(model) }
}

/// A memory of `capacity` tokens, keys and values in so many bits a number, and an empty text in it.
///
/// # Safety
/// `model` is null or a live model; `result` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_new(
    model: *const TzModel,
    capacity: usize,
    key_bits: u32,
    value_bits: u32,
    result: *mut *mut TzSequence,
) -> i32 {
    guarded(|| unsafe {
        let model = handle("model", model)?;
        let bits = (key_bits as usize, value_bits as usize);
        put(TzSequence(Mutex::new(Text::new(&model.network, model.id, capacity, bits)?)), result)
    })
}

/// Another text in the same memory, which begins with the first `length` tokens of this one.
///
/// # Safety
/// `sequence` is null or live; `result` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_fork(
    sequence: *const TzSequence,
    length: usize,
    result: *mut *mut TzSequence,
) -> i32 {
    guarded(|| unsafe {
        let other = handle("sequence", sequence)?.text().fork(length)?;
        put(TzSequence(Mutex::new(other)), result)
    })
}

/// What is asked of a sequence: 0 tokens that can be appended now, 1 tokens of the first `value` that one can
/// go back to, 2 bytes of its whole memory, 3 bytes of piece `value`.
///
/// # Safety
/// `sequence` is null or live; `result` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_ask(
    sequence: *const TzSequence,
    what: u32,
    value: usize,
    result: *mut usize,
) -> i32 {
    guarded(|| unsafe {
        let text = handle("sequence", sequence)?.text();
        ensure!(!result.is_null(), "no place for the result");
        *result = match what {
            0 => text.room(),
            1 => text.resumable(value),
            2 => text.memory.bytes(),
            3 => text.piece_bytes(value),
            _ => return Err(Error::invalid(format!("nothing has the number {what}"))),
        };
        Ok(())
    })
}

/// Writes a piece of 256 tokens, whose bytes [`tz_sequence_ask`] counts.
///
/// # Safety
/// `sequence` is null or live; `to` is null or valid for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_save(sequence: *const TzSequence, piece: usize, to: *mut u8, count: usize) -> i32 {
    guarded(|| unsafe {
        let text = handle("sequence", sequence)?.text();
        ensure!(!to.is_null() && count == text.piece_bytes(piece), "{count} bytes are not the room of piece {piece}");
        text.save(piece, to);
        Ok(())
    })
}

/// Appends a saved piece of a text that is to have `length` tokens.
///
/// # Safety
/// `sequence` is null or live; `from` is null or valid for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_load(
    sequence: *const TzSequence,
    piece: usize,
    length: usize,
    from: *const u8,
    count: usize,
) -> i32 {
    guarded(|| unsafe {
        let sequence = handle("sequence", sequence)?;
        ensure!(!from.is_null(), "no bytes");
        sequence.text().load(piece, length, std::slice::from_raw_parts(from, count))
    })
}

/// # Safety
/// `sequence` is null or came from `tz_sequence_new`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_free(sequence: *mut TzSequence) {
    unsafe { release(sequence) }
}

/// Forgets all tokens from position `length` on.
///
/// # Safety
/// `sequence` is null or a live sequence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_sequence_truncate(sequence: *const TzSequence, length: usize) -> i32 {
    guarded(|| unsafe { handle("sequence", sequence)?.text().truncate(length) })
}

/// Appends tokens and computes logits: those of the last one (`mode` 0), of all (1), of none (2).
/// On any error the sequence is as it was.
///
/// # Safety
/// Handles are null or live; `tokens` is valid for `count` numbers, `logits` for `logits_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_forward(
    model: *const TzModel,
    sequence: *const TzSequence,
    tokens: *const i32,
    count: usize,
    mode: u32,
    logits: *mut f32,
    logits_length: usize,
) -> i32 {
    guarded(|| unsafe {
        let model = handle("model", model)?;
        let sequence = handle("sequence", sequence)?;
        ensure!(!tokens.is_null() && count > 0 && count <= u32::MAX as usize, "{count} tokens");
        ensure!(tokens.is_aligned() && logits.is_aligned(), "an address is not aligned");
        let rows = match mode {
            0 => 1,
            1 => count,
            2 => 0,
            _ => return Err(Error::invalid(format!("no mode has the number {mode}"))),
        };
        let wanted = rows * model.network.vocabulary;
        ensure!(logits_length == wanted && (rows == 0 || !logits.is_null()), "room for {logits_length} logits");
        model.forward(sequence, std::slice::from_raw_parts(tokens, count), rows, logits)
    })
}

impl TzModel {
    /// `logits` has room for the last `rows` tokens' logits.
    unsafe fn forward(&self, sequence: &TzSequence, tokens: &[i32], rows: usize, logits: *mut f32) -> Result<()> {
        let mut slot = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = sequence.text();
        ensure!(text.memory.owner == self.id, "the sequence belongs to another model");
        let (before, room) = (text.length, text.room());
        if tokens.len() > room {
            let message = format!("{} tokens where {room} of {} are left", tokens.len(), text.memory.capacity);
            return Err(Error::new(Code::ContextFull, message));
        }
        let vocabulary = self.network.vocabulary;
        if let Some(token) = tokens.iter().find(|&&t| t < 0 || t as usize >= vocabulary) {
            let message = format!("token {token} is outside the vocabulary of {vocabulary}");
            return Err(Error::new(Code::Token, message));
        }
        let size = tokens.len().min(if text.memory.layout.quantised() { CODED_CHUNK } else { CHUNK });
        if slot.as_ref().is_none_or(|workspace| workspace.tokens < size) {
            *slot = None;
            let roomy = size.next_power_of_two();
            *slot = Some(Workspace::new(&self.network, roomy, self.pool.threads())?);
        }
        let workspace = slot.as_mut().expect("made above");
        let states = self.states(before + tokens.len());
        if workspace.states.count() < states {
            workspace.states = Buffer::zeroed(states)?;
        }
        for (index, chunk) in tokens.chunks(size).enumerate() {
            let first = index * size;
            if let Err(error) = text.reserve(chunk.len()) {
                text.truncate(before)?;
                return Err(error);
            }
            // Rows of logits that lie before this chunk's first wanted token.
            let skipped = (tokens.len() - rows).saturating_sub(first);
            let wanted = skipped < chunk.len() && rows > 0;
            let row = (first + skipped).saturating_sub(tokens.len() - rows);
            let step = Step {
                network: &self.network,
                kernels: self.kernels,
                workspace,
                cache: &text,
                tokens: chunk,
                position: before + first,
                logits: if wanted { unsafe { logits.add(row * vocabulary) } } else { std::ptr::null_mut() },
                logits_from: skipped.min(chunk.len()),
            };
            // SAFETY: tokens, room and buffers are as checked and made above.
            let ran = self.pool.run(&|worker| unsafe { step.run(worker) });
            text.length = before + first + chunk.len();
            if let Err(error) = ran {
                text.truncate(before)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Numbers that the segments of a text of `length` tokens take.
    fn states(&self, length: usize) -> usize {
        length.div_ceil(SEGMENT) * self.network.heads * state_floats(self.network.head_dim)
    }
}
