//! What can go wrong behind the ABI, and the message of the last failure of each thread.

use std::cell::RefCell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A failure, by the code that the C side sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A length, shape, name or pointer contradicts another.
    Invalid = 1,
    /// Memory could not be had.
    Memory = 2,
    /// The tokens do not fit into the sequence.
    ContextFull = 3,
    /// A token lies outside the vocabulary.
    Token = 4,
    /// A panic: a defect of this library.
    Internal = 5,
}

#[derive(Debug)]
pub(crate) struct Error {
    pub code: Code,
    pub message: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, message: impl Display) -> Self {
        Self { code, message: message.to_string() }
    }

    pub fn invalid(message: impl Display) -> Self {
        Self::new(Code::Invalid, message)
    }

    pub fn memory(bytes: usize) -> Self {
        Self::new(Code::Memory, format!("{bytes} bytes of memory could not be allocated"))
    }
}

/// Fails with `Code::Invalid` and the formatted message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::error::Error::invalid(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of an extern function: no panic crosses the ABI, every failure leaves its message.
pub(crate) fn guarded(body: impl FnOnce() -> Result<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        Err(Error::new(Code::Internal, format!("internal error: {text}")))
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            LAST.with(|last| *last.borrow_mut() = error.message);
            error.code as i32
        }
    }
}

/// Copies the calling thread's last message into `buffer`, cut to fit and ended by a zero byte;
/// returns its whole length in bytes.
///
/// # Safety
/// `buffer` is null or valid for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tz_last_error(buffer: *mut u8, length: usize) -> usize {
    // SAFETY: the caller's promise.
    LAST.with(|last| unsafe { copy_text(&last.borrow(), buffer, length) })
}

/// See [`tz_last_error`].
///
/// # Safety
/// `buffer` is null or valid for `length` bytes.
pub(crate) unsafe fn copy_text(text: &str, buffer: *mut u8, length: usize) -> usize {
    if !buffer.is_null() && length > 0 {
        let count = text.len().min(length - 1);
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, count);
            *buffer.add(count) = 0;
        }
    }
    text.len()
}
