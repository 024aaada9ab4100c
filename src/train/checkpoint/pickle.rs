//! A reader of pickles that knows tensors and nothing else.
//!
//! A pickle is a program. This one runs none of its calls: a call to anything but
//! the few functions that `torch.save` names for tensors is an error. Opcodes as
//! in CPython's `Lib/pickletools.py`, protocols 2 to 5.

use std::collections::HashMap;

use super::Float;

/// Values that a pickle of tensors makes; far more than any has.
const MOST_VALUES: usize = 1 << 21;
/// Bytes of a text; names are far shorter. Texts and tuples can be referred to time and again, so that
/// what is copied of them must be small.
const LONGEST_TEXT: usize = 1 << 12;
/// Arguments of a call, and dimensions of a tensor.
const LONGEST_TUPLE: usize = 16;

/// Why a pickle is not a list of tensors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// It ends before it says so, or refers to what is not there.
    #[error("it is damaged at byte {at}")]
    Damaged {
        /// Bytes from the pickle's beginning.
        at: usize,
    },
    /// An instruction that tensors need not.
    #[error("instruction 0x{opcode:02x} at byte {at} is not one that tensors need")]
    Opcode {
        /// The instruction.
        opcode: u8,
        /// Bytes from the pickle's beginning.
        at: usize,
    },
    /// It asks to call a function that makes no tensor.
    #[error("it asks to call {name}, which makes no tensor; nothing in it was executed")]
    Call {
        /// Module and name.
        name: String,
    },
    /// It holds something else.
    #[error("it does not hold {expected}")]
    Kind {
        /// What was wanted.
        expected: &'static str,
    },
}

/// A tensor as a pickle describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The key of its storage.
    pub(super) storage: String,
    /// The type of its values; `None`: no floats.
    pub(super) float: Option<Float>,
    /// Bytes of a value.
    pub(super) item: usize,
    /// Values before the first.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A value. Containers stand in the machine's arena, so that nesting costs no stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
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

/// What a pickle made.
pub(super) struct Unpickled {
    machine: Machine,
    top: Value,
}

#[derive(Default)]
struct Machine {
    stack: Vec<Value>,
    memo: HashMap<usize, Value>,
    texts: Vec<String>,
    /// Tuples and lists; a dict's is keys and values in turn.
    sequences: Vec<Vec<Value>>,
    tensors: Vec<Tensor>,
    made: usize,
}

struct Code<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Code<'a> {
    const fn damaged(&self) -> PickleError {
        PickleError::Damaged { at: self.at }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let taken =
            self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or_else(|| self.damaged())?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of `count` bytes, at most 8.
    fn size(&mut self, count: usize) -> Result<usize, PickleError> {
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(self.take(count)?);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| self.damaged())
    }

    /// A signed little-endian number of `count` bytes.
    fn long(&mut self, count: usize) -> Result<i128, PickleError> {
        let bytes = self.take(count)?;
        if count > 16 {
            return Err(self.damaged());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xFF } else { 0 }; 16];
        wide[..count].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }

    fn text(&mut self, count: usize) -> Result<String, PickleError> {
        if count > LONGEST_TEXT {
            return Err(self.damaged());
        }
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.damaged())
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.damaged())?;
        let line = self.text(end)?;
        self.at += 1;
        Ok(line)
    }
}

/// Reads one pickle; the rest of `bytes` comes back with what it made.
pub(super) fn read(bytes: &[u8]) -> Result<(Unpickled, &[u8]), PickleError> {
    let mut code = Code { bytes, at: 0 };
    let mut machine = Machine::default();
    loop {
        let at = code.at;
        let opcode = code.byte()?;
        if opcode == b'.' {
            let top = machine.pop(&code)?;
            return Ok((Unpickled { machine, top }, &bytes[code.at..]));
        }
        machine.made += 1;
        if machine.made > MOST_VALUES {
            return Err(PickleError::Damaged { at });
        }
        machine.obey(opcode, at, &mut code)?;
    }
}

impl Machine {
    fn pop(&mut self, code: &Code<'_>) -> Result<Value, PickleError> {
        self.stack.pop().ok_or_else(|| code.damaged())
    }

