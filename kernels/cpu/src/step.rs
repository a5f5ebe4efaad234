//! One step: a chunk of tokens through the whole network, run by all threads together.
//!
//! Between barriers every thread writes only its own part.  A single token is embedded, normed
//! and prepared by every thread for itself (in its private stream), a chunk token by token.

use crate::attention::{self, BLOCK, Output, state_floats};
use crate::cache::Text;
use crate::formats::{TILE, row_values};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Stage};
use crate::model::{Expert, Layer, Network};
use crate::pool::Worker;
use crate::rope;
use crate::stage::{Input, Place, Product, prepare};
use crate::workspace::{ATTENTION_ROWS, Private, Stream, Workspace};

/// Everything that a step reads, and where its results go.
pub(crate) struct Step<'a> {
    pub network: &'a Network,
    pub kernels: &'static Kernels,
    pub workspace: &'a Workspace,
    pub cache: &'a Text,
    /// Checked to be within the vocabulary.
    pub tokens: &'a [i32],
    /// Position of the first token.
    pub position: usize,
    /// Logits of the tokens from `logits_from` on are written to `[tokens − logits_from, vocabulary]`.
    pub logits: *mut f32,
    pub logits_from: usize,
}

// SAFETY: threads share it to write disjoint parts through its raw pointers.
unsafe impl Sync for Step<'_> {}

