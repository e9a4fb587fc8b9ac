//! Products of texts: `"x" * 100000000000` would take its memory at once, where nobody who watches the filter sees it before
//! the system ends the process. So each `*` of a filter is put in words that look at the length first.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

const PRODUCT: &str = "__product__";
const MULTIPLY: &str = "__multiply__";

/// What is called instead: of `l * r`, and of `l *= r`.
pub(super) const DEFINITIONS: &str = r#"
def __fits__($text; $times):
  ($text | type) != "string" or ($times | type) != "number" or ($text | length) * $times <= 16777216;
def __product__(f; g):
  f as $l | g as $r |
  if __fits__($l; $r) and __fits__($r; $l) then $l * $r
  else error("a text is repeated to more than 16 Mi characters") end;
def __multiply__(f; g): g as $r | f |= __product__(.; $r);
"#;

/// The same filter, its products looked at.
pub(super) fn bounded<'a>(term: Term<&'a str>) -> Term<&'a str> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => term,
        Term::Str(format, parts) => {
            let part = |part: StrPart<&'a str, Term<&'a str>>| match part {
                StrPart::Term(term) => StrPart::Term(bounded(term)),
                StrPart::Str(_) | StrPart::Char(_) => part,
            };
            Term::Str(format, parts.into_iter().map(part).collect())
        }
        Term::Arr(inner) => Term::Arr(inner.map(boxed)),
        Term::Obj(fields) => {
            let field = |(key, value): (_, Option<_>)| (bounded(key), value.map(bounded));
            Term::Obj(fields.into_iter().map(field).collect())
        }
        Term::Neg(inner) => Term::Neg(boxed(inner)),
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => called(PRODUCT, left, right),
        Term::BinOp(left, BinaryOp::UpdateMath(Math::Mul), right) => called(MULTIPLY, left, right),
        Term::BinOp(left, BinaryOp::Pipe(Some(names)), right) => {
            Term::BinOp(boxed(left), BinaryOp::Pipe(Some(pattern(names))), boxed(right))
        }
        Term::BinOp(left, operator, right) => Term::BinOp(boxed(left), operator, boxed(right)),
        Term::Label(name, inner) => Term::Label(name, boxed(inner)),
        Term::Fold(name, inner, names, arguments) => {
            Term::Fold(name, boxed(inner), pattern(names), all(arguments))
        }
        Term::TryCatch(inner, otherwise) => Term::TryCatch(boxed(inner), otherwise.map(boxed)),
        Term::IfThenElse(cases, otherwise) => {
            let case = |(condition, then)| (bounded(condition), bounded(then));
            Term::IfThenElse(cases.into_iter().map(case).collect(), otherwise.map(boxed))
        }
        Term::Def(definitions, inner) => {
            let definition = |Def { name, args, body }| Def { name, args, body: bounded(body) };
            Term::Def(definitions.into_iter().map(definition).collect(), boxed(inner))
        }
        Term::Call(name, arguments) => Term::Call(name, all(arguments)),
        Term::Path(inner, Path(parts)) => {
            let part = |part| match part {
                Part::Index(index) => Part::Index(bounded(index)),
                Part::Range(from, to) => Part::Range(from.map(bounded), to.map(bounded)),
            };
            Term::Path(boxed(inner), Path(parts.into_iter().map(|(at, opt)| (part(at), opt)).collect()))
        }
    }
}

#[allow(clippy::boxed_local)] // as the terms have it
fn boxed(term: Box<Term<&str>>) -> Box<Term<&str>> {
    Box::new(bounded(*term))
}

fn all(terms: Vec<Term<&str>>) -> Vec<Term<&str>> {
    terms.into_iter().map(bounded).collect()
}

fn called<'a>(name: &'static str, left: Box<Term<&'a str>>, right: Box<Term<&'a str>>) -> Term<&'a str> {
    Term::Call(name, vec![*boxed(left), *boxed(right)])
}

fn pattern(names: Pattern<&str>) -> Pattern<&str> {
    match names {
        Pattern::Var(_) => names,
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(pattern).collect()),
        Pattern::Obj(fields) => {
            Pattern::Obj(fields.into_iter().map(|(key, names)| (bounded(key), pattern(names))).collect())
        }
    }
}
