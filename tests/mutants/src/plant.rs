//! Plants changes: those that cargo-mutants would make, each behind a number that is asked at run time.

use crate::Outcome;
use quote::{ToTokens, quote};
use std::collections::BTreeSet;
use std::path::Path;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, Pat, Stmt, Type, UnOp, parse_quote, spanned::Spanned};

/// One change.
#[derive(Debug, Clone)]
pub struct Mutant {
    pub number: u32,
    pub file: String,
    pub line: usize,
    pub function: String,
    /// What it does, in the manner of cargo-mutants.
    pub change: String,
    /// Which of its file's changes of this kind in this function.
    pub turn: usize,
}

/// The file's text with every change of it planted but the unviable; their list is extended in any case.
pub fn plant(text: &str, path: &Path, unviable: &BTreeSet<u32>, mutants: &mut Vec<Mutant>) -> Outcome<String> {
    let mut file = syn::parse_file(text)?;
    let mut planter = Planter { unviable, mutants, file: path.display().to_string(), names: Vec::new() };
    planter.visit_file_mut(&mut file);
    Ok(prettyplease::unparse(&file))
}

struct Planter<'a> {
    unviable: &'a BTreeSet<u32>,
    mutants: &'a mut Vec<Mutant>,
    file: String,
    /// The type and the functions that are being visited.
    names: Vec<String>,
}

