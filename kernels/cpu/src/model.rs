//! A whole network, checked: every shape agrees with every other before anything runs.

use crate::abi::{TzExpert, TzLayer, TzMatrix, TzModelSpec, TzVector};
use crate::elementwise::Activation;
use crate::error::{Error, Result, ensure};
use crate::formats::FormatId;
use crate::matrix::{Matrix, Preparation, Stage, vector};

const LARGEST: u32 = 1 << 24;
const MOST_LAYERS: usize = 1 << 12;
const LARGEST_HEAD: u32 = 1 << 12;
const MOST_EXPERTS: usize = 1 << 12;

/// A gated MLP: that of a dense layer, or one of many.
pub(crate) struct Expert {
    pub gate_up: Stage,
    pub down: Stage,
}

/// Chooses the experts of a token.
pub(crate) struct Router {
    pub stage: Stage,
    /// Experts that a token goes through.
    pub active: usize,
    /// Their shares are divided by the sum of them.
    pub normalise: bool,
}

pub(crate) struct Layer {
    pub input_norm: Vec<f32>,
    pub qkv: Stage,
    pub q_norm: Option<Vec<f32>>,
    pub k_norm: Option<Vec<f32>>,
    pub attention_sub_norm: Option<Vec<f32>>,
    pub o: Stage,
    pub post_attention_norm: Option<Vec<f32>>,
    pub mlp_norm: Vec<f32>,
    /// One where there is no router.
    pub experts: Vec<Expert>,
    pub router: Option<Router>,
    /// Of every expert.
    pub intermediate: usize,
    pub mlp_sub_norm: Option<Vec<f32>>,
    pub post_mlp_norm: Option<Vec<f32>>,
    pub window: usize,
    pub rope: Option<usize>,
}

pub(crate) struct Rope {
    pub frequencies: Vec<f32>,
    pub scale: f32,
}

/// Norm weights have the family's offset added already.
pub(crate) struct Network {
    pub hidden: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub vocabulary: usize,
    pub eps: f32,
    pub embedding_scale: f32,
    pub residual_multiplier: f32,
    pub attention_scale: f32,
    pub attention_softcap: f32,
    pub logit_softcap: f32,
    pub activation: Activation,
    pub embedding: (Matrix, Preparation),
    pub layers: Vec<Layer>,
    pub final_norm: Vec<f32>,
    /// Its gain has the model's logit multiplier in it.
    pub head: Stage,
    pub ropes: Vec<Rope>,
}

const ABSENT: TzVector = TzVector { data: std::ptr::null(), length: 0 };

/// A matrix that must have this shape.
unsafe fn shaped(
    name: &str,
    raw: &TzMatrix,
    (rows, cols): (usize, usize),
    bias: &TzVector,
) -> Result<(Matrix, Preparation)> {
    ensure!(
        (raw.rows as usize, raw.cols as usize) == (rows, cols),
        "{name}: the shape is {} × {} where the model needs {rows} × {cols}",
        raw.rows,
        raw.cols
    );
    unsafe { Matrix::new(name, raw, bias) }
}

fn needed(owner: &str, part: &str, found: Option<Vec<f32>>) -> Result<Vec<f32>> {
    found.ok_or_else(|| Error::invalid(format!("{owner}: {part} is missing")))
}

/// Checks an array handed over as address and count.
unsafe fn items<'a, T>(what: &str, data: *const T, count: usize, most: usize) -> Result<&'a [T]> {
    ensure!(!data.is_null() && count > 0 && count <= most, "{count} {what} are not possible");
    ensure!(data.is_aligned(), "the address of the {what} is not aligned");
    Ok(unsafe { std::slice::from_raw_parts(data, count) })
}

