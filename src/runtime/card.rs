//! Whether a card and its driver can run the kernels of this build.

use std::fmt;

/// NVIDIA's compute capability: what kernels may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    pub major: u32,
    pub minor: u32,
}

/// The first that computes in bf16.
const BF16: Capability = Capability { major: 8, minor: 0 };

/// A version of CUDA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion {
    pub major: u32,
    pub minor: u32,
}

/// A card, and what its driver knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub name: String,
    pub capability: Capability,
    /// The newest one that the driver knows.
    pub cuda: CudaVersion,
}

/// What kernels were compiled for. They travel as PTX, which the driver compiles for the card that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelTarget {
    pub capability: Capability,
    /// Whether they use what that capability alone has; else newer cards run them as well.
    pub alone: bool,
    /// The one whose compiler wrote them; older drivers do not read it.
    pub cuda: CudaVersion,
}

/// Why a card cannot run them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(
        "{card} has compute capability {has}, and this build is for {wants}; take an image that was built with CUDA_COMPUTE_CAP={}",
        has.number()
    )]
    Capability { card: String, has: Capability, wants: String },
    #[error(
        "the driver of {card} knows CUDA {has}, and this build is for {wants} or newer; install NVIDIA's driver {} or newer",
        wants.driver()
    )]
    Driver { card: String, has: CudaVersion, wants: CudaVersion },
}

// === impl Capability ===

impl Capability {
    /// As the build asks for it: 86.
    fn number(self) -> u32 {
        10 * self.major + self.minor
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

// === impl CudaVersion ===

impl CudaVersion {
    /// From what a driver says: 12090.
    pub fn of_driver(number: i32) -> Self {
        let number = u32::try_from(number).unwrap_or_default();
        Self { major: number / 1000, minor: number % 1000 / 10 }
    }

    /// The one whose compiler writes such PTX (the release notes of "PTX ISA").
    fn of_ptx(major: u32, minor: u32) -> Self {
        match (major, minor) {
            // There was none for 12.6.
            (8, 6..) => Self { major: 12, minor: minor + 1 },
            _ => Self { major: major + 4, minor },
        }
    }

    /// The branch of NVIDIA's drivers that first knew it (release notes of CUDA, table 3).
    fn driver(self) -> &'static str {
        match (self.major, self.minor) {
            (..=11, _) => "470",
            (12, 0) => "525",
            (12, 1) => "530",
            (12, 2) => "535",
            (12, 3) => "545",
            (12, 4) => "550",
            (12, 5) => "555",
            (12, 6) => "560",
            (12, 7) => "565",
            (12, 8) => "570",
            (12, _) => "575",
            (13, 0) => "580",
            _ => "590",
        }
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

// === impl KernelTarget ===

impl KernelTarget {
    /// What the first lines of PTX say; `None` if it is none.
    pub fn of_ptx(ptx: &str) -> Option<Self> {
        let directive =
            |name: &str| ptx.lines().find_map(|line| line.trim().strip_prefix(name)?.split_whitespace().next());
        let (major, minor) = directive(".version ")?.split_once('.')?;
        let target = directive(".target sm_")?.trim_end_matches(',');
        let digits = target.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let number: u32 = digits.parse().ok()?;
        Some(Self {
            capability: Capability { major: number / 10, minor: number % 10 },
            alone: digits != target,
            cuda: CudaVersion::of_ptx(major.parse().ok()?, minor.parse().ok()?),
        })
    }

    /// Whether a card that runs them computes in bf16: kernels for older cards have none of it, whichever card runs them.
    pub fn has_bf16_on(&self, card: &Card) -> bool {
        self.capability.min(card.capability) >= BF16
    }

    pub fn check(&self, card: &Card) -> Result<(), Unfit> {
        let runs = if self.alone { card.capability == self.capability } else { card.capability >= self.capability };
        if !runs {
            let newer = if self.alone { " alone" } else { " and newer" };
            let (has, wants) = (card.capability, format!("{}{newer}", self.capability));
            return Err(Unfit::Capability { card: card.name.clone(), has, wants });
        }
        if card.cuda < self.cuda {
            return Err(Unfit::Driver { card: card.name.clone(), has: card.cuda, wants: self.cuda });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(major: u32, minor: u32, driver: i32) -> Card {
        Card {
            name: "a card".to_owned(),
            capability: Capability { major, minor },
            cuda: CudaVersion::of_driver(driver),
        }
    }

    fn target(version: &str, sm: &str) -> KernelTarget {
        KernelTarget::of_ptx(&format!(
            "//\n// by a compiler\n//\n\n.version {version}\n.target {sm}\n.address_size 64\n"
        ))
        .unwrap()
    }

    #[test]
    fn newer_cards_run_what_older_ones_do() {
        let ampere = target("9.0", "sm_80");
        for (major, minor, runs) in
            [(7, 5, false), (8, 0, true), (8, 6, true), (8, 9, true), (9, 0, true), (12, 0, true)]
        {
            assert_eq!(ampere.check(&card(major, minor, 13000)).is_ok(), runs, "{major}.{minor}");
        }
        let error = ampere.check(&card(7, 5, 13000)).unwrap_err().to_string();
        assert!(error.contains("compute capability 7.5, and this build is for 8.0 and newer"), "{error}");
        assert!(error.contains("CUDA_COMPUTE_CAP=75"), "{error}");
    }

    #[test]
    fn bf16_takes_kernels_and_a_card_that_know_it() {
        for (kernels, (major, minor), has) in
            [("sm_80", (8, 0), true), ("sm_80", (12, 0), true), ("sm_75", (7, 5), false), ("sm_75", (9, 0), false)]
        {
            assert_eq!(
                target("9.0", kernels).has_bf16_on(&card(major, minor, 13000)),
                has,
                "{kernels}, {major}.{minor}"
            );
        }
    }

    #[test]
    fn kernels_of_one_capability_alone_run_nowhere_else() {
        let hopper = target("9.0", "sm_90a");
        assert_eq!(hopper.check(&card(9, 0, 13000)), Ok(()));
        for (major, minor) in [(8, 9), (10, 0), (12, 0)] {
            let error = hopper.check(&card(major, minor, 13000)).unwrap_err().to_string();
            assert!(error.contains("9.0 alone"), "{error}");
        }
    }

    #[test]
    fn a_driver_reads_no_newer_kernels_than_itself() {
        for (version, first, driver) in [
            ("9.0", 13000, "580"),
            ("8.8", 12090, "575"),
            ("8.7", 12080, "570"),
            ("8.5", 12050, "555"),
            ("8.0", 12000, "525"),
        ] {
            let target = target(version, "sm_75");
            assert_eq!(target.check(&card(7, 5, first)), Ok(()), "{version}");
            let error = target.check(&card(7, 5, first - 10)).unwrap_err().to_string();
            assert!(error.contains(&format!("driver {driver} or newer")), "{version}: {error}");
        }
        let error = target("9.0", "sm_80").check(&card(8, 0, 12040)).unwrap_err().to_string();
        assert!(error.contains("knows CUDA 12.4, and this build is for 13.0 or newer"), "{error}");
    }

    #[test]
    fn what_is_no_ptx_says_nothing() {
        for text in ["", "// none", ".version 9.0\n", ".version nine\n.target sm_80\n", ".version 9.0\n.target sm_\n"] {
            assert_eq!(KernelTarget::of_ptx(text), None, "{text}");
        }
    }
}
