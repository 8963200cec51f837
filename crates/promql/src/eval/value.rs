//! What an evaluation yields.
use super::Notes;
use crate::labels::Labels;
use crate::{Sample, SeriesData};

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Warnings and infos.
    pub notes: Notes,
    /// What it took.
    pub cost: Cost,
}

/// A value of one of the four types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number and the time it was computed for.
    Scalar(Sample),
    /// Elements in the order of the evaluation; only `sort`, `sort_desc`, `topk` and `bottomk` promise one.
    Vector(Vec<Element>),
    /// Series in order of their labels, without stale markers.
    Matrix(Vec<SeriesData>),
    /// A text.
    Text(String),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its labels.
    pub labels: Labels,
    /// The evaluation time, and the value.
    pub sample: Sample,
}

/// What an evaluation took, in the measures of [`Limits`](super::Limits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Samples held at the end.
    pub samples: usize,
    /// Units of work done.
    pub work: u64,
}
