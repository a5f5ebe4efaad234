//! Memory that steps work in: made once for a chunk size, reused by every step after.

use crate::attention;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::experts::Order;
use crate::formats::padded;
use crate::matrix::Stage;
use crate::model::Network;
use crate::stage::{Input, UNPACKED_ROOM};

/// Most rows of one attention job (tokens times heads), unless one token has more.
pub(crate) const ATTENTION_ROWS: usize = 16;

/// The residual stream of some tokens and the prepared inputs of the stage they are at.
pub(crate) struct Stream {
    pub x: Buffer<f32>,
    pub inputs: Vec<Input>,
}

impl Stream {
    fn new(network: &Network, tokens: usize) -> Result<Self> {
        let stages: Vec<_> = network.stages().collect();
        Ok(Self { x: Buffer::zeroed(tokens * network.hidden)?, inputs: inputs_for(&stages, tokens)? })
    }
}

/// Room for the inputs of any one of these stages.
fn inputs_for(stages: &[&Stage], tokens: usize) -> Result<Vec<Input>> {
    let widest = stages.iter().map(|stage| stage.cols).max().unwrap_or(0);
    let forms = stages.iter().map(|stage| stage.preparations.len()).max().unwrap_or(0);
    let float = stages.iter().any(|stage| stage.preparations.iter().any(|p| p.group.is_none()));
    (0..forms).map(|_| Input::new(tokens, widest, float)).collect()
}

/// What layers with a router work in: their tokens sorted by expert, one row for each expert of each
/// token.
pub(crate) struct Routed {
    /// `[tokens, hidden]`
    pub normed: Buffer<f32>,
    /// `[tokens, experts]`
    pub logits: Buffer<f32>,
    /// The experts of each token in ascending order, `[tokens, active]`, and their shares.
    pub chosen: Buffer<u32>,
    pub shares: Buffer<f32>,
    pub inputs: Vec<Input>,
    /// `[rows, intermediate]`
    pub gate: Buffer<f32>,
    pub up: Buffer<f32>,
    /// `[rows, hidden]`
    pub made: Buffer<f32>,
}

impl Routed {
    fn new(network: &Network, tokens: usize) -> Result<Self> {
        let layers = || network.layers.iter().filter_map(|layer| Some((layer, layer.router.as_ref()?)));
        let active = layers().map(|(_, router)| router.active).max().unwrap_or(0);
        let experts = layers().map(|(layer, _)| layer.experts.len()).max().unwrap_or(0);
        let wide = layers().map(|(layer, _)| layer.intermediate).max().unwrap_or(0);
        let stages: Vec<_> = layers().flat_map(|(layer, _)| layer.expert_stages()).collect();
        let (rows, all) = (tokens * active, if active > 0 { tokens } else { 0 });
        Ok(Self {
            normed: Buffer::zeroed(all * network.hidden)?,
            logits: Buffer::zeroed(tokens * experts)?,
            chosen: Buffer::zeroed(rows)?,
            shares: Buffer::zeroed(rows)?,
            inputs: inputs_for(&stages, rows)?,
            gate: Buffer::zeroed(rows * wide)?,
            up: Buffer::zeroed(rows * wide)?,
            made: Buffer::zeroed(rows * network.hidden)?,
        })
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
    /// See [`crate::stage::Product`].
    pub unpacked: Buffer<u8>,
    /// The tokens of this step sorted by expert.
    pub order: Order,
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
    pub routed: Routed,
    /// Cosines, then sines, of every rope: `[ropes, tokens, 2, half]` with half = head_dim / 2.
    pub angles: Buffer<f32>,
    /// What a single token's heads make of each segment of a long text: `[segments, heads, state]`.
    pub states: Buffer<f32>,
    pub private: Vec<Private>,
}

impl Workspace {
    /// Room for chunks of up to `tokens` tokens on `threads` threads.
    pub fn new(network: &Network, tokens: usize, threads: usize) -> Result<Self> {
        let queries = network.heads * network.head_dim;
        let keys = network.kv_heads * network.head_dim;
        let widest = padded(network.stages().map(|stage| stage.cols).max().unwrap_or(0));
        let rows = ATTENTION_ROWS.max(network.heads / network.kv_heads);
        let dense = network.layers.iter().filter(|layer| layer.router.is_none());
        let wide = dense.map(|layer| layer.intermediate).max().unwrap_or(0);
        let private = || {
            Ok(Private {
                stream: Stream::new(network, 1)?,
                row: Buffer::zeroed(widest)?,
                scratch: Buffer::zeroed(widest)?,
                attention: Buffer::zeroed(attention::scratch_floats(rows, network.head_dim))?,
                unpacked: Buffer::zeroed(UNPACKED_ROOM)?,
                order: Order::new(network, tokens)?,
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
            gate: Buffer::zeroed(tokens * wide)?,
            up: Buffer::zeroed(tokens * wide)?,
            routed: Routed::new(network, tokens)?,
            states: Buffer::zeroed(0)?,
            angles: Buffer::zeroed(network.ropes.len() * tokens * network.head_dim.next_multiple_of(2))?,
            private: (0..threads).map(|_| private()).collect::<Result<_>>()?,
        })
    }
}
