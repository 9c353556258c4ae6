//! Tensors as they travel: in JSON, or as bytes behind it.

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{http::problem::Problem, speech::Kind};

/// The type of a tensor's elements. Numbers are little-endian; an element of BYTES is a `u32` length and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

/// What JSON says of an input.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct InputHeader {
    pub name: String,
    #[schema(example = json!([1]))]
    pub shape: Vec<usize>,
    pub datatype: Datatype,
    /// `binary_data_size`: the data follow the JSON, and are so many bytes. `content_type`: of BYTES, what they are.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// The elements in row-major order, flat or nested. A recording is base64 here.
    #[schema(value_type = Vec<Value>)]
    data: Option<Flat>,
}

/// An input whose data are as many as its shape says.
#[derive(Debug)]
pub(super) struct Tensor {
    pub name: String,
    pub datatype: Datatype,
    /// Row-major.
    pub shape: Vec<usize>,
    /// What the request says of the bytes: a media type, or `base64`.
    pub content_type: Option<String>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Binary(Bytes),
    /// The only element of BYTES, without its length.
    Element(Bytes),
    Json(Flat),
}

/// Elements of a JSON array however it is nested, without a value tree in between: a recording has millions.
#[derive(Debug, PartialEq)]
enum Flat {
    Empty,
    /// As samples are heard; what else is a number here is small.
    Numbers(Vec<f32>),
    Texts(Vec<String>),
    Truths(Vec<bool>),
}

// === impl Datatype ===

impl Datatype {
    /// Bytes of an element; BYTES has elements of any length.
    fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// An element's text, as JSON would write it.
    fn text(self, element: &[u8]) -> String {
        /// The bytes as an array; `chunks_exact` made them as long as the type is wide.
        fn le<const N: usize>(element: &[u8]) -> [u8; N] {
            std::array::from_fn(|place| element[place])
        }
        match self {
            Self::Bool => (element[0] != 0).to_string(),
            Self::Uint8 => element[0].to_string(),
            Self::Int8 => i8::from_le_bytes(le(element)).to_string(),
            Self::Uint16 => u16::from_le_bytes(le(element)).to_string(),
            Self::Int16 => i16::from_le_bytes(le(element)).to_string(),
            Self::Uint32 => u32::from_le_bytes(le(element)).to_string(),
            Self::Int32 => i32::from_le_bytes(le(element)).to_string(),
            Self::Uint64 => u64::from_le_bytes(le(element)).to_string(),
            Self::Int64 => i64::from_le_bytes(le(element)).to_string(),
            Self::Fp16 => half::f16::from_le_bytes(le(element)).to_string(),
            Self::Fp32 => f32::from_le_bytes(le(element)).to_string(),
            Self::Fp64 => f64::from_le_bytes(le(element)).to_string(),
            Self::Bytes => String::from_utf8_lossy(element).into_owned(),
        }
    }
}

impl std::fmt::Display for Datatype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_uppercase())
    }
}

// === impl Tensor ===

impl Tensor {
    /// Takes its share of `rest`, what follows the JSON.
    pub fn read(header: InputHeader, rest: &mut Bytes) -> Result<Self, Problem> {
        let InputHeader { name, shape, datatype, parameters, data } = header;
        if parameters.contains_key("shared_memory_region") {
            let message = format!("the input {name} is in shared memory, which is not served; send its data");
            return Err(Problem::new(Kind::Unsupported, message).about(&name));
        }
        let data = match (binary_size(&name, &parameters)?, data) {
            (Some(_), Some(_)) => {
                return Err(wrong(&name, "has data in JSON and binary_data_size; send the one or the other"));
            }
            (Some(size), None) if size > rest.len() => {
                let message = format!("says binary_data_size {size}, and {} bytes are left in the body", rest.len());
                return Err(wrong(&name, &message));
            }
            (Some(size), None) => Data::Binary(rest.split_to(size)),
            (None, Some(data)) => Data::Json(data),
            (None, None) => return Err(wrong(&name, "has no data: send data, or binary_data_size and the bytes")),
        };
        let content_type = parameters.get("content_type").and_then(Value::as_str).map(str::to_owned);
        let tensor = Self { name, datatype, shape, content_type, data };
        tensor.check()?;
        Ok(tensor.packed())
    }

