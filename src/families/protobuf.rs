//! Messages of Protocol Buffers, field by field (protobuf.dev/programming-guides/encoding). Nothing is kept that nobody
//! asked for, so that a damaged message costs no more than its own bytes.

use bytes::{Buf, Bytes};

/// The fields of a message, in the order in which they lie there.
#[derive(Clone, Debug)]
pub struct Fields {
    rest: Bytes,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Integer(u64),
    Word(u32),
    /// Of eight bytes, which nothing here has.
    Long,
    /// Text, bytes, a message, or numbers in a row.
    Bytes(Bytes),
}

/// It ends too early, or is no such message.
#[derive(Debug, thiserror::Error)]
#[error("it is cut off, or damaged")]
pub struct Damaged;

// === impl Fields ===

impl Fields {
    pub fn of(message: Bytes) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u64, Value), Damaged> {
        let key = self.integer()?;
        let value = match key & 7 {
            0 => Value::Integer(self.integer()?),
            1 => self.bytes(8).map(|_| Value::Long)?,
            2 => {
                let length = usize::try_from(self.integer()?).map_err(|_| Damaged)?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => Value::Word(self.bytes(4)?.get_u32_le()),
            _ => return Err(Damaged),
        };
        Ok((key >> 3, value))
    }

    /// Seven bits a byte, the lowest first.
    fn integer(&mut self) -> Result<u64, Damaged> {
        let mut integer = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.bytes(1)?[0];
            integer |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(integer);
            }
        }
        Err(Damaged)
    }

    fn bytes(&mut self, count: usize) -> Result<Bytes, Damaged> {
        if count > self.rest.len() { Err(Damaged) } else { Ok(self.rest.split_to(count)) }
    }
}

impl Iterator for Fields {
    type Item = Result<(u64, Value), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest.clear();
        }
        Some(field)
    }
}

// === writing ===

/// Adds a field to a message.
pub fn write(message: &mut Vec<u8>, field: u64, value: &Value) -> Result<(), Damaged> {
    match value {
        Value::Integer(integer) => {
            write_integer(message, field << 3);
            write_integer(message, *integer);
        }
        Value::Word(word) => {
            write_integer(message, field << 3 | 5);
            message.extend(word.to_le_bytes());
        }
        // What it was is not kept.
        Value::Long => return Err(Damaged),
        Value::Bytes(bytes) => write_bytes(message, field, bytes),
    }
    Ok(())
}

/// Adds a field of text, of bytes, or of a message.
pub fn write_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    write_head(message, field, bytes.len());
    message.extend_from_slice(bytes);
}

/// What stands before so many bytes of a field.
pub fn write_head(message: &mut Vec<u8>, field: u64, length: usize) {
    write_integer(message, field << 3 | 2);
    write_integer(message, length as u64);
}

fn write_integer(message: &mut Vec<u8>, mut integer: u64) {
    while integer >= 0x80 {
        message.push(integer as u8 | 0x80);
        integer >>= 7;
    }
    message.push(integer as u8);
}

// === impl Value ===

impl Value {
    pub fn text(&self) -> Result<String, Damaged> {
        match self {
            Self::Bytes(bytes) => String::from_utf8(bytes.to_vec()).map_err(|_| Damaged),
            _ => Err(Damaged),
        }
    }

    pub fn message(&self) -> Result<Fields, Damaged> {
        match self {
            Self::Bytes(bytes) => Ok(Fields::of(bytes.clone())),
            _ => Err(Damaged),
        }
    }

    /// Adds what a repeated field of integers has here: one, or several in a row.
    pub fn integers(&self, to: &mut Vec<i64>) -> Result<(), Damaged> {
        match self {
            Self::Integer(integer) => to.push(integer.cast_signed()),
            Self::Bytes(bytes) => {
                let mut row = Fields::of(bytes.clone());
                while !row.rest.is_empty() {
                    to.push(row.integer()?.cast_signed());
                }
            }
            Self::Word(_) | Self::Long => return Err(Damaged),
        }
        Ok(())
    }

    /// The same of floats.
    pub fn floats(&self, to: &mut Vec<f32>) -> Result<(), Damaged> {
        match self {
            Self::Word(word) => to.push(f32::from_bits(*word)),
            Self::Bytes(bytes) if bytes.len().is_multiple_of(4) => {
                to.extend(bytes.chunks_exact(4).map(|mut four| four.get_f32_le()));
            }
            _ => return Err(Damaged),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_as_they_lie() {
        let message = b"\x08\x96\x01\x12\x02hi\x1d\x00\x00\x80\x3f\x21\x00\x00\x00\x00\x00\x00\x00\x00";
        let fields: Vec<_> = Fields::of(Bytes::from_static(message)).map(Result::unwrap).collect();
        let expected = [
            (1, Value::Integer(150)),
            (2, Value::Bytes(Bytes::from_static(b"hi"))),
            (3, Value::Word(0x3f80_0000)),
            (4, Value::Long),
        ];
        assert_eq!(fields, expected);
        let (mut integers, mut floats) = (vec![], vec![]);
        Value::Bytes(Bytes::from_static(b"\x96\x01\x02")).integers(&mut integers).unwrap();
        Value::Integer(u64::MAX).integers(&mut integers).unwrap();
        fields[2].1.floats(&mut floats).unwrap();
        assert_eq!((integers, floats), (vec![150, 2, -1], vec![1.0]));
    }

    #[test]
    fn what_is_written_is_read() {
        let fields = [
            (1, Value::Integer(u64::MAX)),
            (2, Value::Bytes(Bytes::from(vec![7; 300]))),
            (3000, Value::Word(0x3f80_0000)),
            (4, Value::Bytes(Bytes::new())),
        ];
        let mut message = Vec::new();
        fields.iter().for_each(|(field, value)| write(&mut message, *field, value).unwrap());
        let read: Vec<_> = Fields::of(message.into()).map(Result::unwrap).collect();
        assert_eq!(read, fields);
        assert!(write(&mut Vec::new(), 1, &Value::Long).is_err());
    }

    #[test]
    fn what_is_cut_off_ends_with_an_error() {
        for message in [b"\x08".as_slice(), b"\x08\xff", b"\x12\x05hi", b"\x1d\x00", b"\x0b", &[0xff; 11]] {
            let fields: Vec<_> = Fields::of(Bytes::copy_from_slice(message)).collect();
            assert!(matches!(fields.as_slice(), [Err(Damaged)]), "{message:?}: {fields:?}");
        }
    }
}
