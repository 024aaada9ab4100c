//! A reader of pickles that knows tensors and nothing else.
//!
//! A pickle is a program. This reader runs none of its calls: it imitates the few functions
//! that `torch.save` names for tensors, and a call to any other function is an error.
//! Opcodes are those of CPython's `Lib/pickletools.py`, protocols 2 to 5.

use std::collections::HashMap;

pub use self::code::PickleError;
pub(super) use self::value::PickledTensor;
use self::{
    code::Code,
    value::{PickleValue, STATE_NAMES, item, size},
};

mod code;
mod value;

/// The largest number of instructions: a pickle of tensors has far fewer.
const INSTRUCTIONS_MAX: usize = 1 << 21;
/// The largest number of arguments of a call, and of dimensions of a tensor.
const TUPLE_MAX: usize = 16;

/// The value that a pickle made.
pub(super) struct Unpickled {
    machine: PickleMachine,
    top: PickleValue,
}

#[derive(Default)]
struct PickleMachine {
    stack: Vec<PickleValue>,
    memo: HashMap<usize, PickleValue>,
    texts: Vec<String>,
    /// Tuples, lists and dicts. A dict is a sequence of keys and values in turn.
    sequences: Vec<Vec<PickleValue>>,
    tensors: Vec<PickledTensor>,
    /// Instructions so far.
    instructions: usize,
}

/// Reads one pickle, and returns the value that it made with the rest of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<(Unpickled, &[u8]), PickleError> {
    let mut code = Code { bytes, at: 0 };
    let mut machine = PickleMachine::default();
    loop {
        let at = code.at;
        let opcode = code.byte()?;
        if opcode == b'.' {
            let top = machine.pop(&code)?;
            return Ok((Unpickled { machine, top }, &bytes[code.at..]));
        }
        machine.instructions += 1;
        if machine.instructions > INSTRUCTIONS_MAX {
            return Err(PickleError::Damaged { at });
        }
        machine.execute(opcode, at, &mut code)?;
    }
}

impl PickleMachine {
    fn pop(&mut self, code: &Code<'_>) -> Result<PickleValue, PickleError> {
        self.stack.pop().ok_or_else(|| code.damaged())
    }

    /// Pops the values above the last mark, and the mark.
    fn pop_mark(&mut self, code: &Code<'_>) -> Result<Vec<PickleValue>, PickleError> {
        let mark =
            self.stack.iter().rposition(|value| *value == PickleValue::Mark).ok_or_else(|| code.damaged())?;
        let above = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(above)
    }

    fn pop_many(&mut self, count: usize, code: &Code<'_>) -> Result<Vec<PickleValue>, PickleError> {
        let start = self.stack.len().checked_sub(count).ok_or_else(|| code.damaged())?;
        Ok(self.stack.split_off(start))
    }

    fn push_text(&mut self, text: String) {
        self.texts.push(text);
        self.stack.push(PickleValue::Text(self.texts.len() - 1));
    }

    fn push_tuple(&mut self, values: Vec<PickleValue>) {
        self.sequences.push(values);
        self.stack.push(PickleValue::Tuple(self.sequences.len() - 1));
    }

    fn push_empty(&mut self, wrap: fn(usize) -> PickleValue) {
        self.sequences.push(Vec::new());
        self.stack.push(wrap(self.sequences.len() - 1));
    }

    /// Adds to the list or dict on top.
    fn extend(&mut self, values: Vec<PickleValue>, code: &Code<'_>) -> Result<(), PickleError> {
        match self.stack.last() {
            Some(PickleValue::List(index) | PickleValue::Dict(index)) => {
                self.sequences[*index].extend(values);
                Ok(())
            }
            // The pickle fills an object of another kind.
            _ => Err(code.damaged()),
        }
    }

    /// Executes one instruction.
    fn execute(&mut self, opcode: u8, at: usize, code: &mut Code<'_>) -> Result<(), PickleError> {
        let is_known = self.execute_push(opcode, code)?
            || self.execute_build(opcode, code)?
            || self.execute_memo(opcode, code)?
            || self.execute_object(opcode, code)?;
        if is_known { Ok(()) } else { Err(PickleError::Opcode { opcode, at }) }
    }

