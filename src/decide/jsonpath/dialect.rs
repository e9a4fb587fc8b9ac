//! The steps of a path: from kubectl's dialect to RFC 9535. Keys become quoted, all else is nearly the same.

use super::{JsonPathError, Source};

/// How deep parentheses may stand in a filter.
const DEEPEST: usize = 16;

/// The most paths that lists of keys make of one.
const MOST: usize = 64;

/// Paths in words of the RFC: one, and more where there are lists of keys. Kubectl follows a list key by key, each from all
/// that was found so far, and a key of a list may be a path; the RFC has neither.
pub(super) struct Queries(pub(super) Vec<String>);

impl Queries {
    /// Goes on with the same in all of them.
    fn push(&mut self, text: &str) {
        self.0.iter_mut().for_each(|query| query.push_str(text));
    }

    /// Goes on with each of these.
    fn branch(&mut self, ways: &[String]) {
        let on = |way: &String| self.0.iter().map(move |query| format!("{query}{way}")).collect::<Vec<_>>();
        self.0 = ways.iter().flat_map(on).collect();
    }
}

impl Source<'_> {
    /// Writes steps in words of the RFC, up to what cannot be one.
    pub(super) fn steps(&mut self, queries: &mut Queries, in_filter: bool) -> Result<(), JsonPathError> {
        let mut first = true;
        loop {
            match self.peek() {
                Some('.') => {
                    let column = self.column();
                    self.take();
                    let deep = self.takes('.');
                    if deep {
                        self.leads_to_several(column, "..", in_filter);
                    }
                    match self.peek() {
                        Some('[') if deep => queries.push(".."),
                        // `.[0]`
                        Some('[') => {}
                        _ => {
                            queries.push(if deep { ".." } else { "" });
                            self.key(queries, in_filter, first && !deep)?;
                        }
                    }
                }
                Some('[') => self.brackets(queries, in_filter)?,
                Some(sign) if first && !in_filter && !is_end(sign, in_filter) => {
                    self.key(queries, in_filter, false)?;
                }
                Some(sign) if is_end(sign, in_filter) => return Ok(()),
                None => return Ok(()),
                Some(sign) => return Err(self.error(&format!("{sign:?} is not part of a path"))),
            }
            first = false;
        }
    }

    /// Notes a step that does; what a filter looks at matters to nobody but the filter.
    fn leads_to_several(&mut self, column: usize, step: &'static str, in_filter: bool) {
        if !in_filter {
            self.several.get_or_insert((column, step));
        }
    }

    /// A key, or `*`. Alone, a dot is the whole.
    fn key(
        &mut self,
        queries: &mut Queries,
        in_filter: bool,
        may_be_empty: bool,
    ) -> Result<(), JsonPathError> {
        let column = self.column();
        if self.takes('*') {
            queries.push("[*]");
            self.leads_to_several(column, "*", in_filter);
            return Ok(());
        }
        let mut key = String::new();
        while let Some(sign) = self.peek() {
            if sign == '.' || sign == '[' || sign == ']' || is_end(sign, in_filter) {
                break;
            }
            self.take();
            if sign == '\\' {
                key.extend(self.take());
            } else {
                key.push(sign);
            }
        }
        if !key.is_empty() {
            queries.push(&bracketed(&key));
        } else if !may_be_empty {
            return Err(self.error("a name is expected"));
        }
        Ok(())
    }

    /// `[0]`, `[-1]`, `[0:2]`, `[*]`, `['key', "key"]`, `[?(…)]`.
    fn brackets(&mut self, queries: &mut Queries, in_filter: bool) -> Result<(), JsonPathError> {
        self.take();
        self.blanks();
        let column = self.column();
        let mut ways = Vec::new();
        if self.takes('?') {
            self.blanks();
            if self.peek() != Some('(') {
                return Err(self.error("a ( is expected: a filter reads [?(@.key==\"value\")]"));
            }
            ways.push(format!("[?{}]", self.filter()?));
        } else {
            loop {
                self.blanks();
                ways.push(self.way(column, in_filter)?);
                self.blanks();
                if !self.takes(',') {
                    break;
                }
                if in_filter {
                    return Err(self.error("a list of keys cannot stand in a filter"));
                }
                if (ways.len() + 1) * queries.0.len() > MOST {
                    return Err(self.error(&format!("lists of keys make at most {MOST} paths of one")));
                }
                self.leads_to_several(column, "a list of keys", in_filter);
            }
        }
        self.blanks();
        if !self.takes(']') {
            return Err(self.error("a ] is expected"));
        }
        queries.branch(&ways);
        Ok(())
    }

    /// One of what brackets list.
    fn way(&mut self, column: usize, in_filter: bool) -> Result<String, JsonPathError> {
        match self.peek() {
            Some('"') => Ok(bracketed(&self.quoted()?)),
            Some('\'') => Ok(self.keys()?.iter().map(|key| bracketed(key)).collect()),
            Some('*') => {
                self.take();
                self.leads_to_several(column, "*", in_filter);
                Ok("[*]".into())
            }
            Some('0'..='9' | '-' | ':') => {
                let mut index = String::new();
                while let Some((_, sign)) =
                    self.rest.next_if(|(_, sign)| matches!(sign, '0'..='9' | '-' | ':'))
                {
                    index.push(sign);
                    if sign == ':' {
                        self.leads_to_several(column, "a slice", in_filter);
                    }
                }
                Ok(format!("[{index}]"))
            }
            Some(sign) => Err(self.error(&format!("{sign:?} is no index, key or filter"))),
            None => Err(self.error("a [ has no ]")),
        }
    }

    /// A key in single quotes, as kubectl reads it: a path, unless its dots are escaped.
    fn keys(&mut self) -> Result<Vec<String>, JsonPathError> {
        self.take();
        let (mut keys, mut key) = (Vec::new(), String::new());
        loop {
            match self.take() {
                None => return Err(self.error("a ' has no end")),
                Some('\'') => break,
                Some('.') if key.is_empty() => {}
                Some('.') => keys.push(std::mem::take(&mut key)),
                Some('\\') => key.extend(self.take()),
                Some(sign) => key.push(sign),
            }
        }
        if keys.is_empty() || !key.is_empty() {
            keys.push(key);
        }
        Ok(keys)
    }

    /// A filter, parentheses and all: its paths in words of the RFC, the rest as it is.
    fn filter(&mut self) -> Result<String, JsonPathError> {
        let mut query = String::new();
        let mut depth = 0;
        loop {
            match self.peek() {
                None | Some(']') => return Err(self.error("a ( has no )")),
                Some('"' | '\'') => {
                    let text = self.quoted()?;
                    query.push_str(&json(&text));
                }
                Some(root @ ('@' | '$')) => {
                    self.take();
                    let mut path = Queries(vec![root.into()]);
                    self.steps(&mut path, true)?;
                    query.push_str(&path.0.concat());
                }
                Some(sign) => {
                    self.take();
                    query.push(sign);
                    match sign {
                        '(' if depth == DEEPEST => {
                            return Err(self.error(&format!("parentheses are at most {DEEPEST} deep")));
                        }
                        '(' => depth += 1,
                        ')' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        return Ok(query);
                    }
                }
            }
        }
    }

    /// A quoted text, without its quotes. A sign after a backslash stands for itself, but for those of line and tab.
    pub(super) fn quoted(&mut self) -> Result<String, JsonPathError> {
        let Some(quote) = self.take() else { return Ok(String::new()) };
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(self.error(&format!("a {quote} has no end"))),
                Some(sign) if sign == quote => return Ok(text),
                Some('\\') => match self.take() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(sign) => text.push(sign),
                    None => {}
                },
                Some(sign) => text.push(sign),
            }
        }
    }
}

/// What ends a path.
fn is_end(sign: char, in_filter: bool) -> bool {
    sign == '}' || sign.is_whitespace() || (in_filter && "=!<>&|),(".contains(sign))
}

fn bracketed(key: &str) -> String {
    format!("[{}]", json(key))
}

/// A text in quotes, as JSON and the RFC have it.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