impl Planter<'_> {
    /// The expression that asks whether a change runs; `None` where it does not compile.
    fn asked(&mut self, line: usize, change: String) -> Option<Expr> {
        let number = u32::try_from(self.mutants.len()).ok()?;
        let (file, function) = (self.file.clone(), self.names.join("::"));
        let alike = |other: &&Mutant| other.file == file && other.function == function && other.change == change;
        let turn = 1 + self.mutants.iter().filter(alike).count();
        self.mutants.push(Mutant { number, file, line, function, change, turn });
        (!self.unviable.contains(&number)).then(|| parse_quote!(crate::planted::on(#number)))
    }

    fn function(&mut self, name: String, output: &syn::ReturnType, block: &mut Block) {
        self.names.push(name);
        let line = block.span().start().line;
        let bodies = match output {
            syn::ReturnType::Default => vec![quote!(())],
            syn::ReturnType::Type(_, of) => values(of),
        };
        let mut planted: Vec<Stmt> = Vec::new();
        for body in bodies {
            if let Some(on) = self.asked(line, format!("return {body}")) {
                planted.push(parse_quote!(if #on { return #body; }));
            }
        }
        visit_mut::visit_block_mut(self, block);
        block.stmts.splice(0..0, planted);
        self.names.pop();
    }

    /// Alternatives to a binary operation, its two sides evaluated once.
    fn binary(&mut self, expr: &mut Expr) {
        let Expr::Binary(binary) = &*expr else { return };
        let (op, line) = (binary.op, binary.op.span().start().line);
        let named = |other: &BinOp| format!("{} -> {}", op.to_token_stream(), other.to_token_stream());
        let (left, right) = (&binary.left, &binary.right);
        let others: Vec<(Expr, BinOp)> =
            alternatives(&op).into_iter().filter_map(|other| Some((self.asked(line, named(&other))?, other))).collect();
        if others.is_empty() {
            return;
        }
        *expr = match op {
            BinOp::And(_) | BinOp::Or(_) => {
                let on = &others[0].0;
                parse_quote!({ let __m = #on; ((__m ^ (#left)) #op (__m ^ (#right))) ^ __m })
            }
            BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
                let (ons, ops): (Vec<_>, Vec<_>) = others.into_iter().unzip();
                parse_quote!((match (&(#left), &(#right)) {
                    (l, r) => { #(if #ons { *l #ops *r } else)* { *l #op *r } }
                }))
            }
            _ if is_assignment(&op) => {
                let (ons, ops): (Vec<_>, Vec<_>) = others.into_iter().unzip();
                parse_quote!({ let __r = #right; #(if #ons { #left #ops __r; } else)* { #left #op __r; } })
            }
            _ => {
                let (ons, ops): (Vec<_>, Vec<_>) = others.into_iter().unzip();
                parse_quote!((match (#left, #right) {
                    (l, r) => { #(if #ons { l #ops r } else)* { l #op r } }
                }))
            }
        };
    }
}

impl VisitMut for Planter<'_> {
    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}

    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}

    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        if is_test(&item.attrs) {
            return;
        }
        let of = &item.self_ty;
        let name = match &**of {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
            other => quote!(#other).to_string(),
        };
        self.names.push(name);
        visit_mut::visit_item_impl_mut(self, item);
        self.names.pop();
    }

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        if !is_test(&item.attrs) && item.sig.constness.is_none() {
            self.function(item.sig.ident.to_string(), &item.sig.output, &mut item.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        if !is_test(&item.attrs) && item.sig.constness.is_none() {
            self.function(item.sig.ident.to_string(), &item.sig.output, &mut item.block);
        }
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        if let Some(block) = &mut item.default {
            self.function(item.sig.ident.to_string(), &item.sig.output, block);
        }
    }

    // An attribute, a type's length and a pattern are no place for a question.
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}

    fn visit_type_mut(&mut self, _: &mut Type) {}

    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_expr_match_mut(&mut self, item: &mut syn::ExprMatch) {
        visit_mut::visit_expr_match_mut(self, item);
        let is_wild = |arm: &syn::Arm| matches!(arm.pat, Pat::Wild(_)) && arm.guard.is_none();
        let has_wild = item.arms.iter().any(is_wild);
        for arm in &mut item.arms {
            let line = arm.span().start().line;
            let pat = arm.pat.to_token_stream().to_string();
            if let Some((_, guard)) = arm.guard.take() {
                let always = self.asked(line, format!("guard -> true in {pat}"));
                let never = self.asked(line, format!("guard -> false in {pat}"));
                let guard: Expr = always.map_or_else(|| parse_quote!((#guard)), |on| parse_quote!((#on || (#guard))));
                let guard: Expr = never.map_or_else(|| guard.clone(), |on| parse_quote!(!#on && #guard));
                arm.guard = Some((Default::default(), Box::new(guard)));
            }
            if has_wild
                && !is_wild(arm)
                && let Some(on) = self.asked(line, format!("delete arm {pat}"))
            {
                let guard: Expr = match arm.guard.take() {
                    Some((_, guard)) => parse_quote!(!#on && #guard),
                    None => parse_quote!(!#on),
                };
                arm.guard = Some((Default::default(), Box::new(guard)));
            }
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        match &*expr {
            // A chain of `let` conditions cannot be taken apart.
            Expr::Binary(binary) if !has_let(&binary.left) && !has_let(&binary.right) => self.binary(expr),
            Expr::Unary(unary) => {
                let (line, operand) = (unary.op.span().start().line, &unary.expr);
                let (op, is_mutated) = match unary.op {
                    UnOp::Not(_) => ("!", true),
                    UnOp::Neg(_) => ("-", !matches!(**operand, Expr::Lit(_))),
                    _ => ("", false),
                };
                if is_mutated && let Some(on) = self.asked(line, format!("delete {op}")) {
                    let op = unary.op;
                    *expr = parse_quote!((match #operand { o => if #on { o } else { #op o } }));
                }
            }
            Expr::Struct(item) if item.rest.is_some() => {
                let line = item.span().start().line;
                let mut changed: Expr = expr.clone();
                let Expr::Struct(item) = expr.clone() else { return };
                for (place, field) in item.fields.iter().enumerate() {
                    let name = field.member.to_token_stream().to_string();
                    if let Some(on) = self.asked(line, format!("delete field {name}")) {
                        let mut without = item.clone();
                        let fields = item.fields.iter().enumerate().filter(|(other, _)| *other != place);
                        without.fields = fields.map(|(_, field)| field.clone()).collect();
                        changed = parse_quote!((if #on { #without } else { #changed }));
                    }
                }
                *expr = changed;
            }
            _ => {}
        }
    }
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let text = attr.to_token_stream().to_string().replace(' ', "");
        text == "#[test]" || text.starts_with("#[cfg(test)")
    })
}

/// Whether an expression is, or joins by `&&`, a `let` condition.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Block(block) => {
            block.block.stmts.iter().any(|stmt| matches!(stmt, Stmt::Expr(expr, None) if has_let(expr)))
        }
        _ => false,
    }
}

fn is_assignment(op: &BinOp) -> bool {
    op.to_token_stream().to_string().ends_with('=')
        && !matches!(op, BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Le(_) | BinOp::Ge(_))
}

fn alternatives(op: &BinOp) -> Vec<BinOp> {
    let ops: &[&str] = match op.to_token_stream().to_string().as_str() {
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &["==", ">", "<="],
        ">" => &["==", "<", ">="],
        "<=" => &[">", "<"],
        ">=" => &["<", ">"],
        "&&" => &["||"],
        "||" => &["&&"],
        "+" => &["-", "*"],
        "-" => &["+", "/"],
        "*" => &["+", "/"],
        "/" => &["%", "*"],
        "%" => &["/", "+"],
        "<<" => &[">>"],
        ">>" => &["<<"],
        "&" => &["|", "^"],
        "|" => &["&", "^"],
        "^" => &["|", "&"],
        "+=" => &["-=", "*="],
        "-=" => &["+=", "/="],
        "*=" => &["+=", "/="],
        "/=" => &["%=", "*="],
        "%=" => &["/=", "+="],
        "<<=" => &[">>="],
        ">>=" => &["<<="],
        "&=" => &["|=", "^="],
        "|=" => &["&=", "^="],
        "^=" => &["|=", "&="],
        _ => &[],
    };
    ops.iter().filter_map(|op| syn::parse_str(op).ok()).collect()
}

/// Values that a function of this type could return without doing its work.
fn values(of: &Type) -> Vec<proc_macro2::TokenStream> {
    match of {
        Type::Path(path) => path.path.segments.last().map(named).unwrap_or_default(),
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec![quote!(())],
        Type::Tuple(tuple) => {
            // All firsts, and all lasts: not every combination, of which there are many.
            let elems: Vec<_> = tuple.elems.iter().map(values).collect();
            if elems.iter().any(Vec::is_empty) {
                return Vec::new();
            }
            let firsts = elems.iter().map(|of| &of[0]);
            let lasts = elems.iter().map(|of| &of[of.len() - 1]);
            vec![quote!((#(#firsts),*)), quote!((#(#lasts),*))]
        }
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => vec![quote!(""), quote!("xyzzy")],
            Type::Slice(_) => vec![quote!(&[])],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The same of a type by its name; of what it holds, its first argument tells.
fn named(of: &syn::PathSegment) -> Vec<proc_macro2::TokenStream> {
    let first = match &of.arguments {
        syn::PathArguments::AngleBracketed(args) => args.args.iter().find_map(|arg| match arg {
            syn::GenericArgument::Type(of) => Some(of),
            _ => None,
        }),
        _ => None,
    };
    let held = first.map(values).unwrap_or_default();
    match of.ident.to_string().as_str() {
        "bool" => vec![quote!(true), quote!(false)],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => vec![quote!(0), quote!(1)],
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => vec![quote!(0), quote!(1), quote!(-1)],
        "f32" | "f64" => vec![quote!(0.0), quote!(1.0)],
        "String" => vec![quote!(String::new()), quote!("xyzzy".into())],
        "Option" => [quote!(None)].into_iter().chain(held.iter().map(|value| quote!(Some(#value)))).collect(),
        "Result" => held.iter().map(|value| quote!(Ok(#value))).collect(),
        "Vec" => [quote!(Vec::new())].into_iter().chain(held.iter().map(|value| quote!(vec![#value]))).collect(),
        "Rows" | "RowSet" => {
            let set = &of.ident;
            vec![quote!(#set::EMPTY)]
        }
        _ => vec![quote!(Default::default())],
    }
}
