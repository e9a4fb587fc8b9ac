//! What is installed: the image of this checkout, and chart and image of the version before.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use xtask::assets::chain;
use xtask::image::previous::{self, Tag};
use xtask::image::{self, CTL, Image, Recipe};
use xtask::workspace;

use crate::site::said;

/// Of what the version before was, as long as no version has a tag: previous/README.md.
const COMMIT: &str = "eaddfcf2649701922735ea44d75982be2af81dae";
/// What a version has that can be installed by Helm.
const CHART: &str = "charts/poros/Chart.yaml";
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

/// The version before: the newest one that has a tag and a chart, or the one that is kept beside these tests.
pub fn previous() -> &'static Previous {
    PREVIOUS.get_or_init(|| {
        let tags = tags();
        let tag = previous::newest(&tags, |tag| {
            let chart = ["ls-tree", "--name-only", &format!("refs/tags/{tag}"), CHART];
            !git(&chart).trim().is_empty()
        });
        let tag = tag.map(|tag| tag.name.clone());
        let commit = tag.as_deref().unwrap_or(COMMIT);
        let folder = workspace::target().join("previous").join(commit);
        let source = checked_out(commit, &folder);
        let chart = match tag {
            Some(_) => source.join("charts/poros"),
            None => workspace::root().join(PACKAGE),
        };
        let revision = Some(git(&["rev-parse", &format!("{commit}^{{commit}}")]).trim().to_owned());
        // As that version had it: its own `helm test` runs the command line, or does not.
        let links = if tag.is_some() && runs_ctl(&chart) { vec![CTL] } else { Vec::new() };
        let recipe = Recipe::of(source, folder.join("image"));
        // Under a name of its own: after a release this checkout may still have the number of that version.
        let image = build(&Recipe { repository: "poros-before".into(), revision, links, ..recipe });
        Previous { chart, image }
    })
}

/// The tags that lead here.
fn tags() -> Vec<Tag> {
    let format =
        "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname:short)";
    let head = git(&["rev-parse", "HEAD"]);
    let listed = git(&["for-each-ref", "--merged=HEAD", format, "refs/tags"]);
    let tags = listed.lines().filter_map(|line| line.split_once(' '));
    tags.map(|(commit, name)| Tag { name: name.to_owned(), is_here: commit == head.trim() }).collect()
}

/// Whether a folder of templates has one that runs the command line.
fn runs_ctl(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            runs_ctl(&path)
        } else {
            std::fs::read_to_string(&path).is_ok_and(|text| text.contains("/dataos-ctl"))
        }
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
    let remedy = "the version before is taken from git: run this in a clone of the repository";
    assert!(said.well, "git {arguments:?}: {}{remedy}", said.told);
    said.out
}
