//! The values that a pickle describes. It is a program for a small machine with a stack; this one knows what
//! `torch.save` needs for dictionaries of tensors, and calls nothing.
//!
//! Every instruction makes one value at most, and values name each other by number: what is shared is never copied, so
//! that memory stays in proportion to the file, however the values are nested.
//! Source of the instructions: CPython, `Lib/pickletools.py`.

use std::collections::HashMap;

use safetensors::Dtype;

use super::error::TorchError;

/// More than any tensor has.
const MOST_DIMENSIONS: usize = 8;

/// A value's number among all.
pub type Id = usize;

/// All values that the program made, and which of them is its result.
pub struct Values<'a> {
    all: Vec<Value<'a>>,
    pub root: Id,
}

#[derive(Debug)]
pub enum Value<'a> {
    /// Nothing, a truth, a fraction: what describes no tensor.
    Other,
    Int(i64),
    Text(&'a str),
    /// Or a tuple.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage<'a>),
    Tensor(Box<Tensor<'a>>),
}

/// What may be called by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// Numbers in an entry of their own.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    pub dtype: Dtype,
    pub key: &'a str,
    /// Numbers.
    pub len: usize,
}

/// Some of a storage's numbers; shape, strides and offset are counted in numbers.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The machine at work.
struct Machine<'a> {
    code: &'a [u8],
    /// The next byte.
    at: usize,
    all: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Lengths that the stack had at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

type Done<T> = Result<T, TorchError>;

pub fn read(code: &[u8]) -> Done<Values<'_>> {
    let mut machine =
        Machine { code, at: 0, all: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Values { all: machine.all, root })
}

// === impl Values ===

impl<'a> Values<'a> {
    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.all[id]
    }
}

// === impl Global ===

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", name) => Self::Storage(dtype(name.strip_suffix("Storage")?)?),
            _ => return None,
        })
    }
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "Float" => Dtype::F32,
        "Double" => Dtype::F64,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Long" => Dtype::I64,
        "Int" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" => Dtype::I8,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::BOOL,
        _ => return None,
    })
}

// === impl Machine ===

