//! What is wrong with a journal that cannot be opened, in the words of who has to do something about it.

use std::io::ErrorKind;
use std::path::Path;

use ::redb::{DatabaseError, StorageError};

use super::tables::Refusal;
use crate::cli::Hint;

/// What to do about a file of ours that is not whole. Nothing removes it by itself: it may be the only copy there is.
const DAMAGED: &str = "it is left as it is: put a copy of it from before in its place, or move it away to begin with no incidents \
                       (those that are still open come back with their next webhook)";

pub(super) fn cannot_open(path: &Path) -> String {
    format!("cannot open the journal {}", path.display())
}

/// Journals are never empty, not even new ones.
pub(super) fn empty(path: &Path) -> anyhow::Error {
    Hint::error(
        format!("{} is empty, and so no journal", path.display()),
        "it is left as it is: if a journal was there, put a copy of it from before in its place; else remove it, and one is made",
    )
}

/// An error that names the file and, where there is something to do, says what.
pub(super) fn opening(path: &Path, refusal: Refusal) -> anyhow::Error {
    let path = path.display();
    let damaged = |what: &str| Hint::error(format!("the journal {path} is damaged: {what}"), DAMAGED);
    let error = match refusal {
        Refusal::Foreign => {
            return Hint::error(
                format!("{path} is no journal of faultline: it is a database that holds something else"),
                "it is left as it is: name another file",
            );
        }
        Refusal::Version(_) => {
            return Hint::error(
                format!("the journal {path} cannot be used: {refusal}"),
                "it is left as it is: use the newer faultline that wrote it, or name another file",
            );
        }
        Refusal::Database(error) => error,
    };
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Hint::error(
            format!("the journal {path} is in use by another process"),
            "a journal belongs to one server at a time: ask that server, stop it, or name another file",
        ),
        DatabaseError::UpgradeRequired(version) => Hint::error(
            format!("the journal {path} has version {version} of redb's format, which this faultline does not read"),
            "it is left as it is: use the faultline that wrote it, or name another file",
        ),
        DatabaseError::Storage(StorageError::Corrupted(what)) => damaged(&what),
        // The second is what a copy in memory says.
        DatabaseError::Storage(StorageError::Io(error))
            if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidInput) =>
        {
            damaged("it ends too early")
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => Hint::error(
            format!("{path} is no journal of faultline"),
            "it is left as it is: name another file; one that does not exist is made",
        ),
        error => anyhow::Error::new(error).context(format!("cannot open the journal {path}")),
    }
}