    /// What lies above the last mark.
    fn pop_mark(&mut self, code: &Code<'_>) -> Result<Vec<Value>, PickleError> {
        let mark =
            self.stack.iter().rposition(|value| *value == Value::Mark).ok_or_else(|| code.damaged())?;
        let above = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(above)
    }

    fn pop_many(&mut self, count: usize, code: &Code<'_>) -> Result<Vec<Value>, PickleError> {
        let start = self.stack.len().checked_sub(count).ok_or_else(|| code.damaged())?;
        Ok(self.stack.split_off(start))
    }

    fn push_text(&mut self, text: String) {
        self.texts.push(text);
        self.stack.push(Value::Text(self.texts.len() - 1));
    }

    fn push_tuple(&mut self, values: Vec<Value>) {
        self.sequences.push(values);
        self.stack.push(Value::Tuple(self.sequences.len() - 1));
    }

    fn push_empty(&mut self, wrap: fn(usize) -> Value) {
        self.sequences.push(Vec::new());
        self.stack.push(wrap(self.sequences.len() - 1));
    }

    /// Adds to the list or dict on top.
    fn extend(&mut self, values: Vec<Value>, code: &Code<'_>) -> Result<(), PickleError> {
        match self.stack.last() {
            Some(Value::List(index) | Value::Dict(index)) => {
                self.sequences[*index].extend(values);
                Ok(())
            }
            // An object of another kind, made and filled.
            _ => Err(code.damaged()),
        }
    }

