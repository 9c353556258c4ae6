//! Where files were found.

/// Where the files of one part came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// As it is written.
    pub source: String,
    /// A folder and an embedded model have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub from: FileOrigin,
}

/// Where files were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOrigin {
    /// In this program.
    Embedded,
    /// A folder that is read in place.
    Folder,
    /// A cache that is only read.
    ReadOnly,
    /// The cache that is written.
    Cache,
    /// Fetched just now.
    Network,
}
