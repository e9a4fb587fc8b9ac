//! From the text of a document to a tree of values, each with its place in the file.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, Location, SnippetMode, Spanned, UserMessageFormatter};

use crate::view::manifest::split::{Piece, lines};
use crate::view::manifest::told;

/// The most values of a document, aliases followed.
const VALUES: usize = 250_000;

/// How deep lists and maps may be in each other: few enough for the stack of any thread, also in a debug build.
const DEEP: usize = 32;

/// How far before a scalar its tag is looked for, in characters.
const NEAR: usize = 128;

/// A place in the file; both from 1, or both 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) shape: Shape,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Leaf(Value, Style),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// How a text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is: what it looks like says of which type it is.
    Plain,
    /// In quotes or as a block: it is a text.
    Quoted,
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Why a document cannot be read, and where in the file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) text: String,
}

/// As it was written, in its order, without nulls.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.shape {
            Shape::Leaf(value, _) => value.serialize(serializer),
            Shape::List(items) => items.serialize(serializer),
            Shape::Map(fields) => {
                let there = |(_, node): &&(Key, Self)| !matches!(node.shape, Shape::Leaf(Value::Null, _));
                serializer.collect_map(fields.iter().filter(there).map(|(key, node)| (&key.text, node)))
            }
        }
    }
}

impl Node {
    pub(super) fn at(&self, wanted: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Map(fields) => fields.iter().find(|(key, _)| key.text == wanted).map(|(_, node)| node),
            Shape::Leaf(..) | Shape::List(_) => None,
        }
    }

    pub(super) fn text_at(&self, wanted: &str) -> Option<&str> {
        match &self.at(wanted)?.shape {
            Shape::Leaf(Value::String(text), _) => Some(text),
            Shape::Leaf(..) | Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// How much it takes: a value is 1, and so are 64 bytes of text.
    pub(super) fn size(&self) -> usize {
        let text = |text: &str| text.len() / 64;
        1 + match &self.shape {
            Shape::Leaf(value, _) => value.as_str().map_or(0, text),
            Shape::List(items) => items.iter().map(Self::size).sum(),
            Shape::Map(fields) => fields.iter().map(|(key, node)| text(&key.text) + node.size()).sum(),
        }
    }

    /// The value without places and nulls.
    pub(super) fn value(&self) -> Value {
        match &self.shape {
            Shape::Leaf(value, _) => value.clone(),
            Shape::List(items) => items.iter().map(Self::value).collect(),
            Shape::Map(fields) => {
                let fields = fields.iter().map(|(key, node)| (key.text.clone(), node.value()));
                Value::Object(fields.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads the text of a document. More than one root only where the parser sees a marker that is none by its line.
pub(super) fn read(piece: &Piece<'_>) -> Result<Vec<Node>, Wrong> {
    let trees: Vec<Spanned<Tree>> = serde_saphyr::from_multiple_with_options(piece.text, options())
        .map_err(|error| wrong(piece, &error))?;
    Ok(trees.into_iter().map(|tree| node(piece, tree)).collect())
}

/// The value that a plain scalar of this text has.
pub(super) fn plain(text: &str) -> Value {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '~' | '_');
    // Nothing of more than one line, sign of structure or comment gets to the parser.
    if text.is_empty() {
        return Value::Null;
    }
    if text.len() > 64 || !text.chars().all(word) || text.starts_with("--") || text == "-" {
        return text.into();
    }
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(Tree::Leaf(value)) => value,
        Ok(Tree::List(_) | Tree::Map(_)) | Err(_) => text.into(),
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEEP, max_nodes: VALUES },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: VALUES },
        with_snippet: false,
    }
}

fn node(piece: &Piece<'_>, tree: Spanned<Tree>) -> Node {
    let place = place(piece, tree.referenced);
    let shape = match tree.value {
        Tree::Leaf(value) => {
            // It matters to texts alone in which something could be put.
            let matters = value.as_str().is_some_and(|text| text.contains('$'));
            let style = if matters { style(piece.text, tree.defined) } else { Style::Quoted };
            Shape::Leaf(value, style)
        }
        Tree::List(items) => Shape::List(items.into_iter().map(|item| node(piece, item)).collect()),
        Tree::Map(fields) => Shape::Map(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let at = self::place(piece, key.referenced);
                    (Key { place: at, text: key.value }, node(piece, value))
                })
                .collect(),
        ),
    };
    Node { place, shape }
}

