//! "Did you mean …?": which of the words that there are was perhaps meant by one that there is not. One measure for all that
//! people type: names, flags' values, verbs, fields of manifests, environment variables.

/// How many letters may be wrong: a third of what was typed, and no more than so many.
const WRONG: usize = 3;

/// From how many letters on the beginning of a word is taken for the word.
const BEGINNING: usize = 3;

/// The longest text that is compared, in bytes: nobody means a word by a page, and comparing costs the product of both lengths.
const LONGEST: usize = 320;

/// The word that was perhaps meant; of those that are equally near the first by its letters.
pub fn nearest(typed: &str, there: &[impl AsRef<str>]) -> Option<String> {
    all_nearest(typed, there).first().map(|word| (*word).to_owned())
}

/// The words that were perhaps meant: those that are equally near, in the order of their letters.
pub fn all_nearest<'a>(typed: &str, there: &'a [impl AsRef<str>]) -> Vec<&'a str> {
    let near = by_nearness(typed, there).into_iter().filter(|(wrong, word)| is_near(typed, word, *wrong));
    let near: Vec<(usize, &str)> = near.collect();
    let least = near.first().map_or(0, |(wrong, _)| *wrong);
    near.into_iter().take_while(|(wrong, _)| *wrong == least).map(|(_, word)| word).collect()
}

/// All of these words, the nearest first, each with how many letters are wrong if it was meant.
pub fn by_nearness<'a>(typed: &str, there: &'a [impl AsRef<str>]) -> Vec<(usize, &'a str)> {
    let words = there.iter().map(AsRef::as_ref);
    let mut all: Vec<(usize, &str)> = words.map(|word| (wrong(typed, word), word)).collect();
    all.sort_unstable();
    all
}

/// How many letters are wrong, left out, too many or in each other's place; capitals do not count. Who stopped in the middle of
/// a word made one mistake.
fn wrong(typed: &str, word: &str) -> usize {
    if typed.len() > LONGEST || word.len() > LONGEST {
        return usize::MAX;
    }
    let (typed, word) = (typed.to_lowercase(), word.to_lowercase());
    let wrong = strsim::osa_distance(&typed, &word);
    if typed.chars().count() >= BEGINNING && word.starts_with(&typed) { wrong.min(1) } else { wrong }
}

/// Whether so few letters are wrong that the word was perhaps meant. A word of which half is wrong is another one.
fn is_near(typed: &str, word: &str, wrong: usize) -> bool {
    let (typed, word) = (typed.chars().count(), word.chars().count());
    wrong <= (typed / 3).min(WRONG) && 2 * wrong < word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found_and_what_was_not_is_not() {
        for (typed, word, near) in [
            // A letter wrong, left out, too many, in another's place.
            ("actove", "active", true),
            ("actve", "active", true),
            ("activve", "active", true),
            ("gte", "get", true),
            ("jsn", "json", true),
            // Capitals.
            ("noexecute", "NoExecute", true),
            ("NODEPOOL", "nodePool", true),
            // The beginning of a word.
            ("query", "query-default", true),
            ("que", "query-default", true),
            ("qu", "query-default", false),
            ("default", "query-default", false),
            // A third of the letters, and no more than three.
            ("porpoise", "purpose", true),
            ("query-a-b-c", "query-d-e-f", true),
            ("query-a-b-c-d", "query-e-f-g-h", false),
            ("log", "pod", false),
            ("x", "y", false),
            ("a", "ab", false),
            ("v2", "v1", false),
            ("ab", "AB", true),
            ("abc", "ab", false),
            ("", "a", false),
            ("a", "", false),
            ("é", "ü", false),
            ("grüm", "grün", true),
        ] {
            assert_eq!(nearest(typed, &[word]).is_some(), near, "{typed} {word}");
        }
        assert_eq!(nearest("a", &[] as &[&str]), None);
        assert_eq!(nearest(&"NoSchedule".repeat(100), &["NoSchedule"]), None);
    }

    #[test]
    fn the_nearest_comes_first_and_equals_by_their_letters() {
        let there = ["built", "building", "bolt"];
        assert_eq!(nearest("bilt", &there).as_deref(), Some("bolt"));
        assert_eq!(all_nearest("bilt", &there), ["bolt", "built"]);
        assert_eq!(all_nearest("zzz", &there), [""; 0]);
        let order: Vec<&str> = by_nearness("build", &there).into_iter().map(|(_, word)| word).collect();
        assert_eq!(order, ["building", "built", "bolt"]);
    }
}
