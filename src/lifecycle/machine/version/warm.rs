//! How the files of a version come to be held in host memory, and are let go.

use super::{Context, Effect, ModelVersion, Resource, Warmth};

impl<R: Resource, F: Clone> ModelVersion<R, F> {
    pub fn is_warm(&self) -> bool {
        matches!(self.warmth, Warmth::Warm(..))
    }

    /// They were read, or could not be.
    pub fn warmed(&mut self, cx: &mut Context<'_, R, F>, files: Option<F>) {
        match (&self.warmth, files) {
            (Warmth::Warming(since), Some(files)) => self.warmth = Warmth::Warm(*since, files),
            (Warmth::Warming(_), None) => self.warmth = Warmth::Cold,
            // Nobody wants them any more.
            (_, Some(files)) => cx.out.push(Effect::Cool { files }),
            (_, None) => {}
        }
    }

    /// Nobody holds them any more.
    pub fn cool(&mut self, cx: &mut Context<'_, R, F>) {
        cx.out.extend(self.warmth.take().map(|files| Effect::Cool { files }));
    }

    /// They are to be read, if that has not begun.
    pub fn warm(&mut self, cx: &mut Context<'_, R, F>) {
        if let (Warmth::Due(since), Some(stock)) = (&self.warmth, self.stock()) {
            let (since, files) = (*since, stock.files.clone());
            cx.out.push(Effect::Warm { version: self.id(), spec: self.spec().clone(), files });
            self.warmth = Warmth::Warming(since);
        }
    }
}
