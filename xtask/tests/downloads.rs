//! Release downloads against a mirror on the loopback address.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use xtask::assets::{Assets, Plan, Platform, Project, Settings, Site, Tool, Versions, chain};
use xtask::report::Collected;

const LINUX: Platform = Platform { os: "linux", arch: "amd64" };

/// Files by path, served by HTTP until the test ends.
fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files = Arc::new(files);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let files = Arc::clone(&files);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let (status, body) =
                    files.get(&path).map_or(("404 Not Found", &b""[..]), |body| ("200 OK", body));
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let mut stream = stream;
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap();
            });
        }
    });
    format!("http://{address}")
}

fn sum(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn etcd_archive(version: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for name in ["README.md", "etcd", "etcdctl"] {
        let content = format!("the file {name}");
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append_data(&mut header, format!("etcd-{version}-linux-amd64/{name}"), content.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// What is wanted where nothing more is asked for.
fn control_plane() -> Vec<Tool> {
    Tool::ALL.into_iter().filter(|tool| !tool.is_optional()).collect()
}

/// Everything that upstream publishes, with small contents.
fn mirror() -> BTreeMap<String, Vec<u8>> {
    let versions = Versions::read(&xtask::workspace::controlplane_module()).unwrap();
    let [kubernetes, etcd, kwok] =
        [Project::Kubernetes, Project::Etcd, Project::Kwok].map(|project| versions.of(project).to_owned());
    let mut files = BTreeMap::new();
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"] {
        let path = format!("/k8s/{kubernetes}/bin/linux/amd64/{name}");
        let content = format!("the file {name}").into_bytes();
        files.insert(format!("{path}.sha256"), sum(&content).into_bytes());
        files.insert(path, content);
    }
    let (archive, name) = (etcd_archive(&etcd), format!("etcd-{etcd}-linux-amd64.tar.gz"));
    let sums = format!("{}  other.zip\n{}  {name}\n", sum(b"other"), sum(&archive));
    files.insert(format!("/etcd/{etcd}/SHA256SUMS"), sums.into_bytes());
    files.insert(format!("/etcd/{etcd}/{name}"), archive);
    let (path, content) = (format!("/kwok/{kwok}/kwok-linux-amd64"), b"the file kwok".to_vec());
    files.insert(format!("{path}.sha256"), format!("{}  kwok-linux-amd64\n", sum(&content)).into_bytes());
    files.insert(path, content);
    files
}

/// A machine with an empty cache and no Go, so that nothing is built in these tests.
fn machine(name: &str, url: &str, named: bool) -> Settings {
    let cache =
        xtask::workspace::target().join("tmp").join(format!("downloads-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&cache);
    let site = |project, path: &str| (project, Site { url: format!("{url}/{path}"), named });
    Settings {
        folder: None,
        cache,
        module: xtask::workspace::controlplane_module(),
        kubernetes: None,
        node: false,
        helm: false,
        works: Vec::new(),
        go: PathBuf::from("no-such-go"),
        sites: [site(Project::Kubernetes, "k8s"), site(Project::Etcd, "etcd"), site(Project::Kwok, "kwok")]
            .into(),
        platform: LINUX,
    }
}

/// Programs of the user's own.
fn put(folder: &Path, tools: &[Tool]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).unwrap();
    for tool in tools {
        let file = folder.join(tool.file());
        std::fs::write(&file, "mine").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn no_file_in(folder: &Path, wrong: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).all(|path| {
        if path.is_dir() {
            no_file_in(&path, wrong)
        } else {
            path.file_name().is_none_or(|name| name != wrong)
        }
    })
}

#[test]
fn good_checksums_are_taken_once_and_then_found() {
    let settings = machine("good", &serve(mirror()), true);
    let mut report = Collected::default();
    let assets = Assets::find(&settings, &mut report).unwrap();
    for tool in control_plane() {
        assert_eq!(std::fs::read_to_string(assets.path(tool)).unwrap(), format!("the file {}", tool.file()));
        assert!(
            report.lines.iter().any(|line| line.starts_with(&format!("Took {} ", tool.file()))),
            "{report:?}"
        );
    }
    assert!(report.lines[0].starts_with("NEEDED"), "{report:?}");

    let plan = Plan::make(&settings).unwrap();
    assert!(
        plan.is_complete() && plan.table().text().contains("cache (download)"),
        "{}",
        plan.table().text()
    );
    std::fs::remove_dir_all(&settings.cache).unwrap();
}

#[test]
fn wrong_checksum_is_refused_with_both_sums() {
    let mut files = mirror();
    let path = files.keys().find(|path| path.ends_with("/kube-scheduler")).unwrap().clone();
    files.insert(path.clone(), b"not the published bytes".to_vec());
    let settings = machine("wrong", &serve(files.clone()), true);
    let error = chain(&Assets::find(&settings, &mut Collected::default()).unwrap_err());
    let published = String::from_utf8(files[&format!("{path}.sha256")].clone()).unwrap();
    for part in [&path, &published, &sum(b"not the published bytes"), "POROS_KUBERNETES_URL"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
    assert!(no_file_in(&settings.cache, "kube-scheduler"));
    std::fs::remove_dir_all(&settings.cache).unwrap();
}

#[test]
fn file_without_checksum_is_not_taken() {
    let mut files = mirror();
    files.retain(|path, _| !path.ends_with("kwok-linux-amd64.sha256"));
    let settings = machine("unsigned", &serve(files), true);
    let error = chain(&Assets::find(&settings, &mut Collected::default()).unwrap_err());
    assert!(error.starts_with("KWOK was to come from the place that POROS_KWOK_URL names"), "{error}");
    assert!(error.contains("kwok-linux-amd64.sha256") && error.contains("404"), "{error}");
    assert!(no_file_in(&settings.cache, "kwok"));
    std::fs::remove_dir_all(&settings.cache).unwrap();
}

#[test]
fn upstream_that_fails_is_passed_over_and_without_go_the_remedy_is_one_line() {
    let mut files = mirror();
    // Not named by a person, so a wrong checksum is told, and then something else is tried.
    for (path, content) in &mut files {
        if path.ends_with("/kubectl") {
            content.push(0);
        }
    }
    files.retain(|path, _| !path.contains("/kwok/"));
    let settings = machine("upstream", &serve(files), false);
    let mut report = Collected::default();
    let error = chain(&Assets::find(&settings, &mut report).unwrap_err());
    assert!(error.starts_with("missing: kubectl, kwok; "), "{error}");
    assert!(
        error.contains("install Go") && error.contains("KUBEBUILDER_ASSETS") && !error.contains('\n'),
        "{error}"
    );
    let told = |text: &str| report.lines.iter().any(|line| line.contains(text));
    assert!(told("Kubernetes will be built instead: wrong checksum, file not used"), "{report:?}");
    assert!(told("No release download for KWOK."), "{report:?}");
    std::fs::remove_dir_all(&settings.cache).unwrap();
}

#[test]
fn place_that_does_not_answer_costs_little() {
    // The port is free, so the connection is refused.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = machine("closed", &format!("http://{closed}"), false);
    let begin = std::time::Instant::now();
    let mut report = Collected::default();
    Assets::find(&settings, &mut report).unwrap_err();
    assert!(begin.elapsed().as_secs() < 6);
    assert_eq!(report.lines.last().unwrap(), "No release download for Kubernetes, etcd, KWOK.");
    let _ = std::fs::remove_dir_all(&settings.cache);
}

#[test]
fn folder_of_the_user_comes_first_and_must_serve() {
    let mut settings = machine("folder", &serve(mirror()), true);
    let folder = settings.cache.join("mine");
    put(&folder, &[]);
    settings.folder = Some(folder.clone());
    let error = chain(&Plan::make(&settings).unwrap_err());
    assert!(error.contains("there is no etcd in it"), "{error}");

    put(&folder, &[Tool::Etcd, Tool::Apiserver, Tool::Kubectl]);
    let assets = Assets::find(&settings, &mut Collected::default()).unwrap();
    assert_eq!(assets.path(Tool::Etcd), folder.join("etcd"));
    assert_eq!(std::fs::read_to_string(assets.path(Tool::Kwok)).unwrap(), "the file kwok");
    std::fs::remove_dir_all(&settings.cache).unwrap();
}

#[test]
fn another_kubernetes_is_downloaded_only_when_asked_for_and_never_out_of_the_users_folder() {
    let mut files = mirror();
    let other = Versions::read(&xtask::workspace::controlplane_module().join("v1.30")).unwrap();
    let version = other.of(Project::Kubernetes);
    for tool in &other.tools {
        let path = format!("/k8s/{version}/bin/linux/amd64/{}", tool.file());
        let content = format!("the older {}", tool.file()).into_bytes();
        files.insert(format!("{path}.sha256"), sum(&content).into_bytes());
        files.insert(path, content);
    }
    let mut settings = machine("other", &serve(files), true);
    let folder = settings.cache.join("mine");
    put(&folder, &control_plane());
    settings.folder = Some(folder);
    let main = Assets::find(&settings, &mut Collected::default()).unwrap();
    assert!(control_plane().iter().all(|tool| std::fs::read_to_string(main.path(*tool)).unwrap() == "mine"));

    settings.kubernetes = Some("1.30".to_owned());
    let mut report = Collected::default();
    let assets = Assets::find(&settings, &mut report).unwrap();
    assert_eq!(assets.kubernetes(), version);
    assert!(report.lines[0].contains(&format!("kube-apiserver {version}")), "{report:?}");
    for tool in control_plane() {
        let older = other.tools.contains(&tool);
        let wanted = if older { format!("the older {}", tool.file()) } else { "mine".to_owned() };
        assert_eq!(std::fs::read_to_string(assets.path(tool)).unwrap(), wanted);
    }
    std::fs::remove_dir_all(&settings.cache).unwrap();
}
