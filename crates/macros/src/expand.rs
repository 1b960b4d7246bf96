//! Writes the type, the signature's constructor and the trait.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::Path;

use crate::options::Options;
use crate::signature::{Argument, Function, Input};

/// Writes everything that a task is.
pub(crate) fn task(options: &Options, function: &Function) -> TokenStream {
    let krate = &options.krate;
    let name = &options.name;
    let ident = &function.item.sig.ident;
    let vis = &function.item.vis;
    let docs = function.item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let docs: Vec<_> = docs.collect();
    let names: Vec<_> = function.arguments().map(|argument| &argument.name).collect();
    let types: Vec<_> = function.arguments().map(|argument| &argument.ty).collect();
    let params = function.arguments().map(|argument| param(krate, argument));
    let args = args(krate, function);
    let task_options = task_options(options, &function.description);
    let body = body(krate, function);
    let (output, unread) = (&function.output, unread_args(function));
    quote! {
        #(#docs)*
        #[expect(non_camel_case_types, reason = "the type bears the function's name")]
        #vis struct #ident {}

        #(#docs)*
        ///
        /// Joins the task with its arguments; nothing is sent yet.
        #vis fn #ident(#(#names: #types),*) -> #krate::Signature<#ident> {
            #ident::__signature(#(#names),*)
        }

        const _: () = {
            #args

            impl #ident {
                fn __signature(#(#names: #types),*) -> #krate::Signature<Self> {
                    #krate::Signature::new(&__Args { #(#names),* })
                }
            }

            impl #krate::Task for #ident {
                type Args = __Args;
                type Output = #output;
                const NAME: &'static str = #name;
                const PARAMS: &'static [#krate::Param] = &[#(#params),*];

                fn options() -> #krate::TaskOptions {
                    #task_options
                }

                async fn run(args: __Args, ctx: #krate::Ctx) -> ::core::result::Result<#output, #krate::TaskError> {
                    #unread
                    #body
                }
            }
        };
    }
}

