//! The structs that cross the C ABI.  Addresses and lengths go together; absent parts are null
//! with length 0.  Weights are borrowed: whoever builds a model keeps them mapped until it is freed.

/// Float32 numbers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzVector {
    pub data: *const f32,
    pub length: usize,
}

/// Float32 (kind 0) or bfloat16 (kind 1) numbers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzNumbers {
    pub data: *mut u8,
    pub length: usize,
    pub kind: u32,
}

/// A matrix as a model folder stores it; `tzcore/trits` gives the layout.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzMatrix {
    /// Tiles; the length is in bytes.
    pub codes: *const u8,
    pub codes_length: usize,
    /// fp16 `[tiles, groups, 16]`; the length is in numbers.  Null for f16 matrices.
    pub scales: *const u16,
    pub scales_length: usize,
    /// ±1, one a column, where the input is transformed.
    pub signs: *const i8,
    pub signs_length: usize,
    /// The Hadamard block, 0 for no transform.
    pub block: u32,
    pub rows: u32,
    pub cols: u32,
    /// 1 t1, 2 t1b3, 3 q2, 4 t2, 5 t2b3, 6 i4, 7 i8, 8 f16
    pub format: u32,
    /// 64 or 128; 0 for f16.
    pub group: u32,
    /// Multiplies the product.
    pub gain: f32,
}

/// Rotary frequencies of one kind of layer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzRope {
    pub inverse_frequencies: TzVector,
    pub scale: f32,
}

/// A gated MLP; the fields are those of `Expert`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzExpert {
    pub gate: TzMatrix,
    pub up: TzMatrix,
    pub down: TzMatrix,
    pub gate_bias: TzVector,
    pub up_bias: TzVector,
    pub down_bias: TzVector,
}

/// One block of the network; the fields are those of `LayerSpec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzLayer {
    pub input_norm: TzVector,
    pub q: TzMatrix,
    pub k: TzMatrix,
    pub v: TzMatrix,
    pub o: TzMatrix,
    pub q_bias: TzVector,
    pub k_bias: TzVector,
    pub v_bias: TzVector,
    pub o_bias: TzVector,
    pub q_norm: TzVector,
    pub k_norm: TzVector,
    pub attention_sub_norm: TzVector,
    pub post_attention_norm: TzVector,
    pub mlp_norm: TzVector,
    /// All of one shape; a single one where there is no router.
    pub experts: *const TzExpert,
    pub expert_count: usize,
    /// `[experts, hidden]` as f16; all zero in a dense layer.
    pub router: TzMatrix,
    /// Experts that a token goes through.
    pub active: u32,
    /// 1: their shares are divided by the sum of them.
    pub normalise: u32,
    pub mlp_sub_norm: TzVector,
    pub post_mlp_norm: TzVector,
    /// Positions a token sees, itself included; 0 for all.
    pub window: u32,
    /// Index into the model's ropes; −1 turns nothing.
    pub rope: i32,
}

/// The whole network; the fields are those of `ModelSpec`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TzModelSpec {
    pub hidden: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    pub vocabulary: u32,
    pub norm_eps: f32,
    pub norm_offset: f32,
    pub embedding_scale: f32,
    pub residual_multiplier: f32,
    pub attention_scale: f32,
    /// 0 for none.
    pub attention_softcap: f32,
    pub logit_multiplier: f32,
    /// 0 for none.
    pub logit_softcap: f32,
    /// 0 SiLU, 1 GELU in its tanh form, 2 the square of ReLU
    pub activation: u32,
    /// Inputs of quantised projections have a scale for 0 each group, 1 each token.
    pub per_token: u32,
    pub embedding: TzMatrix,
    pub final_norm: TzVector,
    pub head: TzMatrix,
    pub layers: *const TzLayer,
    pub layer_count: usize,
    pub ropes: *const TzRope,
    pub rope_count: usize,
}
