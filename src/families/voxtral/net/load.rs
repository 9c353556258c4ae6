//! From files to a network.

use super::{
    super::{config::Config, repository::PART},
    language_model::LanguageModel,
    projector::Projector,
    spelling::Spelling,
};
use crate::{
    families::{context, weight_files},
    model::{LoadError, ModelFiles, Placement},
    nn::{
        AudioEncoder, ComputeContext,
        weights::{Loader, Weights},
    },
};

/// The tensors of all files that hold some, of one or of those that the index names, are those of the three parts.
pub(super) fn read(
    config: &Config,
    files: &ModelFiles,
    placement: &Placement,
    context: &ComputeContext,
) -> Result<(AudioEncoder, Projector, LanguageModel), LoadError> {
    let open = |name: String| {
        let bytes = context::weights(context, files, PART, &name, placement)?;
        Ok::<_, LoadError>((name, bytes))
    };
    let opened = weight_files::names(files, PART)?.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut weights = Weights::open(&opened, "")?;
    let spelling = Spelling::of(&weights);
    let mut loader = Loader { weights: &mut weights, context };
    let encoder = AudioEncoder::load(&mut loader, &spelling.stored("audio_tower"), config.encoder())?;
    let projector = Projector::load(&mut loader, spelling, config)?;
    let language_model = LanguageModel::load(&mut loader, spelling, config)?;
    weights.finish()?;
    Ok((encoder, projector, language_model))
}