    /// A body without JSON: one element of BYTES, without its length.
    pub fn raw(name: &str, body: Bytes, content_type: Option<String>) -> Self {
        let data = Data::Element(body);
        Self { name: name.to_owned(), datatype: Datatype::Bytes, shape: vec![1], content_type, data }
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().fold(1, |count, side| count.saturating_mul(*side))
    }

    /// Whether the elements came as text in JSON, which cannot hold bytes.
    pub fn is_json(&self) -> bool {
        matches!(self.data, Data::Json(_))
    }

    /// The elements of a BYTES tensor.
    pub fn blobs(&self) -> Result<Vec<Bytes>, Problem> {
        match (&self.data, self.datatype) {
            (Data::Binary(bytes), Datatype::Bytes) => self.elements(bytes.clone()).collect(),
            (Data::Element(bytes), Datatype::Bytes) => Ok(vec![bytes.clone()]),
            (Data::Json(Flat::Texts(texts)), Datatype::Bytes) => {
                Ok(texts.iter().map(|text| Bytes::from(text.clone())).collect())
            }
            (Data::Json(Flat::Empty), Datatype::Bytes) => Ok(Vec::new()),
            _ => Err(self.wrong_type(Datatype::Bytes)),
        }
    }

    /// The elements of an FP32 tensor, as bytes.
    pub fn floats(&self) -> Result<Bytes, Problem> {
        match (&self.data, self.datatype) {
            (Data::Binary(bytes), Datatype::Fp32) => Ok(bytes.clone()),
            (Data::Json(Flat::Empty), Datatype::Fp32) => Ok(Bytes::new()),
            _ => Err(self.wrong_type(Datatype::Fp32)),
        }
    }

    /// The elements as texts, whatever their type.
    pub fn texts(&self) -> Result<Vec<String>, Problem> {
        let utf8 = |bytes: Bytes| String::from_utf8(bytes.into()).map_err(|_| wrong(&self.name, "is not UTF-8 text"));
        match (&self.data, self.datatype.width()) {
            (Data::Binary(_) | Data::Element(_), None) => self.blobs()?.into_iter().map(utf8).collect(),
            (Data::Binary(bytes), Some(width)) => {
                Ok(bytes.chunks_exact(width).map(|element| self.datatype.text(element)).collect())
            }
            (Data::Element(_), Some(_)) => Err(self.wrong_type(Datatype::Bytes)),
            (Data::Json(flat), _) => Ok(flat.texts()),
        }
    }

    /// Numbers of JSON as bytes, which is what samples are taken from; the array is gone afterwards.
    fn packed(mut self) -> Self {
        if let (Datatype::Fp32, Data::Json(Flat::Numbers(numbers))) = (self.datatype, &self.data) {
            let mut bytes = Vec::with_capacity(size_of_val(numbers.as_slice()));
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            self.data = Data::Binary(bytes.into());
        }
        self
    }

    /// Whether there are as many elements as the shape says, of the type that it says.
    fn check(&self) -> Result<(), Problem> {
        let expected = self.count();
        let (found, unit) = match (&self.data, self.datatype.width()) {
            (Data::Binary(bytes), Some(width)) if expected.checked_mul(width) == Some(bytes.len()) => return Ok(()),
            (Data::Binary(bytes), Some(_)) => (bytes.len(), "bytes"),
            (Data::Binary(bytes), None) => (self.counted(bytes)?, "elements"),
            (Data::Element(_), _) => (1, "elements"),
            (Data::Json(flat), width) if !flat.is_empty() && flat.is_text() == width.is_some() => {
                return Err(wrong(&self.name, &format!("is {}, and its data are not", self.datatype)));
            }
            (Data::Json(flat), _) => (flat.len(), "elements"),
        };
        if unit == "elements" && found == expected {
            return Ok(());
        }
        let message = format!("has the shape {:?} of {}, and {found} {unit}", self.shape, self.datatype);
        Err(wrong(&self.name, &message))
    }

