//! The steps of a path: from kubectl's dialect to RFC 9535. Keys become quoted, all else is nearly the same.

use super::{JsonPathError, Source};

/// How deep parentheses may stand in a filter.
const DEEPEST: usize = 16;

impl Source<'_> {
    /// Writes steps in words of the RFC, up to what cannot be one.
    pub(super) fn steps(&mut self, query: &mut String, in_filter: bool) -> Result<(), JsonPathError> {
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
                        Some('[') if deep => query.push_str(".."),
                        // `.[0]`
                        Some('[') => {}
                        _ => {
                            query.push_str(if deep { ".." } else { "" });
                            self.key(query, in_filter, first && !deep)?;
                        }
                    }
                }
                Some('[') => self.brackets(query, in_filter)?,
                Some(sign) if first && !in_filter && !is_end(sign, in_filter) => {
                    self.key(query, in_filter, false)?;
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
    fn key(&mut self, query: &mut String, in_filter: bool, may_be_empty: bool) -> Result<(), JsonPathError> {
        let column = self.column();
        if self.takes('*') {
            query.push_str("[*]");
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
            bracketed(query, &key);
        } else if !may_be_empty {
            return Err(self.error("a name is expected"));
        }
        Ok(())
    }

    /// `[0]`, `[-1]`, `[0:2]`, `[*]`, `['key', "key"]`, `[?(…)]`.
    fn brackets(&mut self, query: &mut String, in_filter: bool) -> Result<(), JsonPathError> {
        self.take();
        self.blanks();
        let column = self.column();
        if self.takes('?') {
            query.push_str("[?");
            self.blanks();
            if self.peek() != Some('(') {
                return Err(self.error("a ( is expected: a filter reads [?(@.key==\"value\")]"));
            }
            self.filter(query)?;
        } else {
            query.push('[');
            loop {
                self.blanks();
                match self.peek() {
                    Some('"' | '\'') => {
                        let key = self.quoted()?;
                        query.push_str(&json(&key));
                    }
                    Some('*') => {
                        query.extend(self.take());
                        self.leads_to_several(column, "*", in_filter);
                    }
                    Some('0'..='9' | '-' | ':') => {
                        while let Some((_, sign)) =
                            self.rest.next_if(|(_, sign)| matches!(sign, '0'..='9' | '-' | ':'))
                        {
                            query.push(sign);
                            if sign == ':' {
                                self.leads_to_several(column, "a slice", in_filter);
                            }
                        }
                    }
                    Some(sign) => {
                        return Err(self.error(&format!("{sign:?} is no index, key or filter")));
                    }
                    None => return Err(self.error("a [ has no ]")),
                }
                self.blanks();
                if !self.takes(',') {
                    break;
                }
                query.push(',');
                self.leads_to_several(column, "a list of keys", in_filter);
            }
        }
        self.blanks();
        if !self.takes(']') {
            return Err(self.error("a ] is expected"));
        }
        query.push(']');
        Ok(())
    }

    /// A filter, parentheses and all: its paths in words of the RFC, the rest as it is.
    fn filter(&mut self, query: &mut String) -> Result<(), JsonPathError> {
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
                    query.push(root);
                    self.steps(query, true)?;
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
                        return Ok(());
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

fn bracketed(query: &mut String, key: &str) {
    query.push('[');
    query.push_str(&json(key));
    query.push(']');
}

/// A text in quotes, as JSON and the RFC have it.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
