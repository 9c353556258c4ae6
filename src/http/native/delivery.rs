//! How the answers of a request are given.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{fields::Fields, prediction::Prediction};
use crate::{http::problem::Problem, remote::Remote};

/// What is said beside the request itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Delivery {
    /// `gs://…` or `s3://…`: answers are written there, and what is sent says where.
    pub output_uri: Option<String>,
    /// As server-sent events, while they are made.
    pub stream: bool,
}

// === impl Delivery ===

impl Delivery {
    /// Takes the fields of the delivery out of those of a request.
    pub fn take(fields: &mut Fields) -> Result<Self, Problem> {
        let output_uri = output_uri(fields)?;
        let stream = match fields.remove("stream") {
            None => false,
            // A query has texts only.
            Some(value) => value.as_bool().or_else(|| value.as_str()?.parse().ok()).ok_or_else(|| {
                Problem::invalid("stream", format!("stream is {value}; true or false would be right"))
            })?,
        };
        Ok(Self { output_uri, stream })
    }

    /// The object below the prefix that an instance without one of its own is written to.
    pub fn output_of(&self, instance: usize, extension: &str) -> Option<String> {
        let prefix = self.output_uri.as_ref()?.trim_end_matches('/');
        Some(format!("{prefix}/{instance}.{extension}"))
    }
}

/// What is to be sent: the answer, or where it was written. Of several sounds the answer's own is written last: where it is,
/// all are.
pub(in crate::http) async fn deliver(
    remote: &Remote,
    mut prediction: Prediction,
    output: Option<String>,
) -> Result<Prediction, Problem> {
    let Some(uri) = output else { return Ok(prediction) };
    let mut delivered = json!({"uri": uri});
    for (name, content_type, bytes) in prediction.take_stems() {
        let uri = uri_of_stem(&uri, name);
        write(remote, &uri, bytes, content_type).await?;
        delivered["stems"][name] = json!({"uri": uri});
    }
    let (content_type, bytes) = prediction.into_file();
    write(remote, &uri, bytes, content_type).await?;
    Ok(Prediction::Json(delivered))
}

async fn write(remote: &Remote, uri: &str, bytes: Bytes, content_type: &str) -> Result<(), Problem> {
    remote.write(uri, bytes, content_type).await.map_err(|error| Problem::from(error).about("output_uri"))
}

/// `gs://bucket/song.wav` → `gs://bucket/song.vocals.wav`
fn uri_of_stem(uri: &str, name: &str) -> String {
    let folder = uri.rfind('/').map_or(0, |slash| slash + 1);
    match uri[folder..].rfind('.') {
        Some(dot) if dot > 0 => format!("{}.{name}{}", &uri[..folder + dot], &uri[folder + dot..]),
        _ => format!("{uri}.{name}"),
    }
}

/// Takes the field `output_uri` out of others.
pub(in crate::http) fn output_uri(fields: &mut Fields) -> Result<Option<String>, Problem> {
    match fields.remove("output_uri") {
        None => Ok(None),
        Some(Value::String(uri)) => Ok(Some(uri)),
        Some(other) => {
            Err(Problem::invalid("output_uri", format!("output_uri is {other}; gs:// or s3:// and a place is right")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(fields: Value) -> Result<Delivery, Problem> {
        let Value::Object(mut fields) = fields else { panic!("no object") };
        let delivery = Delivery::take(&mut fields)?;
        assert!(fields.is_empty(), "{fields:?}");
        Ok(delivery)
    }

    #[test]
    fn each_instance_has_an_object_of_its_own() {
        let delivery = delivery(json!({"output_uri": "gs://bucket/out/"})).unwrap();
        assert_eq!(delivery.output_of(0, "json").unwrap(), "gs://bucket/out/0.json");
        assert_eq!(delivery.output_of(12, "srt").unwrap(), "gs://bucket/out/12.srt");
        assert_eq!(Delivery::default().output_of(0, "json"), None);
    }

    #[test]
    fn each_stem_has_an_object_beside_the_whole() {
        for (uri, expected) in [
            ("gs://b/a/song.wav", "gs://b/a/song.vocals.wav"),
            ("gs://b/v1.0/song", "gs://b/v1.0/song.vocals"),
            ("s3://b/.song", "s3://b/.song.vocals"),
        ] {
            assert_eq!(uri_of_stem(uri, "vocals"), expected);
        }
    }

    #[test]
    fn what_says_how_is_of_its_type() {
        assert!(delivery(json!({"stream": true})).unwrap().stream);
        assert!(delivery(json!({"stream": "true"})).unwrap().stream);
        assert!(delivery(json!({"stream": "perhaps"})).is_err());
        assert!(delivery(json!({"output_uri": 7})).is_err());
    }
}