    /// The elements of BYTES one by one: four bytes can be one, and a list of all would be many times as large.
    fn elements(&self, mut bytes: Bytes) -> impl Iterator<Item = Result<Bytes, Problem>> {
        std::iter::from_fn(move || {
            if bytes.is_empty() {
                return None;
            }
            let element = split_element(&mut bytes);
            if element.is_none() {
                bytes.clear();
            }
            let cut = || wrong(&self.name, "ends inside an element; each is a u32 length and so many bytes");
            Some(element.ok_or_else(cut))
        })
    }

    fn counted(&self, bytes: &Bytes) -> Result<usize, Problem> {
        self.elements(bytes.clone()).try_fold(0, |count, element| element.map(|_| count + 1))
    }

    fn wrong_type(&self, right: Datatype) -> Problem {
        wrong(&self.name, &format!("is {}; {right} would be right", self.datatype))
    }
}

fn binary_size(name: &str, parameters: &Map<String, Value>) -> Result<Option<usize>, Problem> {
    let Some(size) = parameters.get("binary_data_size") else { return Ok(None) };
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
    size.map(Some).ok_or_else(|| wrong(name, "has a binary_data_size that is no number of bytes"))
}

/// What is wrong with an input.
pub(super) fn wrong(name: &str, what: &str) -> Problem {
    Problem::invalid(name, format!("the input {name} {what}"))
}

/// The first element of BYTES, if it is whole.
fn split_element(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.split_to_checked(4)?;
    let length = u32::from_le_bytes(std::array::from_fn(|place| length[place])) as usize;
    bytes.split_to_checked(length)
}

trait SplitChecked: Sized {
    /// The first bytes, if there are so many.
    fn split_to_checked(&mut self, length: usize) -> Option<Self>;
}

impl SplitChecked for Bytes {
    fn split_to_checked(&mut self, length: usize) -> Option<Self> {
        (length <= self.len()).then(|| self.split_to(length))
    }
}

// === impl Flat ===

impl Flat {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
            Self::Truths(truths) => truths.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Texts(_))
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Empty => Vec::new(),
            Self::Numbers(numbers) => numbers.iter().map(f32::to_string).collect(),
            Self::Texts(texts) => texts.clone(),
            Self::Truths(truths) => truths.iter().map(bool::to_string).collect(),
        }
    }

    fn number<E: serde::de::Error>(&mut self, number: f32) -> Result<(), E> {
        match self {
            Self::Empty => *self = Self::Numbers(vec![number]),
            Self::Numbers(numbers) => numbers.push(number),
            _ => return Err(mixed()),
        }
        Ok(())
    }
}

fn mixed<E: serde::de::Error>() -> E {
    E::custom("the elements of data are of different types")
}

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Self::Empty;
        flat.deserialize_more(deserializer)?;
        Ok(flat)
    }
}

impl Flat {
    fn deserialize_more<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Elements(self))
    }
}