/// Keeps the compiler from warning where a task takes neither arguments nor context.
fn unread_args(function: &Function) -> TokenStream {
    let takes_ctx = function.inputs.iter().any(|input| matches!(input, Input::Ctx));
    let args = function.arguments().next().is_none().then(|| quote!(let __Args {} = args;));
    let ctx = (!takes_ctx && function.item.sig.asyncness.is_some()).then(|| quote!(drop(ctx);));
    quote!(#args #ctx)
}

fn param(krate: &Path, argument: &Argument) -> TokenStream {
    let name = plain_name(argument);
    let ty = argument.ty.to_token_stream().to_string().replace(' ', "");
    let kind = if argument.is_optional() { format_ident!("optional") } else { format_ident!("required") };
    quote!(#krate::Param::#kind(#name, #ty))
}

fn plain_name(argument: &Argument) -> String {
    let name = argument.name.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

/// Writes the struct of the arguments, with a function for each default.
fn args(krate: &Path, function: &Function) -> TokenStream {
    let serde_path = format!("{}::export::serde", krate.to_token_stream().to_string().replace(' ', ""));
    let serde = quote!(#krate::export::serde);
    let fields = function.arguments().map(|argument| {
        let (name, ty) = (&argument.name, &argument.ty);
        let default = match &argument.default {
            Some(_) => {
                let make = format!("__default_{}", plain_name(argument));
                quote!(#[serde(default = #make)])
            }
            None if argument.is_optional() => quote!(#[serde(default)]),
            None => quote!(),
        };
        quote!(#default #name: #ty)
    });
    let defaults = function.arguments().filter_map(|argument| {
        let (value, ty) = (argument.default.as_ref()?, &argument.ty);
        let make = format_ident!("__default_{}", plain_name(argument));
        Some(quote!(fn #make() -> #ty { #value }))
    });
    quote! {
        #(#defaults)*

        /// The arguments of the task.
        #[derive(#serde::Serialize, #serde::Deserialize)]
        #[serde(crate = #serde_path)]
        pub struct __Args { #(#fields),* }
    }
}

fn body(krate: &Path, function: &Function) -> TokenStream {
    let mut inner = function.item.clone();
    inner.sig.ident = format_ident!("__body");
    inner.vis = syn::Visibility::Inherited;
    inner.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
    let call = function.inputs.iter().map(|input| match input {
        Input::Ctx => quote!(ctx),
        Input::Argument(argument) => {
            let name = &argument.name;
            quote!(args.#name)
        }
    });
    let convert = quote!(map_err(|error| -> #krate::TaskError { ::core::convert::From::from(error) }));
    match (function.item.sig.asyncness.is_some(), function.fallible) {
        (true, true) => quote!(#inner __body(#(#call),*).await.#convert),
        (true, false) => quote!(#inner ::core::result::Result::Ok(__body(#(#call),*).await)),
        (false, fallible) => {
            let takes_ctx = function.inputs.iter().any(|input| matches!(input, Input::Ctx));
            let ctx = if takes_ctx { quote!(ctx) } else { quote!(_) };
            let result = if fallible {
                quote!(__body(#(#call),*).#convert)
            } else {
                quote!(::core::result::Result::Ok(__body(#(#call),*)))
            };
            quote!(#inner ctx.blocking(move |#ctx| #result).await)
        }
    }
}

fn task_options(options: &Options, description: &str) -> TokenStream {
    let krate = &options.krate;
    let (aliases, states) = (&options.aliases, &options.states);
    let mut set = vec![quote!(options.description = #description;)];
    if !aliases.is_empty() {
        set.push(quote!(options.aliases = ::std::vec![#(#aliases),*];));
    }
    set.extend(
        options.queue.iter().map(|queue| quote!(options.queue = ::core::option::Option::Some(#queue);)),
    );
    set.extend(
        options.priority.map(|priority| quote!(options.priority = ::core::option::Option::Some(#priority);)),
    );
    set.extend(options.serializer.iter().map(
        |serializer| quote!(options.serializer = ::core::option::Option::Some(#krate::Serializer::#serializer);),
    ));
    set.extend(options.compression.iter().map(
        |compression| quote!(options.compression = ::core::option::Option::Some(#krate::Compression::#compression);),
    ));
    set.extend(
        options.job_type.iter().map(|label| quote!(options.job_type = ::core::option::Option::Some(#label);)),
    );
    set.extend(retry(options));
    if !options.retry_on.is_empty() {
        let types = &options.retry_on;
        let test = quote!(error.chain().any(|cause| false #(|| cause.is::<#types>())*));
        set.push(quote!(options.retry_on = |error: &#krate::export::anyhow::Error| #test;));
    }
    set.extend(options.soft_time_limit.map(|limit| {
        let limit = millis(limit);
        quote!(options.soft_limit = ::core::option::Option::Some(#limit);)
    }));
    set.extend(options.time_limit.map(|limit| {
        let limit = millis(limit);
        quote!(options.hard_limit = ::core::option::Option::Some(#limit);)
    }));
    if options.ignore_result {
        set.push(quote!(options.ignore_result = true;));
    }
    set.extend(options.acks_late.map(|late| quote!(options.acks_late = #late;)));
    set.extend(options.record.iter().map(|level| quote!(options.record = #krate::RecordLevel::#level;)));
    if !options.schedules.is_empty() {
        let schedules = options.schedules.iter().map(|schedule| schedule.expand(krate));
        set.push(quote!(options.schedules = ::std::vec![#(#schedules),*];));
    }
    if !states.is_empty() {
        set.push(quote!(options.needs = ::std::vec![#(#krate::Need::of::<#states>()),*];));
    }
    quote! {
        let mut options = #krate::TaskOptions::default();
        #(#set)*
        options
    }
}

fn retry(options: &Options) -> Vec<TokenStream> {
    let krate = &options.krate;
    let mut set = Vec::new();
    if let Some(max) = options.max_retries {
        let max = match max {
            Some(max) => quote!(::core::option::Option::Some(#max)),
            None => quote!(::core::option::Option::None),
        };
        set.push(quote!(options.retry.max_retries = #max;));
    }
    if let Some(delay) = options.default_retry_delay.map(millis) {
        // A fixed wait is meant as it is said; jitter must be asked for.
        set.push(quote!(options.retry.backoff = #krate::Backoff::Fixed { delay: #delay }; options.retry.jitter = false;));
    } else if options.retry_backoff.is_some() || options.retry_backoff_max.is_some() {
        let base = millis(options.retry_backoff.unwrap_or(Duration::from_secs(1)));
        let cap = millis(options.retry_backoff_max.unwrap_or(Duration::from_secs(600)));
        set.push(quote!(options.retry.backoff = #krate::Backoff::Exponential { base: #base, cap: #cap };));
    }
    set.extend(options.retry_jitter.map(|jitter| quote!(options.retry.jitter = #jitter;)));
    set
}

/// Writes a duration.
pub(crate) fn millis(duration: Duration) -> TokenStream {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    quote!(::core::time::Duration::from_millis(#millis))
}
