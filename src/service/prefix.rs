//! The recording that speech is to go on with, where a request names one that this server keeps.

use serde_json::Value;

use super::{Service, ServiceError, SpeakRequest, VoiceError};
use crate::{
    model::{Family, RequestError},
    speech::{Fault, Kind},
};

impl Service {
    /// Brings the recording that `{"id": …}` names in the option of a family that has one. The family says itself what is
    /// wrong with anything else that stands there.
    pub(super) async fn with_prefix(
        &self,
        families: &[&'static dyn Family],
        mut asked: SpeakRequest,
    ) -> Result<SpeakRequest, ServiceError> {
        let named = families.iter().find_map(|family| {
            let option = family.prefix_option()?;
            Some((option, id(asked.options.options.get(option)?)?.to_owned()))
        });
        if let Some((option, id)) = named {
            let found = self.voices.reference(id).await.map_err(|error| refused(option, error))?;
            asked.options.prefix = Some(found);
        }
        Ok(asked)
    }
}

fn id(value: &Value) -> Option<&str> {
    value.as_object().filter(|fields| fields.len() == 1)?.get("id")?.as_str()
}

/// The name is in the options, and a folder that is broken is nobody's fault who asks.
fn refused(option: &str, error: VoiceError) -> ServiceError {
    match error.kind() {
        Kind::Unavailable | Kind::Internal => error.into(),
        _ => RequestError::Invalid { param: "options", message: format!("{option}: {error}") }.into(),
    }
}
