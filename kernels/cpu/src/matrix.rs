//! A validated matrix, what its input must be turned into, and the stages of a layer: the
//! matrices that share an input.

use crate::abi::{TzMatrix, TzVector};
use crate::error::{Error, Result, ensure};
use crate::formats::{FormatId, TILE, padded};

pub(crate) const LARGEST_SIDE: u32 = 1 << 24;

/// A matrix whose lengths agree with its shape.  The weights are borrowed from the caller.
pub(crate) struct Matrix {
    pub format: FormatId,
    pub rows: usize,
    pub cols: usize,
    pub group: usize,
    pub groups: usize,
    pub tile_bytes: usize,
    pub codes: *const u8,
    pub scales: *const u16,
    pub gain: f32,
    /// Padded to whole tiles.
    pub bias: Option<Vec<f32>>,
    /// Which of the stage's preparations is its input.
    pub input: usize,
}

// SAFETY: the weights are only read, and the ABI's caller keeps them mapped and unchanged.
unsafe impl Send for Matrix {}
unsafe impl Sync for Matrix {}

/// x ↦ H·(signs ⊙ x)/√block on every run of `block` columns.
#[derive(Clone, PartialEq)]
pub(crate) struct Transform {
    pub block: usize,
    /// ±1/√block
    pub signs: Vec<f32>,
}

/// What the input of a matrix is turned into: transformed, then int8 or left in float32.
#[derive(Clone, PartialEq)]
pub(crate) struct Preparation {
    pub transform: Option<Transform>,
    /// `None` for f16 matrices.
    pub group: Option<usize>,
    /// The int8 of all groups have one scale.
    pub per_token: bool,
}

impl Matrix {
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// Checks everything about a matrix that can be checked without reading its codes.
    ///
    /// # Safety
    /// The pointers are null or valid for their lengths, for as long as the matrix is used.
    pub unsafe fn new(name: &str, raw: &TzMatrix, bias: &TzVector) -> Result<(Self, Preparation)> {
        let format = FormatId::from_number(raw.format);
        let format =
            format.ok_or_else(|| Error::invalid(format!("{name}: no format has the number {}", raw.format)))?;
        ensure!(
            (1..=LARGEST_SIDE).contains(&raw.rows) && (1..=LARGEST_SIDE).contains(&raw.cols),
            "{name}: impossible shape {} × {}",
            raw.rows,
            raw.cols
        );
        let (rows, cols, group) = (raw.rows as usize, raw.cols as usize, raw.group as usize);
        let half = format == FormatId::F16;
        let fits = if half { group == 0 } else { group == 64 || group == 128 };
        ensure!(fits, "{name}: group size {group} is not possible for its format");
        let tile_bytes = format.tile_bytes(cols);
        let tiles = rows.div_ceil(TILE);
        ensure!(
            !raw.codes.is_null() && raw.codes_length == tiles * tile_bytes,
            "{name}: {} bytes of codes where {rows} × {cols} needs {}",
            raw.codes_length,
            tiles * tile_bytes
        );
        let groups = if half { 0 } else { cols.div_ceil(group) };
        ensure!(
            raw.scales_length == tiles * groups * TILE && (half || !raw.scales.is_null()),
            "{name}: {} scales where {rows} × {cols} needs {}",
            raw.scales_length,
            tiles * groups * TILE
        );
        ensure!(raw.gain.is_finite() && raw.gain > 0.0, "{name}: a gain of {}", raw.gain);
        let bias = unsafe { vector(name, "bias", bias, rows, 0.0)? };
        let bias = bias.map(|mut bias| {
            bias.resize(tiles * TILE, 0.0);
            bias
        });
        let transform = unsafe { Transform::new(name, raw)? };
        let (codes, scales, gain) = (raw.codes, raw.scales, raw.gain);
        let matrix = Self { format, rows, cols, group, groups, tile_bytes, codes, scales, gain, bias, input: 0 };
        Ok((matrix, Preparation { transform, group: (!half).then_some(group), per_token: false }))
    }
}

impl Transform {
    unsafe fn new(name: &str, raw: &TzMatrix) -> Result<Option<Self>> {
        let signs = (raw.signs, raw.signs_length);
        unsafe { Self::of(name, signs, raw.cols as usize, raw.block as usize) }
    }

    /// Of `cols` columns, or none where `block` is 0.
    ///
    /// # Safety
    /// `signs` is null or valid for its length.
    pub unsafe fn of(
        name: &str,
        (signs, length): (*const i8, usize),
        cols: usize,
        block: usize,
    ) -> Result<Option<Self>> {
        if block == 0 {
            ensure!(length == 0, "{name}: signs without a Hadamard block");
            return Ok(None);
        }
        ensure!(
            block.is_power_of_two() && block > 1 && cols.is_multiple_of(block),
            "{name}: a Hadamard block of {block} does not fit {cols} columns"
        );
        ensure!(!signs.is_null() && length == cols, "{name}: {length} signs for {cols} columns");
        // SAFETY: not null and as long as the caller says.
        let signs = unsafe { std::slice::from_raw_parts(signs, cols) };
        ensure!(signs.iter().all(|s| s.abs() == 1), "{name}: a sign is neither +1 nor -1");
        let unit = 1.0 / (block as f32).sqrt();
        Ok(Some(Self { block, signs: signs.iter().map(|&s| f32::from(s) * unit).collect() }))
    }
}

/// A copy of a vector of exactly `length` numbers with `offset` added, or `None` where absent.
///
/// # Safety
/// The pointer is null or valid for its length.
pub(crate) unsafe fn vector(
    owner: &str,
    part: &str,
    raw: &TzVector,
    length: usize,
    offset: f32,
) -> Result<Option<Vec<f32>>> {
    if raw.data.is_null() {
        ensure!(raw.length == 0, "{owner}: {part} has a length but no address");
        return Ok(None);
    }
    ensure!(raw.length == length, "{owner}: {part} has {} numbers where {length} are needed", raw.length);
    // SAFETY: not null and as long as the caller says; read without asking for alignment.
    let value = |i| unsafe { raw.data.add(i).read_unaligned() };
    Ok(Some((0..length).map(|i| value(i) + offset).collect()))
}

/// Matrices that share an input, with the distinct forms in which they take it.
pub(crate) struct Stage {
    pub cols: usize,
    pub matrices: Vec<Matrix>,
    pub preparations: Vec<Preparation>,
}

impl Stage {
    pub fn new(parts: Vec<(Matrix, Preparation)>) -> Self {
        let mut stage = Self { cols: parts[0].0.cols, matrices: Vec::new(), preparations: Vec::new() };
        for (mut matrix, preparation) in parts {
            let known = stage.preparations.iter().position(|p| *p == preparation);
            matrix.input = known.unwrap_or(stage.preparations.len());
            if known.is_none() {
                stage.preparations.push(preparation);
            }
            stage.matrices.push(matrix);
        }
        stage
    }

    /// Tiles of all its matrices.
    pub fn tiles(&self) -> usize {
        self.matrices.iter().map(Matrix::tiles).sum()
    }

    pub fn padded(&self) -> usize {
        padded(self.cols)
    }

    /// Columns that can be prepared apart from the others: whole transform blocks, groups and pads.
    pub fn span(&self) -> usize {
        if self.preparations.iter().any(|p| p.per_token) {
            return self.padded();
        }
        let blocks = self.preparations.iter().filter_map(|p| p.transform.as_ref()).map(|t| t.block);
        let unit = blocks.fold(128, usize::max); // all are powers of two, and groups at most 128
        unit.min(self.padded())
    }
}
