//! What is installed: the image of this checkout, and chart and image of the version before.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use xtask::assets::chain;
use xtask::image::{self, Image, Recipe};
use xtask::workspace;

use crate::site::said;

/// Of what the version before was, as long as no version has a tag: previous/README.md.
const COMMIT: &str = "eaddfcf2649701922735ea44d75982be2af81dae";
const PACKAGE: &str = "tests/node/previous/poros-0.1.0.tgz";

/// One build at a time: each takes all cores.
static BUILDS: Mutex<()> = Mutex::new(());
static CURRENT: OnceLock<Image> = OnceLock::new();
static PREVIOUS: OnceLock<Previous> = OnceLock::new();

/// The version before this one.
pub struct Previous {
    /// A package, or a folder.
    pub chart: PathBuf,
    pub image: Image,
}

/// The image of this checkout.
pub fn current() -> &'static Image {
    CURRENT.get_or_init(|| build(&Recipe::own()))
}

/// The version before: the newest one that has a tag, or the one that is kept beside these tests.
pub fn previous() -> &'static Previous {
    PREVIOUS.get_or_init(|| {
        let tags = git(&["tag", "--list", "v*", "--merged=HEAD", "--sort=-version:refname"]);
        let own = concat!("v", env!("CARGO_PKG_VERSION"));
        let tag = tags.lines().find(|tag| *tag != own);
        let commit = tag.unwrap_or(COMMIT);
        let folder = workspace::target().join("previous").join(commit);
        let source = checked_out(commit, &folder);
        let chart = match tag {
            Some(_) => source.join("charts/poros"),
            None => workspace::root().join(PACKAGE),
        };
        let revision = Some(git(&["rev-parse", &format!("{commit}^{{commit}}")]).trim().to_owned());
        let image = build(&Recipe { revision, ..Recipe::of(source, folder.join("image")) });
        Previous { chart, image }
    })
}

fn build(recipe: &Recipe) -> Image {
    let _one = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
    let image = image::build(recipe).unwrap_or_else(|error| panic!("{}", chain(&error)));
    println!("{}: {}", image.reference, image.digest);
    image
}

/// The sources of a commit, below a folder of its own.
fn checked_out(commit: &str, folder: &Path) -> PathBuf {
    let source = folder.join("source");
    if source.exists() {
        return source;
    }
    // A clone of the last commits alone has neither the commit nor a tag.
    assert_eq!(
        git(&["rev-parse", "--is-shallow-repository"]).trim(),
        "false",
        "this clone is shallow and lacks the version before, {commit}: run `git fetch --unshallow --tags`"
    );
    let (archive, half) = (folder.join("source.tar"), folder.join("half"));
    // Of a run that was broken off; most often there is none.
    let _ = std::fs::remove_dir_all(&half);
    std::fs::create_dir_all(&half).unwrap();
    git(&["archive", "--output", &archive.to_string_lossy(), commit]);
    let unpacked = said(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&half));
    assert!(unpacked.well, "{}", unpacked.told);
    std::fs::remove_file(&archive).unwrap();
    std::fs::rename(&half, &source).unwrap();
    source
}

fn git(arguments: &[&str]) -> String {
    let said = said(Command::new("git").args(arguments).current_dir(workspace::root()));
    assert!(said.well, "git {arguments:?}: {}", said.told);
    said.out
}
