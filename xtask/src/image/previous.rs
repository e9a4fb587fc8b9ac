//! Which version is the one before: what an upgrade begins with.

/// A tag of a commit from which this checkout comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Whether it is of the very commit that is checked out.
    pub is_here: bool,
}

/// The newest version with a tag like `v1.2.3`, but for what is checked out. Versions that `has_chart` denies cannot be
/// installed, and are passed over.
pub fn newest(tags: &[Tag], has_chart: impl Fn(&str) -> bool) -> Option<&Tag> {
    let before = tags.iter().filter(|tag| !tag.is_here);
    let mut versions: Vec<_> = before.filter_map(|tag| Some((version(&tag.name)?, tag))).collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, tag)| tag).find(|tag| has_chart(&tag.name))
}

/// The numbers of a release; none for anything else, such as a candidate of one.
fn version(tag: &str) -> Option<[u64; 3]> {
    let numbers: Result<Vec<u64>, _> = tag.strip_prefix('v')?.split('.').map(str::parse).collect();
    numbers.ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str], here: &[&str]) -> Vec<Tag> {
        let all = names.iter().chain(here).zip(0..);
        all.map(|(name, place)| Tag { name: (*name).to_owned(), is_here: place >= names.len() }).collect()
    }

    #[test]
    fn the_version_before_is_the_newest_release_with_a_chart_that_is_not_this_one() {
        let newest = |names: &[&str], here: &[&str], charts: &[&str]| {
            super::newest(&tags(names, here), |tag| charts.contains(&tag)).map(|tag| tag.name.clone())
        };
        let two = ["v0.2.0", "v0.10.0"];
        assert_eq!(newest(&two, &[], &two).as_deref(), Some("v0.10.0"), "by number, not by letter");
        assert_eq!(newest(&two, &["v0.11.0"], &["v0.10.0", "v0.11.0"]).as_deref(), Some("v0.10.0"));
        assert_eq!(newest(&["v0.1.0"], &["v0.2.0", "here"], &["v0.2.0"]), None, "it cannot be installed");
        let others = ["v0.3.0-rc1", "v0.3", "0.3.0", "v0.3.0.1", "version", "v", "v-1.0.0", "v0.x.0"];
        assert_eq!(newest(&others, &[], &others), None);
        assert_eq!(newest(&["v0.2.0", "v0.3.0-rc1"], &[], &["v0.2.0"]).as_deref(), Some("v0.2.0"));
        assert_eq!(newest(&[], &[], &[]), None);
    }
}
