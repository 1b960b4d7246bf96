//! Reads the function under `#[task]`.

use syn::{Expr, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, ReturnType, Type};

/// A function that is to become a task.
pub(crate) struct Function {
    /// The function as written, without the attributes that only this macro understands.
    pub(crate) item: ItemFn,
    /// Its arguments in order, the context among them.
    pub(crate) inputs: Vec<Input>,
    /// The type of its result.
    pub(crate) output: Type,
    /// Whether it returns a `Result`.
    pub(crate) fallible: bool,
    /// The first line of its documentation.
    pub(crate) description: String,
}

/// One input of the function.
pub(crate) enum Input {
    /// The job's context.
    Ctx,
    /// An argument.
    Argument(Box<Argument>),
}

/// One argument of the task.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) default: Option<Expr>,
}

impl Argument {
    /// Says whether a call may leave it out.
    pub(crate) fn is_optional(&self) -> bool {
        self.default.is_some() || last_segment_is(&self.ty, |name| name == "Option")
    }
}

impl Function {
    pub(crate) fn read(mut item: ItemFn) -> syn::Result<Self> {
        if let Some(param) = item.sig.generics.params.first() {
            return Err(syn::Error::new_spanned(
                param,
                "a task can't be generic: its name on the wire stands for one thing",
            ));
        }
        let inputs = item.sig.inputs.iter_mut().map(input).collect::<syn::Result<Vec<_>>>()?;
        let (output, fallible) = output(&item.sig.output);
        let description = description(&item);
        Ok(Self { item, inputs, output, fallible, description })
    }

    /// Returns the arguments without the context.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Argument> {
        self.inputs.iter().filter_map(|input| match input {
            Input::Argument(argument) => Some(&**argument),
            Input::Ctx => None,
        })
    }
}

fn input(arg: &mut FnArg) -> syn::Result<Input> {
    let FnArg::Typed(typed) = arg else {
        return Err(syn::Error::new_spanned(arg, "a task is a free function, it has no self"));
    };
    if last_segment_is(&typed.ty, |name| name == "Ctx") {
        return Ok(Input::Ctx);
    }
    if let Type::Reference(reference) = &*typed.ty {
        return Err(syn::Error::new_spanned(
            reference,
            "a task owns its arguments: they come from a message",
        ));
    }
    let Pat::Ident(name) = &*typed.pat else {
        return Err(syn::Error::new_spanned(
            &typed.pat,
            "an argument of a task needs a plain name, which callers use",
        ));
    };
    let (name, ty) = (name.ident.clone(), (*typed.ty).clone());
    let mut default = None;
    let mut rest = Vec::new();
    for attribute in typed.attrs.drain(..) {
        if attribute.path().is_ident("default") {
            default = Some(attribute.parse_args()?);
        } else {
            rest.push(attribute);
        }
    }
    typed.attrs = rest;
    Ok(Input::Argument(Box::new(Argument { name, ty, default })))
}

/// Returns the type of the result, and whether it comes in a `Result`.
fn output(output: &ReturnType) -> (Type, bool) {
    let ReturnType::Type(_, ty) = output else {
        return (syn::parse_quote!(()), false);
    };
    if let Type::Path(path) = &**ty
        && let Some(segment) = path.path.segments.last()
        && segment.ident.to_string().ends_with("Result")
        && let PathArguments::AngleBracketed(generics) = &segment.arguments
        && let Some(GenericArgument::Type(ok)) = generics.args.first()
    {
        return (ok.clone(), true);
    }
    ((**ty).clone(), false)
}

fn last_segment_is(ty: &Type, test: impl Fn(&Ident) -> bool) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| test(&segment.ident)))
}

fn description(item: &ItemFn) -> String {
    let docs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let mut lines = docs.filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}
