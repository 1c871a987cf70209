//! What is wrong with a file, in the words of who wrote it: the parser's own speak to who programs with it.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

/// What to do when a text was taken for something else.
const QUOTE_ALIAS: &str = "an anchor `&name` comes before its alias `*name`; a text that begins with `*` needs quotes";
const QUOTE_TAG: &str = "a text that begins with `!` needs quotes";
const SPLIT: &str = "write less into one file";

/// The message and, where it is plain what to do, a hint. Neither quotes a value of the file: it may be a secret.
pub(super) fn of(error: &Error) -> (String, Option<&'static str>) {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => of(error),
        Error::MultipleDocuments { .. } => {
            ("there is more than one document".to_owned(), Some("keep one of those that `---` divides"))
        }
        Error::Eof { .. } => ("the file ends too early".to_owned(), None),
        Error::UnknownAnchor { .. } => ("the alias refers to nothing above it".to_owned(), Some(QUOTE_ALIAS)),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            ("the alias stands inside of what it refers to".to_owned(), Some("write out what is meant"))
        }
        Error::UnsupportedTag { .. } | Error::TaggedScalarCannotDeserializeIntoString { .. } => {
            ("the tag means nothing here".to_owned(), Some(QUOTE_TAG))
        }
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            ("what is tagged `!!binary` is not text in base64".to_owned(), Some("write the text itself"))
        }
        Error::NullIntoString { .. } => ("a key is empty".to_owned(), Some("give it a name, or quote it")),
        Error::Unexpected { expected: "string scalar", .. } => ("a list or map cannot be a key".to_owned(), None),
        Error::InvalidScalar { .. } => ("the value is not what its tag says".to_owned(), Some("leave out the tag")),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            ("`<<` takes in a map, or a list of maps, and this is neither".to_owned(), None)
        }
        Error::NonFiniteFloat { .. } => ("the number is not finite".to_owned(), Some("a text needs quotes")),
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            ("the aliases stand for more than one file may hold".to_owned(), Some("use fewer of them"))
        }
        Error::Budget { breach, .. } => (too_much(breach), Some(SPLIT)),
        other => (UserMessageFormatter.format_message(other).into_owned(), None),
    }
}

fn too_much(breach: &BudgetBreach) -> String {
    let what = match breach {
        BudgetBreach::Nodes { nodes } => format!("{nodes} keys, values, lists and maps"),
        BudgetBreach::Depth { depth } => format!("{depth} lists and maps inside of each other"),
        BudgetBreach::Aliases { aliases } | BudgetBreach::AliasAnchorRatio { aliases, .. } => {
            format!("{aliases} aliases")
        }
        BudgetBreach::Anchors { anchors } => format!("{anchors} anchors"),
        BudgetBreach::MergeKeys { merge_keys } => format!("{merge_keys} keys `<<`"),
        BudgetBreach::ScalarBytes { total_scalar_bytes } => format!("{total_scalar_bytes} bytes of text"),
        _ => return "this is more than one file may have".to_owned(),
    };
    format!("{what} are more than one file may have")
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = parse(text).unwrap_err();
        assert_eq!(error.message, expected);
    }

    #[test]
    fn messages_speak_of_the_file_and_not_of_the_parser() {
        check("a: 1\n---\nb: 2\n", "there is more than one document");
        check("a: &a\n  b: *a\n", "the alias stands inside of what it refers to");
        check("? [a]\n: 1\n", "a list or map cannot be a key");
        check("<<: 3\n", "`<<` takes in a map, or a list of maps, and this is neither");
        check("a: !!int x\n", "the value is not what its tag says");
        check("a: *b\n", "the alias refers to nothing above it");
        let many = format!("a: [{}]\n", "1,".repeat(300_000));
        let message = parse(&many).unwrap_err().message;
        assert!(message.ends_with(" are more than one file may have"), "{message}");
        let deep = "[".repeat(5_000);
        let message = parse(&deep).unwrap_err().message;
        assert!(!message.contains("breach") && !message.contains('{'), "{message}");
    }

    #[test]
    fn messages_do_not_quote_values() {
        for text in ["a: [hunter2]]\n", "a: [*hunter2]\n", "a: !!int hunter2\n", "? [hunter2]\n: x\n", "a: @hunter2\n"]
        {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