/// Takes in an element, or an array of such.
struct Elements<'a>(&'a mut Flat);

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.deserialize_more(deserializer)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers, texts or truth values in an array")
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        match self.0 {
            Flat::Empty => *self.0 = Flat::Truths(vec![truth]),
            Flat::Truths(truths) => truths.push(truth),
            _ => return Err(mixed()),
        }
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.0.number(number as f32)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.0.number(number as f32)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.0.number(number as f32)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.0 {
            Flat::Empty => *self.0 = Flat::Texts(vec![text.to_owned()]),
            Flat::Texts(texts) => texts.push(text.to_owned()),
            _ => return Err(mixed()),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Elements(self.0))?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(header: Value, rest: &[u8]) -> Result<Tensor, Problem> {
        let mut rest = Bytes::copy_from_slice(rest);
        Tensor::read(serde_json::from_value(header).unwrap(), &mut rest)
    }

    fn binary(datatype: &str, shape: &[usize], rest: &[u8]) -> Result<Tensor, Problem> {
        let parameters = json!({"binary_data_size": rest.len()});
        read(json!({"name": "x", "datatype": datatype, "shape": shape, "parameters": parameters}), rest)
    }

    fn inline(datatype: &str, shape: &[usize], data: Value) -> Result<Tensor, Problem> {
        read(json!({"name": "x", "datatype": datatype, "shape": shape, "data": data}), b"")
    }

    #[test]
    fn numbers_of_every_type_are_read_little_endian() {
        for (datatype, bytes, text) in [
            ("BOOL", &[1][..], "true"),
            ("UINT8", &[200], "200"),
            ("INT8", &[0xFF], "-1"),
            ("UINT16", &[1, 2], "513"),
            ("INT16", &[0xFE, 0xFF], "-2"),
            ("UINT32", &[0, 0, 0, 0x80], "2147483648"),
            ("INT32", &[0x80, 0x3E, 0, 0], "16000"),
            ("UINT64", &[0xFF; 8], "18446744073709551615"),
            ("INT64", &[0xFF; 8], "-1"),
            ("FP16", &[0, 0x38], "0.5"),
            ("FP32", &[0, 0, 0, 0x3F], "0.5"),
            ("FP64", &[0, 0, 0, 0, 0, 0, 0xE0, 0x3F], "0.5"),
        ] {
            assert_eq!(binary(datatype, &[1], bytes).unwrap().texts().unwrap(), [text], "{datatype}");
            assert!(binary(datatype, &[2], bytes).is_err(), "{datatype}");
        }
    }

    #[test]
    fn bytes_are_a_length_and_so_many() {
        let tensor = binary("BYTES", &[3], b"\x02\0\0\0hi\0\0\0\0\x01\0\0\0!").unwrap();
        assert_eq!(tensor.blobs().unwrap(), ["hi", "", "!"]);
        for cut in [&b"\x02\0\0"[..], b"\x02\0\0\0h", b"\xFF\xFF\xFF\xFFhi"] {
            assert!(format!("{:?}", binary("BYTES", &[1], cut).unwrap_err()).contains("inside an element"));
        }
    }

    #[test]
    fn nested_and_flat_arrays_are_the_same() {
        let flat = inline("FP32", &[2, 2], json!([0.5, 1, -2, 3])).unwrap();
        let nested = inline("FP32", &[2, 2], json!([[0.5, 1], [-2, 3]])).unwrap();
        assert_eq!(flat.floats().unwrap(), nested.floats().unwrap());
        assert_eq!(inline("BYTES", &[1], json!(["hé"])).unwrap().texts().unwrap(), ["hé"]);
        assert_eq!(inline("BOOL", &[1], json!([true])).unwrap().texts().unwrap(), ["true"]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let message = |tensor: Result<Tensor, Problem>| format!("{:?}", tensor.unwrap_err());
        assert!(message(inline("FP32", &[3], json!([1, 2]))).contains("2 elements"));
        assert!(message(inline("FP32", &[1], json!(["1"]))).contains("its data are not"));
        assert!(message(inline("BYTES", &[1], json!([1]))).contains("its data are not"));
        assert!(message(binary("FP32", &[usize::MAX, usize::MAX], &[0; 4])).contains("4 bytes"));
        let lacking = json!({"name": "x", "datatype": "FP32", "shape": [1]});
        assert!(message(read(lacking, b"")).contains("has no data"));
        let long = json!({"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 5}});
        assert!(message(read(long, &[0; 4])).contains("4 bytes are left"));
        let shared =
            json!({"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"shared_memory_region": "r"}});
        assert!(message(read(shared, b"")).contains("shared memory"));
        assert!(
            serde_json::from_value::<InputHeader>(json!({"name": "x", "shape": [-1], "datatype": "FP32"})).is_err()
        );
        assert!(serde_json::from_value::<Flat>(json!([1, "a"])).is_err());
    }
}