impl Step<'_> {
    fn single(&self) -> bool {
        self.tokens.len() == 1
    }

    fn own_tokens(&self, worker: &Worker) -> std::ops::Range<usize> {
        if self.single() { 0..1 } else { worker.share(self.tokens.len()) }
    }

    fn stream<'b>(&'b self, private: &'b Private) -> &'b Stream {
        if self.single() { &private.stream } else { &self.workspace.stream }
    }

    /// A barrier that a single token does not need, because its threads work for themselves.
    fn join(&self, worker: &Worker) {
        if !self.single() {
            worker.barrier();
        }
    }

    /// # Safety
    /// Called by every thread of the pool; the cache has room for the tokens; buffers are made
    /// for this network, at least as many tokens and as many threads.
    pub unsafe fn run(&self, worker: &Worker) {
        let (network, space) = (self.network, self.workspace);
        let private = &space.private[worker.index];
        let stream = self.stream(private);
        self.turn_angles(worker);
        for token in self.own_tokens(worker) {
            self.embed(token, stream.x.pointer().add(token * network.hidden));
        }
        let mut pending: Option<&[f32]> = None;
        for (index, layer) in network.layers.iter().enumerate() {
            for token in self.own_tokens(worker) {
                if index > 0 {
                    self.add_residual(token, pending, private);
                }
                self.norm_and_prepare(token, &layer.input_norm, &layer.qkv, private);
            }
            self.join(worker);
            self.attention(index, layer, worker);
            for token in self.own_tokens(worker) {
                self.add_residual(token, layer.post_attention_norm.as_deref(), private);
                if layer.router.is_none() {
                    self.norm_and_prepare(token, &layer.mlp_norm, &layer.experts[0].gate_up, private);
                }
            }
            match &layer.router {
                None => {
                    self.join(worker);
                    self.mlp(layer, worker);
                }
                Some(router) => self.mixture(layer, router, worker),
            }
            pending = layer.post_mlp_norm.as_deref();
        }
        if !self.logits.is_null() {
            self.head(pending, worker);
        }
    }

    /// Cosines and sines of this chunk's positions, for every rope.
    unsafe fn turn_angles(&self, worker: &Worker) {
        let count = self.tokens.len();
        for item in worker.share(self.network.ropes.len() * count) {
            let rope = &self.network.ropes[item / count];
            let half = rope.frequencies.len();
            let to = self.angles(item / count, item % count);
            let cos = std::slice::from_raw_parts_mut(to, half);
            let sin = std::slice::from_raw_parts_mut(to.add(half), half);
            rope::angles(&rope.frequencies, rope.scale, self.position + item % count, cos, sin);
        }
    }

    unsafe fn angles(&self, rope: usize, token: usize) -> *mut f32 {
        let width = self.network.head_dim.next_multiple_of(2);
        self.workspace.angles.pointer().add((rope * self.tokens.len() + token) * width)
    }

    unsafe fn embed(&self, token: usize, x: *mut f32) {
        let (matrix, preparation) = &self.network.embedding;
        let row = self.tokens[token] as usize;
        let values = std::slice::from_raw_parts_mut(x, matrix.cols);
        dequantise_row(matrix, row, values);
        if let Some(transform) = &preparation.transform {
            // The stored row is the original times the inverse; both factors are symmetric.
            (self.kernels.hadamard)(x, matrix.cols, transform.block);
            (self.kernels.multiply)(x, transform.signs.as_ptr(), x, matrix.cols);
        }
        for value in values {
            *value *= self.network.embedding_scale * matrix.gain;
        }
    }

    /// x += projected, normed and scaled first where the family does so.
    unsafe fn add_residual(&self, token: usize, post_norm: Option<&[f32]>, private: &Private) {
        let hidden = self.network.hidden;
        let x = self.stream(private).x.pointer().add(token * hidden);
        let mut added = self.workspace.projected.pointer().cast_const().add(token * hidden);
        if let Some(weight) = post_norm {
            (self.kernels.norm)(added, weight.as_ptr(), private.row.pointer(), hidden, self.network.eps);
            added = private.row.pointer();
        }
        if self.network.residual_multiplier != 1.0 {
            for i in 0..hidden {
                *private.row.pointer().add(i) = *added.add(i) * self.network.residual_multiplier;
            }
            added = private.row.pointer();
        }
        (self.kernels.accumulate)(x, added, hidden);
    }

    unsafe fn norm_and_prepare(&self, token: usize, weight: &[f32], stage: &Stage, private: &Private) {
        self.norm(token, weight, private);
        let inputs = &self.stream(private).inputs;
        self.prepare(stage, private.row.pointer(), (0, stage.cols), self.place(token), inputs, private);
    }

    /// Of a token of this chunk, all of which are multiplied together.
    fn place(&self, token: usize) -> Place {
        Place { first: 0, token, tokens: self.tokens.len() }
    }

    /// The norm of a token's residual stream, in the private row.
    pub(crate) unsafe fn norm(&self, token: usize, weight: &[f32], private: &Private) {
        let hidden = self.network.hidden;
        let x = self.stream(private).x.pointer().add(token * hidden);
        (self.kernels.norm)(x, weight.as_ptr(), private.row.pointer(), hidden, self.network.eps);
    }

    pub(crate) unsafe fn prepare(
        &self,
        stage: &Stage,
        x: *const f32,
        columns: (usize, usize),
        place: Place,
        inputs: &[Input],
        private: &Private,
    ) {
        for (form, input) in stage.preparations.iter().zip(inputs) {
            prepare(self.kernels, form, x, stage.cols, columns, place, private.scratch.pointer(), input);
        }
    }

    /// From the prepared input to `projected`; ends with a barrier.
    unsafe fn attention(&self, index: usize, layer: &Layer, worker: &Worker) {
        let space = self.workspace;
        let private = &space.private[worker.index];
        let stream = self.stream(private);
        let count = self.tokens.len();
        let outputs = [space.queries.pointer(), space.keys.pointer(), space.values.pointer()];
        Product {
            kernels: self.kernels,
            stage: &layer.qkv,
            inputs: &stream.inputs,
            tokens: (0, count),
            outputs: &outputs,
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
        let each = self.network.heads + self.network.kv_heads;
        // Values of a block share bytes: one thread writes all of a head.
        let blocks = (self.position + count).div_ceil(BLOCK) - self.position / BLOCK;
        for item in worker.share(count * each + blocks * self.network.kv_heads) {
            match item.checked_sub(count * each) {
                None => self.rotate(index, layer, item / each, item % each),
                Some(item) => self.keep_values(index, item / blocks, item % blocks),
            }
        }
        worker.barrier();
        self.attend(index, layer, private, worker);
        worker.barrier();
        for token in self.own_tokens(worker) {
            let mut row = space.attended.pointer().add(token * layer.o.cols);
            if let Some(weight) = &layer.attention_sub_norm {
                let to = private.row.pointer();
                (self.kernels.norm)(row, weight.as_ptr(), to, layer.o.cols, self.network.eps);
                row = to;
            }
            self.prepare(&layer.o, row, (0, layer.o.cols), self.place(token), &stream.inputs, private);
        }
        self.join(worker);
        Product {
            kernels: self.kernels,
            stage: &layer.o,
            inputs: &stream.inputs,
            tokens: (0, count),
            outputs: &[space.projected.pointer()],
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
    }

    /// Norms and turns one head of one token, first the query heads, then those of keys, which go to
    /// the cache.
    unsafe fn rotate(&self, index: usize, layer: &Layer, token: usize, head: usize) {
        let (network, space) = (self.network, self.workspace);
        let dim = network.head_dim;
        let half = layer.rope.map_or(0, |rope| network.ropes[rope].frequencies.len());
        let angles = std::slice::from_raw_parts(self.angles(layer.rope.unwrap_or(0), token), 2 * half);
        let turn = |row: *mut f32, norm: &Option<Vec<f32>>| {
            if let Some(weight) = norm {
                (self.kernels.norm)(row, weight.as_ptr(), row, dim, network.eps);
            }
            rope::rotate(std::slice::from_raw_parts_mut(row, dim), &angles[..half], &angles[half..]);
        };
        if head < network.heads {
            let row = space.queries.pointer().add((token * network.heads + head) * dim);
            turn(row, &layer.q_norm);
            for d in 0..dim {
                *row.add(d) *= network.attention_scale;
            }
            self.cache.turn_query(self.kernels, row);
        } else {
            let head = head - network.heads;
            let key = space.keys.pointer().add((token * network.kv_heads + head) * dim);
            turn(key, &layer.k_norm);
            self.cache.write_key(self.kernels, index, head, self.position + token, key);
        }
    }

    /// The values of one head of those tokens that lie in the chunk's block number `block`.
    unsafe fn keep_values(&self, index: usize, head: usize, block: usize) {
        let (first, apart) = (self.position / BLOCK + block, self.network.kv_heads * self.network.head_dim);
        let from = (first * BLOCK).max(self.position);
        let to = ((first + 1) * BLOCK).min(self.position + self.tokens.len());
        let at = (from - self.position) * apart + head * self.network.head_dim;
        let values = self.workspace.values.pointer().add(at);
        self.cache.write_values(self.kernels, (index, head), from..to, values, apart);
    }

    unsafe fn attend(&self, index: usize, layer: &Layer, private: &Private, worker: &Worker) {
        let (network, space) = (self.network, self.workspace);
        let (count, dim, group) = (self.tokens.len(), network.head_dim, network.heads / network.kv_heads);
        let segments = Text::segments(self.position, layer.window);
        if count == 1 && segments.len() > 1 {
            self.attend_segments(index, layer, segments, private, worker);
            return;
        }
        // Query heads that share keys stay together, unless a single token leaves threads idle.
        let enough = |parts: &usize| count > 1 || network.kv_heads * parts >= worker.threads;
        let parts = (1..=group).filter(|parts| group.is_multiple_of(*parts)).find(enough).unwrap_or(group);
        let (heads, tokens) = (group / parts, if count == 1 { 1 } else { (ATTENTION_ROWS / group).max(1) });
        let chunks = count.div_ceil(tokens);
        for unit in (worker.index..network.kv_heads * parts * chunks).step_by(worker.threads) {
            // The last tokens see the most: they come first.
            let (chunk, part) = (chunks - 1 - unit / (network.kv_heads * parts), unit % (network.kv_heads * parts));
            let (kv_head, first) = (part / parts, chunk * tokens);
            let at = first * network.heads * dim + part * heads * dim;
            let result = Output::Rows(space.attended.pointer().add(at));
            let tokens = (first, tokens.min(count - first));
            self.attend_heads(index, layer, kv_head, (at, heads), tokens, private, result);
        }
    }

    /// One token whose keys are so many that threads share the segments of a head.
    unsafe fn attend_segments(
        &self,
        index: usize,
        layer: &Layer,
        segments: std::ops::Range<usize>,
        private: &Private,
        worker: &Worker,
    ) {
        let (network, space) = (self.network, self.workspace);
        let (dim, group) = (network.head_dim, network.heads / network.kv_heads);
        let (state, states) = (state_floats(dim), space.states.pointer());
        while let Some(units) = worker.claim(network.kv_heads * segments.len(), 1) {
            for unit in units {
                let (kv_head, segment) = (unit / segments.len(), unit % segments.len());
                let at = states.add((segment * network.heads + kv_head * group) * state);
                let result = Output::Segment { number: segments.start + segment, states: at };
                self.attend_heads(index, layer, kv_head, (kv_head * group * dim, group), (0, 1), private, result);
            }
        }
        worker.barrier();
        let turned = self.cache.memory.layout.quantised();
        for head in worker.share(network.heads) {
            let parts = (segments.len(), network.heads * state);
            (self.kernels.merge)(
                states.add(head * state),
                parts,
                space.attended.pointer().add(head * dim),
                dim,
                turned,
            );
        }
    }

    /// `heads` query heads, the first at `at`, of tokens `first .. first + tokens` against one key head.
    #[allow(clippy::too_many_arguments)]
    unsafe fn attend_heads(
        &self,
        index: usize,
        layer: &Layer,
        kv_head: usize,
        (at, heads): (usize, usize),
        (first, tokens): (usize, usize),
        private: &Private,
        result: Output,
    ) {
        let network = self.network;
        (self.kernels.attend)(&attention::Job {
            queries: self.workspace.queries.pointer().add(at),
            stride: network.heads * network.head_dim,
            tokens,
            heads,
            head_dim: network.head_dim,
            position: self.position + first,
            window: layer.window,
            places: self.cache.places(index, kv_head),
            softcap: network.attention_softcap,
            scratch: private.attention.pointer(),
            result,
        });
    }

    /// The MLP of a dense layer, from the prepared input to `projected`; ends with a barrier.
    unsafe fn mlp(&self, layer: &Layer, worker: &Worker) {
        let space = self.workspace;
        let private = &space.private[worker.index];
        let (count, Expert { gate_up, down }) = (self.tokens.len(), &layer.experts[0]);
        let (gate, up) = (space.gate.pointer(), space.up.pointer());
        Product {
            kernels: self.kernels,
            stage: gate_up,
            inputs: &self.stream(private).inputs[..],
            tokens: (0, count),
            outputs: &[gate, up],
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
        let span = down_span(layer, down);
        let spans = layer.intermediate.div_ceil(span);
        for item in worker.share(count * spans) {
            let (token, from) = (item / spans, item % spans * span);
            let (gate, up) = (gate.add(token * layer.intermediate), up.add(token * layer.intermediate));
            self.activate(layer, down, (gate, up), (from, span), self.place(token), &space.stream.inputs, private);
        }
        worker.barrier();
        Product {
            kernels: self.kernels,
            stage: down,
            inputs: &space.stream.inputs[..],
            tokens: (0, count),
            outputs: &[space.projected.pointer()],
            unpacked: &private.unpacked,
        }
        .share(worker);
        worker.barrier();
    }

    /// Prepares `span` columns from `from` on of an expert's down input, from a token's rows of gate and up.
    #[allow(clippy::too_many_arguments)]
    pub(crate) unsafe fn activate(
        &self,
        layer: &Layer,
        down: &Stage,
        (gate, up): (*const f32, *const f32),
        (from, span): (usize, usize),
        place: Place,
        inputs: &[Input],
        private: &Private,
    ) {
        let (row, to) = (private.row.pointer(), (from + span).min(layer.intermediate));
        (self.kernels.activate)(gate.add(from), up.add(from), row.add(from), to - from, self.network.activation);
        if let Some(weight) = &layer.mlp_sub_norm {
            (self.kernels.norm)(row, weight.as_ptr(), row, to, self.network.eps);
        }
        self.prepare(down, row, (from, to), place, inputs, private);
    }

    /// The logits of the tokens that want them.
    unsafe fn head(&self, pending: Option<&[f32]>, worker: &Worker) {
        let network = self.network;
        let private = &self.workspace.private[worker.index];
        let stream = self.stream(private);
        let wanted = self.tokens.len() - self.logits_from;
        for token in self.own_tokens(worker) {
            if let Some(row) = token.checked_sub(self.logits_from) {
                self.add_residual(token, pending, private);
                self.norm(token, &network.final_norm, private);
                let (columns, place) = ((0, network.hidden), Place { first: 0, token: row, tokens: wanted });
                self.prepare(&network.head, private.row.pointer(), columns, place, &stream.inputs, private);
            }
        }
        self.join(worker);
        Product {
            kernels: self.kernels,
            stage: &network.head,
            inputs: &stream.inputs,
            tokens: (0, wanted),
            outputs: &[self.logits],
            unpacked: &private.unpacked,
        }
        .share(worker);
        if network.logit_softcap > 0.0 {
            worker.barrier();
            let part = worker.share(wanted * network.vocabulary);
            (self.kernels.softcap)(self.logits.add(part.start), part.len(), network.logit_softcap);
        }
    }
}

/// Columns of a down input that can be prepared apart from the others; a norm needs all.
pub(crate) fn down_span(layer: &Layer, down: &Stage) -> usize {
    if layer.mlp_sub_norm.is_some() { down.padded() } else { down.span() }
}

/// One row of a matrix, scaled, without undoing its transform.
///
/// # Safety
/// The matrix is valid and has the row; `out` is as wide as the matrix.
unsafe fn dequantise_row(matrix: &Matrix, row: usize, out: &mut [f32]) {
    let (tile, lane) = (row / TILE, row % TILE);
    row_values(matrix.format, matrix.codes.add(tile * matrix.tile_bytes), lane, out);
    if matrix.groups > 0 {
        let scales = matrix.scales.add(tile * matrix.groups * TILE + lane);
        for (g, values) in out.chunks_mut(matrix.group).enumerate() {
            let scale = crate::half::to_f32(scales.add(g * TILE).read_unaligned());
            for value in values {
                *value *= scale;
            }
        }
    }
}
