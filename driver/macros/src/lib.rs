//! `#[derive(TypedEvent)]`: the trait's documentation in `sockeye-tokio` and `sockeye-async-std` says what it does.
//!
//! There is one derive for each crate that exports the trait, since generated code can name that crate alone: an
//! application that depends on `sockeye-tokio` has no `sockeye_driver`. All are called `TypedEvent` where they are exported.
#![forbid(unsafe_code)]

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote};
use syn::{
    Data, DeriveInput, Error, Fields, Ident, LitStr, Member, Path, Type, ext::IdentExt as _, meta::ParseNestedMeta,
    parse_quote, spanned::Spanned as _,
};

/// For those who use `sockeye-driver` itself.
#[proc_macro_derive(TypedEvent, attributes(event))]
pub fn of_driver(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input, parse_quote!(::sockeye_driver))
}

/// What `sockeye-tokio` exports.
#[proc_macro_derive(TypedEventOfTokio, attributes(event))]
pub fn of_tokio(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input, parse_quote!(::sockeye_tokio))
}

/// What `sockeye-async-std` exports.
#[proc_macro_derive(TypedEventOfAsyncStd, attributes(event))]
pub fn of_async_std(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(input, parse_quote!(::sockeye_async_std))
}

fn expand(input: proc_macro::TokenStream, exported_by: Path) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    derive(&input, exported_by).unwrap_or_else(Error::into_compile_error).into()
}

/// As many arguments as serde reads and writes of a tuple.
const MAX_ARGUMENTS: usize = 16;

/// The implementation for a struct; `exported_by` is the crate that has the trait.
fn derive(input: &DeriveInput, exported_by: Path) -> Result<TokenStream, Error> {
    let fields = fields(input)?;
    let Options { name, ack, exported_by } = Options::read(input, exported_by)?;
    let event = &input.ident;

    // A tuple even of one field, so that a field which is a tuple is one argument, too.
    let members: Vec<Member> = fields.members().collect();
    let values: Vec<Ident> = (0..members.len()).map(|n| format_ident!("argument_{n}")).collect();
    let read = if members.is_empty() {
        // There is nothing to read in arguments that are too many.
        quote!(let _ = args;)
    } else {
        quote!(let (#(#values,)*) = args.deserialize()?;)
    };

    Ok(quote! {
        #[automatically_derived]
        #[allow(clippy::unused_unit)] // Of an event without arguments.
        impl #exported_by::TypedEvent for #event {
            const NAME: &'static str = #name;
            type Ack = #ack;

            fn args(&self) -> impl #exported_by::__private::Serialize {
                (#(&self.#members,)*)
            }

            fn from_args(args: &#exported_by::RawArgs) -> ::core::result::Result<Self, #exported_by::ArgsError> {
                #read
                ::core::result::Result::Ok(Self { #(#members: #values),* })
            }
        }

        const _: () = #exported_by::__private::refuse_reserved(#name);
    })
}

/// The arguments of an event, if it can be one.
fn fields(input: &DeriveInput) -> Result<&Fields, Error> {
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => {
            let message = "an event is a struct: an enum is no event, but may be an argument of one";
            return Err(Error::new(data.enum_token.span, message));
        }
        Data::Union(data) => return Err(Error::new(data.union_token.span, "an event is a struct")),
    };
    if !input.generics.params.is_empty() {
        let message = "an event has no generic parameters: its name stands for one list of arguments, which it owns";
        return Err(Error::new(input.generics.span(), message));
    }
    if let Some(field) = data.fields.iter().nth(MAX_ARGUMENTS) {
        let message = format!("an event has at most {MAX_ARGUMENTS} arguments: put some of them into a struct");
        return Err(Error::new(field.span(), message));
    }
    if let Some(attribute) = data.fields.iter().flat_map(|field| &field.attrs).find(|a| a.path().is_ident("event")) {
        return Err(Error::new(attribute.span(), "`#[event(..)]` is for the struct: its fields have no options"));
    }
    Ok(&data.fields)
}

/// What `#[event(..)]` says, or what goes without saying.
struct Options {
    name: LitStr,
    ack: Type,
    exported_by: Path,
}

impl Options {
    fn read(input: &DeriveInput, exported_by: Path) -> Result<Self, Error> {
        let (mut name, mut ack, mut other_crate) = (None, None, None);
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("event")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    let value = meta.value()?.parse()?;
                    set(&meta, &mut name, value)
                } else if meta.path.is_ident("ack") {
                    let value = meta.value()?.parse()?;
                    set(&meta, &mut ack, value)
                } else if meta.path.is_ident("crate") {
                    let value = meta.value()?.call(Path::parse_mod_style)?;
                    set(&meta, &mut other_crate, value)
                } else {
                    let unknown = meta.path.to_token_stream();
                    Err(meta.error(format!("no option of events: `{unknown}`; there are `name`, `ack` and `crate`")))
                }
            })?;
        }
        Ok(Self {
            name: name.unwrap_or_else(|| event_name(&input.ident)),
            ack: ack.unwrap_or_else(|| parse_quote!(())),
            exported_by: other_crate.unwrap_or(exported_by),
        })
    }
}