impl<'a> Machine<'a> {
    /// One instruction; whether it was not the last.
    fn step(&mut self) -> Done<bool> {
        let at = self.at;
        let [code] = self.array()?;
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.take(1)?), // the protocol's number
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'J' | b'K' | b'M' | 0x8a => {
                let number = self.number(code)?;
                self.push(Value::Int(number));
            }
            b'X' => self.text()?,
            b'c' => self.global()?,
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' | b')' => self.push(Value::List(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::List(items));
            }
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b'a' | b'e' => self.append(code == b'e')?,
            b's' | b'u' => self.set_items(code == b'u')?,
            b'q' | b'r' | b'h' | b'j' => self.remember(code)?,
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            _ => return Err(TorchError::Opcode { code, at }),
        }
        Ok(true)
    }

    // --- bytes

    fn take(&mut self, count: usize) -> Done<&'a [u8]> {
        let Some((taken, _)) = self.code[self.at..].split_at_checked(count) else {
            return self.broken("it ends too early");
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Done<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().or_else(|_| self.broken("it ends too early"))
    }

    fn number(&mut self, code: u8) -> Done<i64> {
        Ok(match code {
            b'J' => i32::from_le_bytes(self.array()?).into(),
            b'K' => self.array::<1>()?[0].into(),
            b'M' => u16::from_le_bytes(self.array()?).into(),
            _ => {
                let [count] = self.array()?;
                self.long(count.into())?
            }
        })
    }

    /// Two's complement, little-endian.
    fn long(&mut self, count: usize) -> Done<i64> {
        let bytes = self.take(count)?;
        let negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        match whole.get_mut(..count) {
            Some(low) => low.copy_from_slice(bytes),
            None => return self.broken("a whole number of more than 64 bits"),
        }
        Ok(i64::from_le_bytes(whole))
    }

    fn text(&mut self) -> Done<()> {
        let len = u32::from_le_bytes(self.array()?);
        let bytes = self.take(len as usize)?;
        let text = self.utf8(bytes)?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Done<&'a str> {
        let Some(len) = self.code[self.at..].iter().position(|&byte| byte == b'\n') else {
            return self.broken("a name without an end");
        };
        let bytes = self.take(len + 1)?;
        self.utf8(&bytes[..len])
    }

    fn utf8(&self, bytes: &'a [u8]) -> Done<&'a str> {
        std::str::from_utf8(bytes).or_else(|_| self.broken("text that is not UTF-8"))
    }

    fn broken<T>(&self, reason: &'static str) -> Done<T> {
        Err(TorchError::Broken { at: self.at, reason })
    }

    // --- the stack

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.all.len());
        self.all.push(value);
    }

    fn pop(&mut self) -> Done<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let has_one = self.stack.len() > floor;
        match self.stack.pop_if(|_| has_one) {
            Some(id) => Ok(id),
            None => self.broken("a value is missing"),
        }
    }

    fn top(&mut self) -> Done<Id> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn since_mark(&mut self) -> Done<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => self.broken("a mark is missing"),
        }
    }

    fn tuple(&mut self, count: usize) -> Done<()> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Done<Vec<Id>>>()?;
        items.reverse();
        self.push(Value::List(items));
        Ok(())
    }

    fn append(&mut self, many: bool) -> Done<()> {
        let new = if many { self.since_mark()? } else { vec![self.pop()?] };
        let list = self.top()?;
        match &mut self.all[list] {
            Value::List(items) => items.extend(new),
            _ => return self.broken("something is appended to what is no list"),
        }
        Ok(())
    }

    fn set_items(&mut self, many: bool) -> Done<()> {
        let new = if many {
            self.since_mark()?
        } else {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![key, value]
        };
        let dict = self.top()?;
        match (&mut self.all[dict], new.as_chunks()) {
            (Value::Dict(items), (pairs, [])) => items.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return self.broken("keys and values for what is no dictionary"),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Done<()> {
        let number = match code {
            b'q' | b'h' => self.array::<1>()?[0].into(),
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(code, b'q' | b'r') {
            let top = self.top()?;
            self.memo.insert(number, top);
            return Ok(());
        }
        match self.memo.get(&number) {
            Some(&id) => self.stack.push(id),
            None => return self.broken("something is recalled that was not remembered"),
        }
        Ok(())
    }

    // --- what stands for objects

    fn global(&mut self) -> Done<()> {
        let (module, name) = (self.line()?, self.line()?);
        match Global::named(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => return Err(TorchError::Global(format!("{module}.{name}").chars().take(100).collect())),
        }
        Ok(())
    }

    /// `("storage", class, key, location, numbers)`
    fn storage(&mut self) -> Done<()> {
        let id = self.pop()?;
        let storage = match self.items(id).as_deref() {
            Some(
                [Value::Text("storage"), Value::Global(Global::Storage(dtype)), Value::Text(key), _, Value::Int(len)],
            ) => usize::try_from(*len).ok().map(|len| Storage { dtype: *dtype, key, len }),
            _ => None,
        };
        match storage {
            Some(storage) => self.push(Value::Storage(storage)),
            None => return self.broken("a reference to what is no storage"),
        }
        Ok(())
    }

    fn reduce(&mut self) -> Done<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let Value::Global(callable) = self.all[callable] else { return self.broken("a call of what is no function") };
        let Some(args) = self.items(args) else { return self.broken("a call without arguments") };
        let made = match (callable, args.as_slice()) {
            (Global::OrderedDict, []) => Some(Value::Dict(Vec::new())),
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                self.tensor([storage, offset, shape, strides])
            }
            (Global::RebuildParameter, [Value::Tensor(tensor), ..]) => Some(Value::Tensor(tensor.clone())),
            _ => None,
        };
        match made {
            Some(value) => self.push(value),
            None => return self.broken("a call with other arguments than those of tensors"),
        }
        Ok(())
    }

    /// Attributes of a dictionary (`_metadata`) say nothing of its tensors.
    fn build(&mut self) -> Done<()> {
        self.pop()?;
        let object = self.top()?;
        match self.all[object] {
            Value::Dict(_) => Ok(()),
            _ => self.broken("attributes for what is no dictionary"),
        }
    }

    fn tensor(&self, [storage, offset, shape, strides]: [&Value<'a>; 4]) -> Option<Value<'a>> {
        let (Value::Storage(storage), Value::Int(offset)) = (storage, offset) else { return None };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        let offset = usize::try_from(*offset).ok()?;
        (shape.len() == strides.len())
            .then(|| Value::Tensor(Box::new(Tensor { storage: *storage, offset, shape, strides })))
    }

    fn sizes(&self, value: &Value<'a>) -> Option<Vec<usize>> {
        let Value::List(ids) = value else { return None };
        let size = |id: &Id| match self.all[*id] {
            Value::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        if ids.len() > MOST_DIMENSIONS { None } else { ids.iter().map(size).collect() }
    }

    /// The values of a tuple that is no longer than those of storages and tensors.
    fn items(&self, id: Id) -> Option<Vec<&Value<'a>>> {
        const LONGEST: usize = 8;
        match &self.all[id] {
            Value::List(ids) if ids.len() <= LONGEST => Some(ids.iter().map(|id| &self.all[*id]).collect()),
            _ => None,
        }
    }
}