fn place(piece: &Piece<'_>, at: Location) -> Place {
    if at == Location::UNKNOWN {
        return Place::default();
    }
    Place { line: piece.line - 1 + at.line(), column: at.column() }
}

/// How a scalar was written, by the source at its place.
fn style(source: &str, at: Location) -> Style {
    let offset = at.span().byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let Some((before, mut rest)) = offset.and_then(|offset| source.split_at_checked(offset)) else {
        return Style::Quoted;
    };
    // An anchor or a tag may stand before it, not far; a tag says of which type it is.
    let before = before.char_indices().rev().take(NEAR).last().map_or(before, |(at, _)| &before[at..]);
    let properties = || before.split_whitespace().rev().take_while(|word| word.starts_with(['&', '!']));
    let mut tagged = properties().any(|word| word.starts_with('!'));
    while rest.starts_with(['&', '!']) {
        tagged |= rest.starts_with('!');
        rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
    }
    if tagged || rest.starts_with(['"', '\'', '|', '>']) { Style::Quoted } else { Style::Plain }
}

/// What is wrong, with its place in the file.
fn wrong(piece: &Piece<'_>, error: &Error) -> Wrong {
    let error = error.without_snippet();
    let at = error.location().filter(|at| *at != Location::UNKNOWN);
    let (mut line, mut column) = at.map_or((1, 1), |at| (at.line(), at.column()));
    let tab = tab_near(piece.text, line);
    let mut cause = error;
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let text = match cause {
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("the key {} is there already; each key of a map is written once", told(key)),
            None => "this key is there already; each key of a map is written once".into(),
        },
        Error::Budget { .. } => {
            format!(
                "it is too large or too deep: a document has at most {VALUES} values, {DEEP} deep, aliases followed"
            )
        }
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            format!("its aliases make it too large: a document has at most {VALUES} values, aliases followed")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands within its own anchor".into(),
        Error::Eof { .. } => "it ends too early".into(),
        _ if tab.is_some() => {
            (line, column) = tab.unwrap_or((line, column));
            "a tab indents this line; YAML takes spaces alone there".into()
        }
        _ => {
            let text = cause.render_with_options(serde_saphyr::render_options! {
                formatter: &UserMessageFormatter,
                snippets: SnippetMode::Off,
            });
            // The place is told before the text, and is that of the file.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            if text.contains("recursion limit") {
                "lists and maps are too deep in each other".into()
            } else if text.contains("did not find expected <document start>") {
                "something follows the end of the document; another document begins with ---".into()
            } else {
                told(text)
            }
        }
    };
    Wrong { line: piece.line - 1 + line.max(1), column: column.max(1), text }
}

/// The tab that indents this line, or the next one: a scalar seems to end where a tab begins the line after it.
fn tab_near(source: &str, line: u64) -> Option<(u64, u64)> {
    let before = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    let near = lines(source).skip(before).take(2).zip(line..);
    near.map(|(text, line)| (text, text.trim_start_matches(' '), line))
        .find(|(_, inner, _)| inner.starts_with('\t'))
        .map(|(text, inner, line)| (line, (text.len() - inner.len()) as u64 + 1))
}

/// What the parser gives; [`Node`] is the same with places in the file.
enum Tree {
    Leaf(Value),
    List(Vec<Spanned<Tree>>),
    Map(Vec<(Spanned<String>, Spanned<Tree>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    // A number that JSON has not stays what was written: a text, which no number field takes.
    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string().into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        let number = Number::from_f64(value);
        Ok(Tree::Leaf(number.map_or_else(|| value.to_string().into(), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Tree::Map(map))
    }
}
