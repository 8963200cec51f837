//! Reading of everything an expression needs, once, before the first step. Must not know: what is computed from it.
use std::sync::Arc;

use super::{EvalError, Grid, Options};
use crate::parse::{At, Expr, ExprKind, RangeSelector, Selector, Shift, Subquery};
use crate::{Asked, Block, Queryable, Wanted};

/// The series of each selector, by its id; a subquery's place stays empty.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    by_id: Vec<Arc<Block>>,
    /// How many samples they hold.
    pub(super) samples: usize,
}

/// The times at which a part of the tree is evaluated.
#[derive(Clone, Copy)]
struct Times {
    first_ms: i64,
    last_ms: i64,
}

struct Loader<'a> {
    source: &'a dyn Queryable,
    grid: Grid,
    options: &'a Options,
    loaded: Loaded,
}

/// Reads every selector of `expr` for all times of `grid`.
pub(super) fn load(source: &dyn Queryable, expr: &Expr, grid: Grid, options: &Options) -> Result<Loaded, EvalError> {
    let mut loader = Loader { source, grid, options, loaded: Loaded::default() };
    loader.walk(expr, Times { first_ms: grid.start_ms, last_ms: grid.end_ms })?;
    Ok(loader.loaded)
}

/// The time that a selector or subquery looks at when its surroundings are evaluated at `t_ms`.
pub(super) fn reference_ms(shift: Shift, t_ms: i64, grid: Grid) -> i64 {
    let at = match shift.at {
        None => t_ms,
        Some(At::Time(ms)) => ms,
        Some(At::Start) => grid.start_ms,
        Some(At::End) => grid.end_ms,
    };
    at.saturating_sub(shift.offset_ms)
}

// === impl Loaded ===

impl Loaded {
    /// The series of the selector with this id, in order of their labels.
    pub(super) fn series(&self, id: usize) -> Arc<Block> {
        self.by_id.get(id).map(Arc::clone).unwrap_or_default()
    }
}

// === impl Loader ===

impl Loader<'_> {
    fn walk(&mut self, expr: &Expr, times: Times) -> Result<(), EvalError> {
        match &expr.kind {
            // Evaluated at one time only, an instant selector needs no sample but the newest.
            ExprKind::Instant(selector) => {
                let wanted = if times.first_ms == times.last_ms { Wanted::Newest } else { Wanted::All };
                self.read(selector, times, (self.options.lookback_ms, wanted))
            }
            ExprKind::Range(RangeSelector { selector, range_ms }) => self.read(selector, times, (*range_ms, Wanted::Live)),
            ExprKind::Subquery(Subquery { expr, range_ms, shift, .. }) => {
                let first_ms = reference_ms(*shift, times.first_ms, self.grid).saturating_sub(*range_ms);
                self.walk(expr, Times { first_ms, last_ms: reference_ms(*shift, times.last_ms, self.grid) })
            }
            _ => expr.children().try_for_each(|child| self.walk(child, times)),
        }
    }

    fn read(&mut self, selector: &Selector, times: Times, (stretch_ms, wanted): (i64, Wanted)) -> Result<(), EvalError> {
        let start_ms = reference_ms(selector.shift, times.first_ms, self.grid).saturating_sub(stretch_ms);
        let end_ms = reference_ms(selector.shift, times.last_ms, self.grid);
        let block = self.source.read(&Asked { matchers: &selector.matchers, start_ms, end_ms, wanted }).map_err(EvalError::Source)?;
        self.loaded.samples += block.samples();
        if self.loaded.samples > self.options.limits.samples {
            return Err(EvalError::TooManySamples { limit: self.options.limits.samples });
        }
        let ids = self.loaded.by_id.len().max(selector.id + 1);
        self.loaded.by_id.resize_with(ids, Arc::default);
        if let Some(place) = self.loaded.by_id.get_mut(selector.id) {
            *place = block;
        }
        Ok(())
    }
}
