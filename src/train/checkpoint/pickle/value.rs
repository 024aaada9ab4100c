//! The values that a pickle is made of.

use crate::train::checkpoint::tensor_place::FloatType;

/// A tensor as a pickle describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::train::checkpoint) struct PickledTensor {
    /// The key of its storage.
    pub(in crate::train::checkpoint) storage: String,
    /// The type of its values; `None` when they are no floats.
    pub(in crate::train::checkpoint) float: Option<FloatType>,
    /// Bytes of a value.
    pub(in crate::train::checkpoint) item: usize,
    /// Values of the storage before the tensor's first one.
    pub(in crate::train::checkpoint) offset: usize,
    pub(in crate::train::checkpoint) shape: Vec<usize>,
    pub(in crate::train::checkpoint) strides: Vec<usize>,
}

/// A value of a pickle. Texts and containers are indices into the machine's lists, so that nesting costs no stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PickleValue {
    Mark,
    None,
    Bool,
    Int(i128),
    Float,
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Global(usize),
    Tensor(usize),
    Storage(usize),
}

/// The value as a size; `None` if it is none.
pub(super) fn size(value: PickleValue) -> Option<usize> {
    match value {
        PickleValue::Int(int) => usize::try_from(int).ok(),
        _ => None,
    }
}
