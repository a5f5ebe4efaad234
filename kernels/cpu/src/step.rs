//! One step: a chunk of tokens through the whole network, run by all threads together.
//!
//! Between barriers every thread writes only its own part.  A single token is embedded, normed
//! and prepared by every thread for itself (in its private stream), a chunk token by token.

use crate::cache::Text;
use crate::formats::{TILE, row_values};
use crate::kernels::Kernels;
use crate::matrix::{Matrix, Stage};
use crate::model::{Expert, Layer, Network};
use crate::pool::Worker;
use crate::rope;
use crate::stage::{Input, Place, Product, prepare};
use crate::workspace::{Private, Stream, Workspace};

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

    pub(crate) fn own_tokens(&self, worker: &Worker) -> std::ops::Range<usize> {
        if self.single() { 0..1 } else { worker.share(self.tokens.len()) }
    }

    pub(crate) fn stream<'b>(&'b self, private: &'b Private) -> &'b Stream {
        if self.single() { &private.stream } else { &self.workspace.stream }
    }

    /// A barrier that a single token does not need, because its threads work for themselves.
    pub(crate) fn join(&self, worker: &Worker) {
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

    pub(crate) unsafe fn angles(&self, rope: usize, token: usize) -> *mut f32 {
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
    pub(crate) fn place(&self, token: usize) -> Place {
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