    /// Executes an instruction that pushes a number, a text or an empty container, or that says how the pickle is
    /// stored. Returns false for other instructions.
    fn execute_push(&mut self, opcode: u8, code: &mut Code<'_>) -> Result<bool, PickleError> {
        match opcode {
            0x80 => _ = code.byte()?,
            0x95 => _ = code.take(8)?,
            b'(' => self.stack.push(PickleValue::Mark),
            b'N' => self.stack.push(PickleValue::None),
            0x88 | 0x89 => self.stack.push(PickleValue::Bool),
            b'K' => self.push_int(code, 1)?,
            b'M' => self.push_int(code, 2)?,
            b'J' => self.push_long(code, 4)?,
            0x8a => {
                let bytes = code.size(1)?;
                self.push_long(code, bytes)?;
            }
            b'G' => {
                code.take(8)?;
                self.stack.push(PickleValue::Float);
            }
            b'X' => self.push_text_of(code, 4)?,
            0x8c => self.push_text_of(code, 1)?,
            0x8d => self.push_text_of(code, 8)?,
            b'}' => self.push_empty(PickleValue::Dict),
            b']' => self.push_empty(PickleValue::List),
            b')' => self.push_tuple(Vec::new()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Executes an instruction that puts values into a container, or that names a function. Returns false for other
    /// instructions.
    fn execute_build(&mut self, opcode: u8, code: &mut Code<'_>) -> Result<bool, PickleError> {
        match opcode {
            b't' => {
                let values = self.pop_mark(code)?;
                self.push_tuple(values);
            }
            0x85..=0x87 => {
                let values = self.pop_many(usize::from(opcode - 0x84), code)?;
                self.push_tuple(values);
            }
            b'a' => {
                let values = self.pop_many(1, code)?;
                self.extend(values, code)?;
            }
            b's' => {
                let values = self.pop_many(2, code)?;
                self.extend(values, code)?;
            }
            b'e' | b'u' => {
                let values = self.pop_mark(code)?;
                self.extend(values, code)?;
            }
            b'c' => {
                let name = format!("{}.{}", code.line()?, code.line()?);
                self.push_global(name);
            }
            0x93 => {
                let parts = self.pop_many(2, code)?;
                let [Some(module), Some(name)] = [self.text(parts[0]), self.text(parts[1])] else {
                    return Err(code.damaged());
                };
                let name = format!("{module}.{name}");
                self.push_global(name);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Executes an instruction that memorises or recalls a value. Returns false for other instructions.
    fn execute_memo(&mut self, opcode: u8, code: &mut Code<'_>) -> Result<bool, PickleError> {
        match opcode {
            b'q' => {
                let key = code.size(1)?;
                self.memorise(key, code)?;
            }
            b'r' => {
                let key = code.size(4)?;
                self.memorise(key, code)?;
            }
            0x94 => self.memorise(self.memo.len(), code)?,
            b'h' => {
                let key = code.size(1)?;
                self.recall(key, code)?;
            }
            b'j' => {
                let key = code.size(4)?;
                self.recall(key, code)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Executes an instruction that makes a storage or an object. Returns false for other instructions.
    fn execute_object(&mut self, opcode: u8, code: &mut Code<'_>) -> Result<bool, PickleError> {
        match opcode {
            b'Q' => {
                let id = self.pop(code)?;
                let storage = self.storage(id).ok_or_else(|| code.damaged())?;
                self.tensors.push(storage);
                self.stack.push(PickleValue::Storage(self.tensors.len() - 1));
            }
            b'R' => self.call(code)?,
            // `torch.save` sets one state, the `_metadata` of an OrderedDict, which holds no tensors.
            b'b' => {
                self.pop(code)?;
                return Ok(matches!(self.stack.last(), Some(PickleValue::Dict(_))));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_global(&mut self, name: String) {
        self.texts.push(name);
        self.stack.push(PickleValue::Global(self.texts.len() - 1));
    }

    fn push_long(&mut self, code: &mut Code<'_>, bytes: usize) -> Result<(), PickleError> {
        let int = code.long(bytes)?;
        self.stack.push(PickleValue::Int(int));
        Ok(())
    }

    fn push_int(&mut self, code: &mut Code<'_>, bytes: usize) -> Result<(), PickleError> {
        let int = code.size(bytes)?;
        self.stack.push(PickleValue::Int(int as i128));
        Ok(())
    }

    fn push_text_of(&mut self, code: &mut Code<'_>, bytes: usize) -> Result<(), PickleError> {
        let count = code.size(bytes)?;
        let text = code.text(count)?;
        self.push_text(text);
        Ok(())
    }

    fn memorise(&mut self, key: usize, code: &Code<'_>) -> Result<(), PickleError> {
        let top = *self.stack.last().ok_or_else(|| code.damaged())?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: usize, code: &Code<'_>) -> Result<(), PickleError> {
        let value = *self.memo.get(&key).ok_or_else(|| code.damaged())?;
        self.stack.push(value);
        Ok(())
    }

    fn text(&self, value: PickleValue) -> Option<&str> {
        match value {
            PickleValue::Text(index) => self.texts.get(index).map(String::as_str),
            _ => None,
        }
    }

    fn sequence(&self, value: PickleValue) -> Option<&[PickleValue]> {
        match value {
            PickleValue::Tuple(index) | PickleValue::List(index) => {
                self.sequences.get(index).map(Vec::as_slice)
            }
            _ => None,
        }
    }

    fn arguments(&self, value: PickleValue) -> Option<Vec<PickleValue>> {
        self.sequence(value).filter(|arguments| arguments.len() <= TUPLE_MAX).map(<[PickleValue]>::to_vec)
    }

    fn sizes(&self, value: PickleValue) -> Option<Vec<usize>> {
        let sizes = self.sequence(value).filter(|sizes| sizes.len() <= TUPLE_MAX);
        sizes?.iter().map(|value| size(*value)).collect()
    }

    /// Reads a storage from `("storage", type, key, device, values)`: a tensor without a shape.
    fn storage(&self, id: PickleValue) -> Option<PickledTensor> {
        let [kind, PickleValue::Global(class), key, ..] = *self.sequence(id)? else { return None };
        if self.text(kind) != Some("storage") {
            return None;
        }
        let class = self.texts.get(class)?.rsplit('.').next()?;
        let (float, item) = item(class.strip_suffix("Storage")?)?;
        let storage = self.text(key)?.to_owned();
        Some(PickledTensor { storage, float, item, offset: 0, shape: Vec::new(), strides: Vec::new() })
    }

    /// Imitates a call to one of the few known functions.
    fn call(&mut self, code: &Code<'_>) -> Result<(), PickleError> {
        let arguments = self.pop(code)?;
        let PickleValue::Global(function) = self.pop(code)? else { return Err(code.damaged()) };
        let mut name = self.texts.get(function).cloned().unwrap_or_default();
        let mut arguments = self.arguments(arguments).ok_or_else(|| code.damaged())?;
        if name == "torch._tensor._rebuild_from_type_v2" {
            // (function, type, arguments, state)
            let [PickleValue::Global(function), _, inner, _] = *arguments else { return Err(code.damaged()) };
            name = self.texts.get(function).cloned().unwrap_or_default();
            arguments = self.arguments(inner).ok_or_else(|| code.damaged())?;
        }
        match (name.as_str(), arguments.as_slice()) {
            ("collections.OrderedDict", []) => self.push_empty(PickleValue::Dict),
            ("torch._utils._rebuild_parameter", [tensor @ PickleValue::Tensor(_), ..]) => {
                self.stack.push(*tensor);
            }
            (
                "torch._utils._rebuild_tensor_v2",
                [PickleValue::Storage(storage), offset, shape, strides, ..],
            ) => {
                let parts = (size(*offset), self.sizes(*shape), self.sizes(*strides));
                let (Some(offset), Some(shape), Some(strides)) = parts else { return Err(code.damaged()) };
                if shape.len() != strides.len() {
                    return Err(code.damaged());
                }
                let tensor = PickledTensor { offset, shape, strides, ..self.tensors[*storage].clone() };
                self.tensors.push(tensor);
                self.stack.push(PickleValue::Tensor(self.tensors.len() - 1));
            }
            _ => return Err(PickleError::Call { name }),
        }
        Ok(())
    }
}

impl Unpickled {
    /// The value as a number.
    pub(super) const fn int(&self) -> Option<i128> {
        match self.top {
            PickleValue::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The value as a list of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, PickleError> {
        let list = self.machine.sequence(self.top);
        let texts = list.and_then(|list| list.iter().map(|value| self.machine.text(*value)).collect());
        let texts: Vec<&str> = texts.ok_or(PickleError::Kind { expected: "a list of storages" })?;
        Ok(texts.into_iter().map(ToOwned::to_owned).collect())
    }

    /// The value as a dict of tensors by name. Other entries of the dict are left out. A dict without tensors may hold
    /// such a dict under one of the usual names.
    pub(super) fn tensors(&self) -> Result<Vec<(String, PickledTensor)>, PickleError> {
        let PickleValue::Dict(index) = self.top else {
            return Err(PickleError::Kind { expected: "tensors by name" });
        };
        let tensors = self.tensors_of(index);
        if !tensors.is_empty() {
            return Ok(tensors);
        }
        let inner = |name: &&str| {
            let mut entries = self.machine.sequences[index].as_chunks::<2>().0.iter();
            match entries.find(|[key, _]| self.machine.text(*key) == Some(name)) {
                Some([_, PickleValue::Dict(inner)]) => Some(self.tensors_of(*inner)),
                _ => None,
            }
        };
        Ok(STATE_NAMES.iter().filter_map(inner).find(|tensors| !tensors.is_empty()).unwrap_or_default())
    }

    /// By storage of any tensor in the pickle: the bytes of a value.
    pub(super) fn item_sizes(&self) -> HashMap<&str, usize> {
        self.machine.tensors.iter().map(|tensor| (tensor.storage.as_str(), tensor.item)).collect()
    }

    /// The tensors in the dict with this index.
    fn tensors_of(&self, index: usize) -> Vec<(String, PickledTensor)> {
        let named = |pair: &[PickleValue; 2]| match *pair {
            [name, PickleValue::Tensor(index)] => {
                Some((self.machine.text(name)?.to_owned(), self.machine.tensors[index].clone()))
            }
            _ => None,
        };
        self.machine.sequences[index].as_chunks::<2>().0.iter().filter_map(named).collect()
    }
}