/// Takes an option's value, once.
fn set<T>(meta: &ParseNestedMeta<'_>, option: &mut Option<T>, value: T) -> Result<(), Error> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("given twice")),
    }
}

/// A type's name in snake case, where a row of capitals is one word: `chat_message`, `http_request`, `level2`.
fn event_name(event: &Ident) -> LitStr {
    let ident = event.unraw().to_string();
    let mut name = String::new();
    let mut before = None;
    let mut rest = ident.chars().peekable();
    while let Some(letter) = rest.next() {
        let begins_word = letter.is_uppercase()
            && before.is_some_and(|before: char| {
                before.is_lowercase() || before.is_numeric() || rest.peek().is_some_and(|next| next.is_lowercase())
            });
        if begins_word && !name.ends_with('_') {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
        before = Some(letter);
    }
    LitStr::new(&name, Span::call_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the derive says of some Rust that it refuses.
    #[track_caller]
    fn refused(input: &str) -> String {
        let input = syn::parse_str(input).unwrap();
        derive(&input, parse_quote!(::sockeye_driver)).unwrap_err().to_string()
    }

    #[test]
    fn names_are_snake_case() {
        for (event, name) in [
            ("ChatMessage", "chat_message"),
            ("Ping", "ping"),
            ("X", "x"),
            ("HTTPRequest", "http_request"),
            ("LoadURL", "load_url"),
            ("Level2", "level2"),
            ("Level2Up", "level2_up"),
            ("already_snake", "already_snake"),
            ("Half_Snake", "half_snake"),
            ("r#type", "type"),
            ("Äußerung", "äußerung"),
        ] {
            assert_eq!(event_name(&syn::parse_str(event).unwrap()).value(), name, "{event}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert!(refused("enum Shape { Circle, Square }").starts_with("an event is a struct: an enum is no event"));
        assert_eq!(refused("union Either { a: u8, b: i8 }"), "an event is a struct");
        for generic in
            ["struct Set<T> { value: T }", "struct Say<'a>(&'a str);", "struct Sum<const N: usize>([u8; N]);"]
        {
            assert!(refused(generic).starts_with("an event has no generic parameters"), "{generic}");
        }
        assert_eq!(
            refused("struct Say { #[event(name = \"text\")] text: String }"),
            "`#[event(..)]` is for the struct: its fields have no options"
        );
    }

    #[test]
    fn there_are_as_many_arguments_as_serde_has_for_a_tuple() {
        let fields = |count: usize| format!("struct Many({});", "u8, ".repeat(count));
        let input = syn::parse_str(&fields(MAX_ARGUMENTS)).unwrap();
        derive(&input, parse_quote!(::sockeye_driver)).unwrap();
        assert_eq!(
            refused(&fields(MAX_ARGUMENTS + 1)),
            "an event has at most 16 arguments: put some of them into a struct"
        );
    }

    #[test]
    fn options_are_known_and_given_once() {
        assert_eq!(
            refused("#[event(nam = \"say\")] struct Say(String);"),
            "no option of events: `nam`; there are `name`, `ack` and `crate`"
        );
        assert_eq!(refused("#[event(name = \"a\", name = \"b\")] struct Say(String);"), "given twice");
        assert_eq!(refused("#[event(ack = u8)] #[event(ack = u8)] struct Say(String);"), "given twice");
        assert_eq!(refused("#[event(name = 1)] struct Say(String);"), "expected string literal");
    }
}