    fn obey(&mut self, opcode: u8, at: usize, code: &mut Code<'_>) -> Result<(), PickleError> {
        match opcode {
            0x80 => _ = code.byte()?,
            0x95 => _ = code.take(8)?,
            b'(' => self.stack.push(Value::Mark),
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool),
            b'K' => self.push_int(code, 1)?,
            b'M' => self.push_int(code, 2)?,
            b'J' => {
                let int = code.long(4)?;
                self.stack.push(Value::Int(int));
            }
            0x8a => {
                let count = code.size(1)?;
                let int = code.long(count)?;
                self.stack.push(Value::Int(int));
            }
            b'G' => {
                code.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' => self.push_text_of(code, 4)?,
            0x8c => self.push_text_of(code, 1)?,
            0x8d => self.push_text_of(code, 8)?,
            b'}' => self.push_empty(Value::Dict),
            b']' => self.push_empty(Value::List),
            b')' => self.push_tuple(Vec::new()),
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
                self.texts.push(name);
                self.stack.push(Value::Global(self.texts.len() - 1));
            }
            0x93 => {
                let parts = self.pop_many(2, code)?;
                let [Some(module), Some(name)] = [self.text(parts[0]), self.text(parts[1])] else {
                    return Err(code.damaged());
                };
                let name = format!("{module}.{name}");
                self.texts.push(name);
                self.stack.push(Value::Global(self.texts.len() - 1));
            }
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
            b'Q' => {
                let id = self.pop(code)?;
                let storage = self.storage(id).ok_or_else(|| code.damaged())?;
                self.tensors.push(storage);
                self.stack.push(Value::Storage(self.tensors.len() - 1));
            }
            b'R' => self.call(code)?,
            // The state of an OrderedDict (`_metadata`) says nothing of tensors.
            b'b' => {
                self.pop(code)?;
                if !matches!(self.stack.last(), Some(Value::Dict(_))) {
                    return Err(PickleError::Opcode { opcode, at });
                }
            }
            _ => return Err(PickleError::Opcode { opcode, at }),
        }
        Ok(())
    }

    fn push_int(&mut self, code: &mut Code<'_>, bytes: usize) -> Result<(), PickleError> {
        let int = code.size(bytes)?;
        self.stack.push(Value::Int(int as i128));
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

    fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(index) => self.texts.get(index).map(String::as_str),
            _ => None,
        }
    }

    fn sequence(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(index) | Value::List(index) => self.sequences.get(index).map(Vec::as_slice),
            _ => None,
        }
    }

    fn arguments(&self, value: Value) -> Option<Vec<Value>> {
        self.sequence(value).filter(|arguments| arguments.len() <= LONGEST_TUPLE).map(<[Value]>::to_vec)
    }

    fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let sizes = self.sequence(value).filter(|sizes| sizes.len() <= LONGEST_TUPLE);
        sizes?.iter().map(|value| size(*value)).collect()
    }

    /// A storage, from `("storage", type, key, device, values)`.
    fn storage(&self, id: Value) -> Option<Tensor> {
        let [kind, Value::Global(class), key, ..] = *self.sequence(id)? else { return None };
        if self.text(kind) != Some("storage") {
            return None;
        }
        let class = self.texts.get(class)?.rsplit('.').next()?;
        let (float, item) = match class.strip_suffix("Storage")? {
            "Double" => (Some(Float::F64), 8),
            "Float" => (Some(Float::F32), 4),
            "Half" => (Some(Float::F16), 2),
            "BFloat16" => (Some(Float::Bf16), 2),
            "Long" | "ComplexFloat" => (None, 8),
            "Int" => (None, 4),
            "Short" => (None, 2),
            "Char" | "Byte" | "Bool" => (None, 1),
            _ => return None,
        };
        let storage = self.text(key)?.to_owned();
        Some(Tensor { storage, float, item, offset: 0, shape: Vec::new(), strides: Vec::new() })
    }

    /// Does what the few known functions would do.
    fn call(&mut self, code: &Code<'_>) -> Result<(), PickleError> {
        let arguments = self.pop(code)?;
        let Value::Global(function) = self.pop(code)? else { return Err(code.damaged()) };
        let mut name = self.texts.get(function).cloned().unwrap_or_default();
        let mut arguments = self.arguments(arguments).ok_or_else(|| code.damaged())?;
        if name == "torch._tensor._rebuild_from_type_v2" {
            // (function, type, arguments, state)
            let [Value::Global(function), _, inner, _] = *arguments else { return Err(code.damaged()) };
            name = self.texts.get(function).cloned().unwrap_or_default();
            arguments = self.arguments(inner).ok_or_else(|| code.damaged())?;
        }
        match (name.as_str(), arguments.as_slice()) {
            ("collections.OrderedDict", []) => self.push_empty(Value::Dict),
            ("torch._utils._rebuild_parameter", [tensor @ Value::Tensor(_), ..]) => self.stack.push(*tensor),
            ("torch._utils._rebuild_tensor_v2", [Value::Storage(storage), offset, shape, strides, ..]) => {
                let parts = (size(*offset), self.sizes(*shape), self.sizes(*strides));
                let (Some(offset), Some(shape), Some(strides)) = parts else { return Err(code.damaged()) };
                if shape.len() != strides.len() {
                    return Err(code.damaged());
                }
                let tensor = Tensor { offset, shape, strides, ..self.tensors[*storage].clone() };
                self.tensors.push(tensor);
                self.stack.push(Value::Tensor(self.tensors.len() - 1));
            }
            _ => return Err(PickleError::Call { name }),
        }
        Ok(())
    }
}

fn size(value: Value) -> Option<usize> {
    match value {
        Value::Int(int) => usize::try_from(int).ok(),
        _ => None,
    }
}

impl Unpickled {
    /// The number that it is.
    pub(super) const fn int(&self) -> Option<i128> {
        match self.top {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The texts that it lists.
    pub(super) fn texts(&self) -> Result<Vec<String>, PickleError> {
        let list = self.machine.sequence(self.top);
        let texts = list.and_then(|list| list.iter().map(|value| self.machine.text(*value)).collect());
        let texts: Vec<&str> = texts.ok_or(PickleError::Kind { expected: "a list of storages" })?;
        Ok(texts.into_iter().map(ToOwned::to_owned).collect())
    }

    /// The tensors of the dict that it is; what else stands there is passed over.
    pub(super) fn tensors(&self) -> Result<Vec<(String, Tensor)>, PickleError> {
        let Value::Dict(index) = self.top else {
            return Err(PickleError::Kind { expected: "tensors by name" });
        };
        let named = |pair: &[Value; 2]| match *pair {
            [name, Value::Tensor(index)] => {
                Some((self.machine.text(name)?.to_owned(), self.machine.tensors[index].clone()))
            }
            _ => None,
        };
        Ok(self.machine.sequences[index].as_chunks::<2>().0.iter().filter_map(named).collect())
    }
}
