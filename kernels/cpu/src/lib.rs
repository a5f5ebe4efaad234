//! The CPU core: whole decoder steps in native code behind a small C ABI.
//!
//! `model_abi`, `lone` and `training_abi` are the doors; `step` is the way of a chunk through the network;
//! `kernels` compiles `product`, `attention` and `elementwise` for each instruction set in `simd`.

// Kernels are unsafe from end to end: their contracts stand at the functions.
#![allow(unsafe_op_in_unsafe_fn)]
// Indices there run over arrays of registers, several at once.
#![allow(clippy::needless_range_loop)]

mod abi;
mod affinity;
#[cfg(test)]
mod agreement;
mod attention;
#[cfg(test)]
mod attention_agreement;
mod bandwidth;
mod base3;
mod buffer;
mod cache;
mod coded;
mod codes;
mod dense;
mod elementwise;
mod entries;
mod error;
mod experts;
mod fit;
mod formats;
mod half;
mod kernels;
mod lone;
mod matrix;
mod model;
mod model_abi;
mod numbers;
mod packing;
mod pages;
mod pieces;
mod places;
mod pool;
mod product;
mod rope;
mod simd;
mod softmax;
mod stage;
mod step;
mod step_attention;
mod straight;
mod team;
mod training_abi;
#[cfg(test)]
mod training_agreement;
mod workspace;

/// The version of the C ABI; the Python side refuses to load any other.
#[unsafe(no_mangle)]
pub extern "C" fn tz_abi_version() -> u32 {
    5
}
