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

/// The names under which training programs store a model's parameters in a larger dict, the likeliest first.
pub(super) const STATE_NAMES: [&str; 6] =
    ["state_dict", "model_state_dict", "model", "module", "net", "weights"];

/// The type of the values of PyTorch's storage class `class`, without its ending `Storage`, if they are floats; and the
/// bytes of a value.
pub(super) fn item(class: &str) -> Option<(Option<FloatType>, usize)> {
    Some(match class {
        "Double" => (Some(FloatType::F64), 8),
        "Float" => (Some(FloatType::F32), 4),
        "Half" => (Some(FloatType::F16), 2),
        "BFloat16" => (Some(FloatType::Bf16), 2),
        "Long" | "ComplexFloat" => (None, 8),
        "Int" => (None, 4),
        "Short" => (None, 2),
        "Char" | "Byte" | "Bool" => (None, 1),
        _ => return None,
    })
}

/// The value as a size; `None` if it is none.
pub(super) fn size(value: PickleValue) -> Option<usize> {
    match value {
        PickleValue::Int(int) => usize::try_from(int).ok(),
        _ => None,
    }
}
