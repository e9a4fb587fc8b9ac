//! How each project lays out its release downloads and writes down their checksums.

use super::{Platform, Project, Tool};

/// One download: a file, and the file that says its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    /// The binary it brings.
    pub(crate) tool: Tool,
    /// Where it is.
    pub(crate) url: String,
    /// Where its checksum is.
    pub(crate) checksum_url: String,
    /// How the checksum file calls it, where one file serves many downloads.
    pub(crate) name: String,
    /// Whether the binary is inside a gzipped tar file.
    pub(crate) packed: bool,
}

/// The downloads that bring these binaries of one project.
pub(crate) fn releases(
    project: Project,
    tools: &[Tool],
    base: &str,
    version: &str,
    platform: &Platform,
) -> Vec<Release> {
    let Platform { os, arch } = platform;
    let number = version.trim_start_matches('v');
    let one = |&tool: &Tool| match project {
        Project::Kubernetes => {
            let name = tool.file().to_owned();
            let url = format!("{base}/{version}/bin/{os}/{arch}/{name}");
            Release { tool, checksum_url: format!("{url}.sha256"), url, name, packed: false }
        }
        Project::Etcd => {
            let name = format!("etcd-{version}-{os}-{arch}.tar.gz");
            let url = format!("{base}/{version}/{name}");
            Release { tool, checksum_url: format!("{base}/{version}/SHA256SUMS"), url, name, packed: true }
        }
        // KWOK may publish no checksum. A file without one is never taken, so then it is built.
        Project::Kwok => {
            let name = format!("kwok-{os}-{arch}");
            let url = format!("{base}/{version}/{name}");
            Release { tool, checksum_url: format!("{url}.sha256"), url, name, packed: false }
        }
        // One file for three binaries: it is fetched three times, once in the life of a cache.
        Project::Containerd => {
            let name = format!("containerd-static-{number}-{os}-{arch}.tar.gz");
            let url = format!("{base}/{version}/{name}");
            Release { tool, checksum_url: format!("{url}.sha256sum"), url, name, packed: true }
        }
        // All versions lie in one folder.
        Project::Helm => {
            let name = format!("helm-{version}-{os}-{arch}.tar.gz");
            let url = format!("{base}/{name}");
            Release { tool, checksum_url: format!("{url}.sha256sum"), url, name, packed: true }
        }
        Project::Coredns => {
            let name = format!("coredns_{number}_{os}_{arch}.tgz");
            let url = format!("{base}/{version}/{name}");
            Release { tool, checksum_url: format!("{url}.sha256"), url, name, packed: true }
        }
    };
    tools.iter().filter(|tool| tool.project() == project).map(one).collect()
}

/// The checksum of `name` in a checksum file: a bare digest, or lines of digest and name.
pub(crate) fn checksum(text: &str, name: &str) -> Option<String> {
    let digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let sum = words.next().filter(|word| digest(word))?;
        // `sha256sum` marks a file read as binary with a star.
        let named = words.next().map(|file| file.trim_start_matches('*'));
        named
            .is_none_or(|file| file == name || file.ends_with(&format!("/{name}")))
            .then(|| sum.to_lowercase())
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "9fd0be1e2a4c44a48c49e67e96d536489fd0be1e2a4c44a48c49e67e96d53648";

    #[test]
    fn checksum_is_found_in_every_published_form() {
        let other = "0".repeat(64);
        let cases = [
            (SUM.to_owned(), Some(SUM)),
            (format!("{SUM}\n"), Some(SUM)),
            (format!("{}  etcd.tar.gz", SUM.to_uppercase()), Some(SUM)),
            (format!("{other}  other.tar.gz\n{SUM} *etcd.tar.gz\n"), Some(SUM)),
            (format!("{SUM}  ./dist/etcd.tar.gz"), Some(SUM)),
            (format!("{other}  notetcd.tar.gz"), None),
            ("<html>404</html>".to_owned(), None),
            (SUM[1..].to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(checksum(&text, "etcd.tar.gz").as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses_follow_upstream() {
        let linux = Platform { os: "linux", arch: "amd64" };
        let url = |project, tool| releases(project, &[tool], "b", "v1", &linux)[0].url.clone();
        assert_eq!(url(Project::Kubernetes, Tool::Kubectl), "b/v1/bin/linux/amd64/kubectl");
        assert_eq!(url(Project::Etcd, Tool::Etcd), "b/v1/etcd-v1-linux-amd64.tar.gz");
        assert_eq!(url(Project::Kwok, Tool::Kwok), "b/v1/kwok-linux-amd64");
        assert_eq!(url(Project::Containerd, Tool::Ctr), "b/v1/containerd-static-1-linux-amd64.tar.gz");
        assert_eq!(url(Project::Coredns, Tool::Coredns), "b/v1/coredns_1_linux_amd64.tgz");
        assert_eq!(url(Project::Helm, Tool::Helm), "b/helm-v1-linux-amd64.tar.gz");
    }
}
