//! Memory that steps work in: made once for a chunk size, reused by every step after.

use crate::attention;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::formats::padded;
use crate::model::Network;
use crate::stage::Input;

/// Most rows of one attention job (tokens times heads), unless one token has more.
pub(crate) const ATTENTION_ROWS: usize = 16;

/// The residual stream of some tokens and the prepared inputs of the stage they are at.
pub(crate) struct Stream {
    pub x: Buffer<f32>,
    pub inputs: Vec<Input>,
}

impl Stream {
    fn new(network: &Network, tokens: usize) -> Result<Self> {
        let stages = || network.stages();
        let widest = stages().map(|stage| stage.cols).max().unwrap_or(0);
        let forms = stages().map(|stage| stage.preparations.len()).max().unwrap_or(0);
        let float = stages().any(|stage| stage.preparations.iter().any(|p| p.group.is_none()));
        let inputs = (0..forms).map(|_| Input::new(tokens, widest, float));
        Ok(Self { x: Buffer::zeroed(tokens * network.hidden)?, inputs: inputs.collect::<Result<_>>()? })
    }
}

/// What a thread needs for itself.
pub(crate) struct Private {
    /// One token's stream: a single token is normed and prepared by every thread for itself, which
    /// saves barriers.
    pub stream: Stream,
    pub row: Buffer<f32>,
    pub scratch: Buffer<f32>,
    pub attention: Buffer<f32>,
}

/// What the threads of a step share, each writing its own part; `[tokens, …]` in float32.
pub(crate) struct Workspace {
    pub tokens: usize,
    pub stream: Stream,
    pub queries: Buffer<f32>,
    pub keys: Buffer<f32>,
    pub values: Buffer<f32>,
    pub attended: Buffer<f32>,
    pub projected: Buffer<f32>,
    pub gate: Buffer<f32>,
    pub up: Buffer<f32>,
    /// Cosines, then sines, of every rope: `[ropes, tokens, 2, half]` with half = head_dim / 2.
    pub angles: Buffer<f32>,
    pub private: Vec<Private>,
}

impl Workspace {
    /// Room for chunks of up to `tokens` tokens on `threads` threads.
    pub fn new(network: &Network, tokens: usize, threads: usize) -> Result<Self> {
        let queries = network.heads * network.head_dim;
        let keys = network.kv_heads * network.head_dim;
        let widest = padded(network.stages().map(|stage| stage.cols).max().unwrap_or(0));
        let rows = ATTENTION_ROWS.max(network.heads / network.kv_heads);
        let private = || {
            Ok(Private {
                stream: Stream::new(network, 1)?,
                row: Buffer::zeroed(widest)?,
                scratch: Buffer::zeroed(widest)?,
                attention: Buffer::zeroed(attention::scratch_floats(rows, network.head_dim))?,
            })
        };
        Ok(Self {
            tokens,
            stream: Stream::new(network, tokens)?,
            queries: Buffer::zeroed(tokens * queries)?,
            keys: Buffer::zeroed(tokens * keys)?,
            values: Buffer::zeroed(tokens * keys)?,
            attended: Buffer::zeroed(tokens * queries)?,
            projected: Buffer::zeroed(tokens * network.hidden)?,
            gate: Buffer::zeroed(tokens * network.intermediate)?,
            up: Buffer::zeroed(tokens * network.intermediate)?,
            angles: Buffer::zeroed(network.ropes.len() * tokens * network.head_dim.next_multiple_of(2))?,
            private: (0..threads).map(|_| private()).collect::<Result<_>>()?,
        })
    }
}
