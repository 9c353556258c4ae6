//! The files of the page, inside the program.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::http::asset::Asset;

const SOURCES: [(&str, &str); 23] = [
    ("api.js", include_str!("page/api.js")),
    ("app.js", include_str!("page/app.js")),
    ("charts.js", include_str!("page/charts.js")),
    ("convert.js", include_str!("page/convert.js")),
    ("dom.js", include_str!("page/dom.js")),
    ("hear.js", include_str!("page/hear.js")),
    ("hear_lines.js", include_str!("page/hear_lines.js")),
    ("icon.svg", include_str!("page/icon.svg")),
    ("index.html", include_str!("page/index.html")),
    ("made.js", include_str!("page/made.js")),
    ("metrics.js", include_str!("page/metrics.js")),
    ("models.js", include_str!("page/models.js")),
    ("now.js", include_str!("page/now.js")),
    ("options.js", include_str!("page/options.js")),
    ("player.js", include_str!("page/player.js")),
    ("recording.js", include_str!("page/recording.js")),
    ("sing.js", include_str!("page/sing.js")),
    ("snippets.js", include_str!("page/snippets.js")),
    ("sound.js", include_str!("page/sound.js")),
    ("speak.js", include_str!("page/speak.js")),
    ("store.js", include_str!("page/store.js")),
    ("style.css", include_str!("page/style.css")),
    ("transcript.js", include_str!("page/transcript.js")),
];

/// By name; made when somebody first looks.
static ASSETS: LazyLock<BTreeMap<&str, Asset>> =
    LazyLock::new(|| SOURCES.into_iter().map(|(name, text)| (name, Asset::new(name, text))).collect());

pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.get(name)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_inside_and_small_enough_together() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console/page");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let there: BTreeSet<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
        assert_eq!(there, ASSETS.keys().map(|name| (*name).to_owned()).collect());
        assert!(ASSETS.values().map(Asset::compressed_length).sum::<usize>() < 60_000);
    }
}
