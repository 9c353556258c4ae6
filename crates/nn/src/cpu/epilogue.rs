//! What happens to the sums of a product before they are written: bias, activation, addend.

use super::{
    math::gelu,
    matrix::{PANEL, Rows, Target},
    simd::Lanes,
};

/// What happens to each sum before it is written.
#[derive(Clone, Copy, Default)]
pub struct KernelEpilogue<'a> {
    /// One number per column.
    pub bias: Option<&'a [f32]>,
    pub gelu: bool,
    /// Added last; rows like those of the target.
    pub add: Option<Rows<'a>>,
}

/// Holds everything else against a right matrix of `(depth, columns)`.
pub fn check_sizes(a: &Rows<'_>, (depth, columns): (usize, usize), target: &Target, epilogue: &KernelEpilogue<'_>) {
    let last = a.count.saturating_sub(1);
    assert!(a.count == 0 || last * a.stride + depth <= a.data.len(), "the left matrix is too small");
    check_target(a.count, columns, target, epilogue);
}

/// Holds target and epilogue against so many rows and columns.
pub fn check_target(rows: usize, columns: usize, target: &Target, epilogue: &KernelEpilogue<'_>) {
    let last = rows.saturating_sub(1);
    assert!(rows == 0 || last * target.stride + columns <= target.len, "the target is too small");
    assert!(epilogue.bias.is_none_or(|bias| bias.len() >= columns), "the bias is too short");
    assert!(
        epilogue.add.is_none_or(|add| rows == 0 || last * add.stride + columns <= add.data.len()),
        "the addend is too small"
    );
}

/// Finishes sums of one panel, from this row and column on, where the whole product has so many columns.
///
/// # Safety
/// As [`super::panels::multiply`], and [`Lanes`].
#[inline(always)]
pub unsafe fn complete_rows<V: Lanes>(
    sums: &[[f32; PANEL]],
    row: usize,
    column: usize,
    columns: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let width = (columns - column).min(PANEL);
    for (at, sums) in sums.iter().enumerate() {
        // SAFETY: as the caller's.
        unsafe { complete::<V>(sums, row + at, column, width, target, epilogue) }
    }
}

/// Bias, activation and addend, then out.
#[inline(always)]
unsafe fn complete<V: Lanes>(
    sums: &[f32; PANEL],
    row: usize,
    column: usize,
    width: usize,
    target: Target,
    epilogue: KernelEpilogue<'_>,
) {
    let bias = epilogue.bias.map(|bias| bias[column..].as_ptr());
    let add = epilogue.add.map(|add| add.data[row * add.stride + column..].as_ptr());
    // SAFETY: `check` held all sizes against each other.
    unsafe {
        let to = target.data.add(row * target.stride + column);
        if width == PANEL {
            complete_whole::<V>(sums, bias, epilogue.gelu, add, to);
        } else {
            let mut out = [0.0; PANEL];
            let (bias, add) = (padded(bias, width), padded(add, width));
            complete_whole::<V>(sums, Some(bias.as_ptr()), epilogue.gelu, Some(add.as_ptr()), out.as_mut_ptr());
            to.copy_from_nonoverlapping(out.as_ptr(), width);
        }
    }
}

#[inline(always)]
unsafe fn complete_whole<V: Lanes>(
    sums: &[f32; PANEL],
    bias: Option<*const f32>,
    activate: bool,
    add: Option<*const f32>,
    to: *mut f32,
) {
    for at in (0..PANEL).step_by(V::WIDTH) {
        // SAFETY: everything is PANEL long, a multiple of every vector's width.
        unsafe {
            let mut x = V::load(sums.as_ptr().add(at));
            if let Some(bias) = bias {
                x = V::add(x, V::load(bias.add(at)));
            }
            if activate {
                x = gelu(x);
            }
            if let Some(add) = add {
                x = V::add(x, V::load(add.add(at)));
            }
            V::store(x, to.add(at));
        }
    }
}

unsafe fn padded(from: Option<*const f32>, width: usize) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    if let Some(from) = from {
        // SAFETY: as the caller's.
        unsafe { out.as_mut_ptr().copy_from_nonoverlapping(from, width) };
    }
    out
}

// === impl KernelEpilogue ===

impl<'a> KernelEpilogue<'a> {
    /// For `count` rows from `row` on, from this column on.
    pub fn part(&self, row: usize, count: usize, column: usize) -> KernelEpilogue<'a> {
        let bias = self.bias.map(|bias| &bias[column..]);
        let add = self.add.map(|add| add.part(row, count).skip_columns(column));
        KernelEpilogue { bias, add, ..*self }
    }
}