impl Network {
    /// # Safety
    /// Every pointer is null or valid for its length; weights stay mapped while this lives.
    pub unsafe fn new(raw: &TzModelSpec) -> Result<Self> {
        for (name, value, most) in [
            ("hidden", raw.hidden, LARGEST),
            ("heads", raw.heads, LARGEST_HEAD),
            ("kv_heads", raw.kv_heads, LARGEST_HEAD),
            ("head_dim", raw.head_dim, LARGEST_HEAD),
            ("vocabulary", raw.vocabulary, LARGEST),
        ] {
            ensure!((1..=most).contains(&value), "{name} is {value}");
        }
        ensure!(raw.heads.is_multiple_of(raw.kv_heads), "{} heads for {} kv_heads", raw.heads, raw.kv_heads);
        let activation = match raw.activation {
            0 => Activation::Silu,
            1 => Activation::GeluTanh,
            2 => Activation::Relu2,
            other => return Err(Error::invalid(format!("no activation has the number {other}"))),
        };
        ensure!(raw.per_token <= 1, "no activations have the number {}", raw.per_token);
        for (name, value) in [
            ("norm_eps", raw.norm_eps),
            ("norm_offset", raw.norm_offset),
            ("embedding_scale", raw.embedding_scale),
            ("residual_multiplier", raw.residual_multiplier),
            ("attention_scale", raw.attention_scale),
            ("logit_multiplier", raw.logit_multiplier),
        ] {
            ensure!(value.is_finite(), "{name} is {value}");
        }
        for (name, value) in [("attention_softcap", raw.attention_softcap), ("logit_softcap", raw.logit_softcap)] {
            ensure!(value.is_finite() && value >= 0.0, "{name} is {value}");
        }
        let (hidden, vocabulary) = (raw.hidden as usize, raw.vocabulary as usize);
        unsafe {
            let mut ropes = Vec::new();
            for rope in items("ropes", raw.ropes, raw.rope_count, MOST_LAYERS)? {
                let length = rope.inverse_frequencies.length;
                ensure!(2 * length <= raw.head_dim as usize, "a rope turns more than a head has");
                let found = vector("rope", "inverse_frequencies", &rope.inverse_frequencies, length, 0.0)?;
                ropes.push(Rope { frequencies: needed("rope", "inverse_frequencies", found)?, scale: rope.scale });
            }
            let mut layers = Vec::new();
            for (i, layer) in items("layers", raw.layers, raw.layer_count, MOST_LAYERS)?.iter().enumerate() {
                ensure!((-1..ropes.len() as i32).contains(&layer.rope), "layer {i}: there is no rope {}", layer.rope);
                layers.push(Layer::new(&format!("layer {i}"), raw, layer)?);
            }
            let mut head = shaped("head", &raw.head, (vocabulary, hidden), &ABSENT)?;
            head.0.gain *= raw.logit_multiplier;
            let final_norm = vector("model", "final_norm", &raw.final_norm, hidden, raw.norm_offset)?;
            Ok(Self {
                hidden,
                heads: raw.heads as usize,
                kv_heads: raw.kv_heads as usize,
                head_dim: raw.head_dim as usize,
                vocabulary,
                eps: raw.norm_eps,
                embedding_scale: raw.embedding_scale,
                residual_multiplier: raw.residual_multiplier,
                attention_scale: raw.attention_scale,
                attention_softcap: raw.attention_softcap,
                logit_softcap: raw.logit_softcap,
                activation,
                embedding: shaped("embedding", &raw.embedding, (vocabulary, hidden), &ABSENT)?,
                layers,
                final_norm: needed("model", "final_norm", final_norm)?,
                head: Stage::new(vec![head]),
                ropes,
            })
        }
    }

    /// The stages of all layers and the head.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        let attention = self.layers.iter().flat_map(|layer| [&layer.qkv, &layer.o]);
        let routers = self.layers.iter().filter_map(|layer| layer.router.as_ref()).map(|router| &router.stage);
        let experts = self.layers.iter().flat_map(Layer::expert_stages);
        attention.chain(routers).chain(experts).chain([&self.head])
    }
}

/// A projection of a block: its input is rounded as the network has it.
unsafe fn projection(
    spec: &TzModelSpec,
    name: &str,
    raw: &TzMatrix,
    shape: (usize, usize),
    bias: &TzVector,
) -> Result<(Matrix, Preparation)> {
    let (matrix, mut preparation) = unsafe { shaped(name, raw, shape, bias)? };
    preparation.per_token = spec.per_token == 1 && preparation.group.is_some();
    Ok((matrix, preparation))
}

