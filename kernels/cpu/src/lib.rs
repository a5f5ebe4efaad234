//! The CPU core: whole decoder steps in native code behind a small C ABI.

mod fit;

/// The version of the C ABI; the Python side refuses to load any other.
#[unsafe(no_mangle)]
pub extern "C" fn tz_abi_version() -> u32 {
    1
}
