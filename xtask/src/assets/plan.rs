//! What is there, what is missing, and how the missing is brought.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::build::{self, RECIPE};
use super::cache::{self, CacheError, Slot};
use super::download::{self, DownloadError};
use super::host::{Need, Work};
use super::modules::{Module, Modules};
use super::release::{Release, releases};
use super::settings::{is_program, on_path};
use super::{Assets, AssetsError, Project, Settings, Site, Tool, chain};
use crate::report::Report;
use crate::table::Table;

/// Where a binary was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In `KUBEBUILDER_ASSETS`.
    Folder,
    /// In the cache, from an earlier download.
    Downloaded,
    /// In the cache, from an earlier build.
    Built,
}

/// How a missing binary is to be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// From a place that a person named; nothing else will do.
    Download,
    /// From upstream, and by a build where that fails.
    DownloadOrBuild,
    /// By a build: upstream has no binaries for this platform.
    Build,
}

/// What was found, and what is to be done.
#[derive(Debug)]
pub struct Plan {
    found: BTreeMap<Tool, (Source, PathBuf)>,
    todo: BTreeMap<Tool, Todo>,
    modules: Modules,
    go: Option<String>,
    works: Vec<Work>,
}

impl Plan {
    /// Looks everywhere that costs nothing: no network, no build.
    pub fn make(settings: &Settings) -> Result<Self, AssetsError> {
        let modules = Modules::read(settings).map_err(AssetsError::Versions)?;
        check_folder(settings)?;
        let go = settings.go_version();
        let node = settings.node.then_some(Work::RealNode);
        let works = node.into_iter().chain(settings.works.iter().copied()).collect();
        let mut plan = Self { found: BTreeMap::new(), todo: BTreeMap::new(), modules, go, works };
        for tool in plan.modules.clone().tools() {
            match plan.look(settings, tool)? {
                Some(found) => drop(plan.found.insert(tool, found)),
                None => drop(plan.todo.insert(tool, todo(settings, tool.project()))),
            }
        }
        Ok(plan)
    }

    /// Whether every binary was found.
    pub fn is_complete(&self) -> bool {
        self.todo.is_empty()
    }