impl Expert {
    unsafe fn new(name: &str, spec: &TzModelSpec, raw: &TzExpert, wide: usize) -> Result<Self> {
        let hidden = spec.hidden as usize;
        let matrix =
            |part: &str, raw, shape, bias| unsafe { projection(spec, &format!("{name}, {part}"), raw, shape, bias) };
        Ok(Self {
            gate_up: Stage::new(vec![
                matrix("gate", &raw.gate, (wide, hidden), &raw.gate_bias)?,
                matrix("up", &raw.up, (wide, hidden), &raw.up_bias)?,
            ]),
            down: Stage::new(vec![matrix("down", &raw.down, (hidden, wide), &raw.down_bias)?]),
        })
    }
}

impl Router {
    /// `None` for a dense layer, which has one expert.
    unsafe fn new(name: &str, spec: &TzModelSpec, raw: &TzLayer) -> Result<Option<Self>> {
        let count = raw.expert_count;
        if raw.router.codes.is_null() {
            ensure!(count == 1 && raw.router.codes_length == 0, "{name}: {count} experts without a router");
            return Ok(None);
        }
        let active = raw.active as usize;
        ensure!((1..=count).contains(&active), "{name}: {active} of {count} experts");
        ensure!(raw.normalise <= 1, "{name}: normalise is {}", raw.normalise);
        let name = format!("{name}, router");
        let (matrix, form) = unsafe { shaped(&name, &raw.router, (count, spec.hidden as usize), &ABSENT)? };
        ensure!(matrix.format == FormatId::F16, "{name}: its format is not f16");
        Ok(Some(Self { stage: Stage::new(vec![(matrix, form)]), active, normalise: raw.normalise == 1 }))
    }
}

impl Layer {
    /// The stages of its experts.
    pub fn expert_stages(&self) -> impl Iterator<Item = &Stage> {
        self.experts.iter().flat_map(|expert| [&expert.gate_up, &expert.down])
    }

    unsafe fn new(name: &str, spec: &TzModelSpec, raw: &TzLayer) -> Result<Self> {
        let (hidden, dim) = (spec.hidden as usize, spec.head_dim as usize);
        let (queries, keys) = (spec.heads as usize * dim, spec.kv_heads as usize * dim);
        unsafe {
            let parts = items(&format!("experts of {name}"), raw.experts, raw.expert_count, MOST_EXPERTS)?;
            let wide = parts[0].gate.rows as usize;
            let expert = |(i, raw)| Expert::new(&format!("{name}, expert {i}"), spec, raw, wide);
            let experts = parts.iter().enumerate().map(expert).collect::<Result<Vec<_>>>()?;
            let matrix = |part: &str, raw, shape, bias| projection(spec, &format!("{name}, {part}"), raw, shape, bias);
            let norm = |part: &str, raw, length| vector(name, part, raw, length, spec.norm_offset);
            Ok(Self {
                input_norm: needed(name, "input_norm", norm("input_norm", &raw.input_norm, hidden)?)?,
                qkv: Stage::new(vec![
                    matrix("q", &raw.q, (queries, hidden), &raw.q_bias)?,
                    matrix("k", &raw.k, (keys, hidden), &raw.k_bias)?,
                    matrix("v", &raw.v, (keys, hidden), &raw.v_bias)?,
                ]),
                q_norm: norm("q_norm", &raw.q_norm, dim)?,
                k_norm: norm("k_norm", &raw.k_norm, dim)?,
                attention_sub_norm: norm("attention_sub_norm", &raw.attention_sub_norm, queries)?,
                o: Stage::new(vec![matrix("o", &raw.o, (hidden, queries), &raw.o_bias)?]),
                post_attention_norm: norm("post_attention_norm", &raw.post_attention_norm, hidden)?,
                mlp_norm: needed(name, "mlp_norm", norm("mlp_norm", &raw.mlp_norm, hidden)?)?,
                experts,
                router: Router::new(name, spec, raw)?,
                intermediate: wide,
                mlp_sub_norm: norm("mlp_sub_norm", &raw.mlp_sub_norm, wide)?,
                post_mlp_norm: norm("post_mlp_norm", &raw.post_mlp_norm, hidden)?,
                window: if raw.window == 0 { usize::MAX } else { raw.window as usize },
                rope: usize::try_from(raw.rope).ok(),
            })
        }
    }
}