    /// What is needed, where it was found, what will be done, and how long that takes.
    pub fn table(&self) -> Table {
        let mut table = Table::new(["needed", "found", "will do", "minutes"]);
        for tool in self.modules.tools() {
            let module = self.modules.of(tool);
            let needed = format!("{} {}", tool.file(), module.versions.of(tool.project()));
            let found = self.found.get(&tool).map(|(source, path)| place(*source, path)).unwrap_or_default();
            let long = format!("{} for all", module.minutes());
            let (action, minutes) = match self.todo.get(&tool) {
                None => ("", String::new()),
                Some(Todo::Download) => ("download", "1".to_owned()),
                Some(Todo::DownloadOrBuild) => ("download, else build", format!("1, else {long}")),
                Some(Todo::Build) => ("build", long),
            };
            table.row([needed, found, action.to_owned(), minutes]);
        }
        let go = self.go.as_ref().map(|version| format!("go {version}")).unwrap_or_default();
        let missing = if self.go.is_some() { "" } else { "needed only to build" };
        table.row([format!("Go {} or newer", self.modules.go()), go, missing.to_owned(), String::new()]);
        let compiler = on_path("cc").map(|path| path.display().to_string()).unwrap_or_default();
        let missing = if compiler.is_empty() { "cargo needs one: install gcc or clang" } else { "" };
        table.row(["C compiler".to_owned(), compiler, missing.to_owned(), String::new()]);
        let mut needs: Vec<Need> = Vec::new();
        for need in self.works.iter().flat_map(|work| work.needs()) {
            // Two of them need root.
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        for need in needs {
            let found = need.found().unwrap_or_default();
            let missing = if found.is_empty() { need.remedy() } else { String::new() };
            table.row([need.what().to_owned(), found, missing, String::new()]);
        }
        table
    }

    /// Brings what is missing.
    pub fn carry_out(mut self, settings: &Settings, report: &mut dyn Report) -> Result<Assets, AssetsError> {
        if self.works.contains(&Work::RealNode) {
            // Before minutes of work for nothing.
            Work::RealNode.is_possible().map_err(AssetsError::Host)?;
        }
        if !self.is_complete() {
            self.download(settings, report)?;
        }
        for module in self.modules.clone().all() {
            self.build(settings, module, report)?;
        }
        let kubernetes = self.modules.kubernetes().to_owned();
        Ok(Assets {
            paths: self.found.into_iter().map(|(tool, (_, path))| (tool, path)).collect(),
            kubernetes,
        })
    }

    fn look(&self, settings: &Settings, tool: Tool) -> Result<Option<(Source, PathBuf)>, AssetsError> {
        let module = self.modules.of(tool);
        // Nobody knows which version lies there, and another one than the main was asked for by name.
        let folder = settings.folder.as_ref().filter(|_| module.main);
        let folder = folder.map(|folder| (Source::Folder, absolute(folder)));
        let downloaded = Some((Source::Downloaded, download_folder(settings, module, tool.project())));
        let built = self.build_folder(settings, module)?.map(|folder| (Source::Built, folder));
        let places = [folder, downloaded, built].into_iter().flatten();
        let mut files = places.map(|(source, folder)| (source, folder.join(tool.file())));
        Ok(files.find(|(_, file)| is_program(file)))
    }

    /// Another Go, other modules or another recipe make another folder. Without Go nothing was built.
    fn build_folder(&self, settings: &Settings, module: &Module) -> Result<Option<PathBuf>, AssetsError> {
        let Some(go) = &self.go else { return Ok(None) };
        let read = |name: &str| {
            let path = module.folder.join(name);
            let error =
                |source| AssetsError::Cache(CacheError::File { verb: "read", path: path.clone(), source });
            std::fs::read(&path).map_err(error)
        };
        let (pins, sums) = (read("go.mod")?, read("go.sum")?);
        let platform = &settings.platform;
        let words = [go.as_str(), platform.os, platform.arch, RECIPE].map(str::as_bytes);
        let parts: Vec<&[u8]> = [pins.as_slice(), sums.as_slice()].into_iter().chain(words).collect();
        Ok(Some(settings.cache.join(format!("build-{}", cache::key(&parts)))))
    }

    fn download(&mut self, settings: &Settings, report: &mut dyn Report) -> Result<(), AssetsError> {
        let wanted = self.wanted(settings);
        // All places are asked at once: together they cost no more than the slowest.
        let reached: Vec<(Wanted, Result<(), DownloadError>)> = std::thread::scope(|scope| {
            let asked: Vec<_> = wanted
                .into_iter()
                .filter_map(|wanted| {
                    let first = wanted.releases.first()?.clone();
                    Some((wanted, scope.spawn(move || download::reach(&first))))
                })
                .collect();
            let answer = |(wanted, thread): (_, std::thread::ScopedJoinHandle<'_, _>)| {
                thread.join().ok().map(|result| (wanted, result))
            };
            asked.into_iter().filter_map(answer).collect()
        });
        let mut unreached = Vec::new();
        for (wanted, answer) in reached {
            let project = wanted.project;
            let result = answer.and_then(|()| self.take(&wanted, report));
            let Err(source) = result else { continue };
            if settings.site(project).named {
                return Err(AssetsError::Download { project, variable: project.variable(), source });
            }
            match source {
                DownloadError::Fetch { .. } | DownloadError::NoChecksum { .. } => {
                    unreached.push(wanted.what);
                }
                other => report.line(&format!("{} will be built instead: {}", project.name(), chain(&other))),
            }
        }
        if !unreached.is_empty() {
            report.line(&format!("No release download for {}.", unreached.join(", ")));
        }
        Ok(())
    }

    /// What to download, by project and module.
    fn wanted(&self, settings: &Settings) -> Vec<Wanted> {
        let of = |module: &Module, project: Project| {
            let missing = self.missing(module).filter(|tool| self.todo.get(tool) != Some(&Todo::Build));
            let tools: Vec<Tool> = missing.collect();
            let version = module.versions.of(project);
            let site = settings.site(project);
            Wanted {
                project,
                what: if module.main { project.name().to_owned() } else { module.what() },
                folder: download_folder(settings, module, project),
                releases: releases(project, &tools, &site.url, version, &settings.platform),
            }
        };
        let modules = self.modules.all();
        modules.flat_map(|module| Project::ALL.map(|project| of(module, project))).collect()
    }

    /// The binaries that are still to be brought and come from this module.
    fn missing(&self, module: &Module) -> impl Iterator<Item = Tool> {
        self.todo.keys().copied().filter(|tool| self.modules.of(*tool).folder == module.folder)
    }

    fn take(&mut self, wanted: &Wanted, report: &mut dyn Report) -> Result<(), DownloadError> {
        let slot = Slot::lock(&wanted.folder, report).map_err(DownloadError::Keep)?;
        for release in &wanted.releases {
            let kept = wanted.folder.join(release.tool.file());
            // Another run may have brought it while this one waited for the lock.
            let path = if is_program(&kept) { kept } else { download::take(release, &slot, report)? };
            report.line(&format!("Took {} from {}, checksum verified.", release.tool.file(), release.url));
            self.todo.remove(&release.tool);
            self.found.insert(release.tool, (Source::Downloaded, path));
        }
        Ok(())
    }

    fn build(
        &mut self,
        settings: &Settings,
        module: &Module,
        report: &mut dyn Report,
    ) -> Result<(), AssetsError> {
        let missing: Vec<Tool> = self.missing(module).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let Some(folder) = self.build_folder(settings, module)? else {
            let missing = self.todo.keys().map(|tool| tool.file()).collect::<Vec<_>>().join(", ");
            return Err(AssetsError::NoGo { missing, go: self.modules.go().to_owned() });
        };
        let slot = Slot::lock(&folder, report).map_err(AssetsError::Cache)?;
        let there = |tool: &Tool| is_program(&folder.join(tool.file()));
        if !missing.iter().all(there) {
            build::build(settings, module, &slot, report).map_err(AssetsError::Build)?;
        }
        for tool in missing {
            self.todo.remove(&tool);
            self.found.insert(tool, (Source::Built, folder.join(tool.file())));
        }
        Ok(())
    }
}

/// Downloads of one project in one version.
struct Wanted {
    project: Project,
    /// In words.
    what: String,
    /// Where in the cache they are kept.
    folder: PathBuf,
    releases: Vec<Release>,
}

/// A mirror's files are kept apart from upstream's.
fn download_folder(settings: &Settings, module: &Module, project: Project) -> PathBuf {
    let Site { url, .. } = settings.site(project);
    let (version, platform) = (module.versions.of(project), &settings.platform);
    let parts = [url.as_str(), version, platform.os, platform.arch].map(str::as_bytes);
    settings.cache.join(format!("download-{}", cache::key(&parts)))
}

fn todo(settings: &Settings, project: Project) -> Todo {
    // Upstream publishes the servers for Linux only.
    match (settings.site(project).named, settings.platform.os) {
        (true, _) => Todo::Download,
        (false, "linux") => Todo::DownloadOrBuild,
        (false, _) => Todo::Build,
    }
}

/// `KUBEBUILDER_ASSETS` often holds only the two servers and kubectl; the rest comes from elsewhere.
fn check_folder(settings: &Settings) -> Result<(), AssetsError> {
    let Some(folder) = &settings.folder else { return Ok(()) };
    let missing =
        [Tool::Etcd, Tool::Apiserver].into_iter().find(|tool| !is_program(&folder.join(tool.file())));
    missing.map_or(Ok(()), |tool| Err(AssetsError::Folder { path: folder.clone(), missing: tool.file() }))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

fn place(source: Source, path: &Path) -> String {
    let from = match source {
        Source::Folder => "KUBEBUILDER_ASSETS",
        Source::Downloaded => "cache (download)",
        Source::Built => "cache (build)",
    };
    let folder = path.parent().unwrap_or(path);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let short = home.and_then(|home| Some(Path::new("~").join(folder.strip_prefix(home).ok()?)));
    format!("{from}: {}", short.as_deref().unwrap_or(folder).display())
}
