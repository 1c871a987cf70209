//! Who we are to a registry: what `docker login` and its relatives have left, in the file, in a helper, or in a keychain.

use std::env;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

use crate::cli::Hint;

/// The registry that references without one mean, and the name under which tools keep its credentials.
const DOCKER_HUB: &str = "index.docker.io";
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// What helpers say of a registry that nobody has logged in to.
const NOT_FOUND: &str = "credentials not found";

/// The credentials for a registry; none where nobody has logged in.
///
/// # Errors
/// When there are some, and they cannot be had or used.
pub(super) fn of(registry: &str) -> anyhow::Result<RegistryAuth> {
    match file() {
        Some(path) => from(&path, registry).with_context(|| Hint {
            message: format!("the credentials for {registry} cannot be had by {}", path.display()),
            hint: format!("`docker login {registry}` writes them; DOCKER_CONFIG names another folder"),
        }),
        None => Ok(RegistryAuth::Anonymous),
    }
}

fn file() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn from(path: &Path, registry: &str) -> anyhow::Result<RegistryAuth> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RegistryAuth::Anonymous),
        Err(error) => return Err(error.into()),
    };
    let key = if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry };
    match get_credential_from_reader(BufReader::new(file), key) {
        Ok(DockerCredential::UsernamePassword(name, password)) => Ok(RegistryAuth::Basic(name, password)),
        Ok(DockerCredential::IdentityToken(_)) => {
            Err(anyhow!("they are an identity token, which is not supported: log in with a name and an access token"))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains(NOT_FOUND) => {
            Ok(RegistryAuth::Anonymous)
        }
        // What a helper printed to standard output may be a credential.
        Err(CredentialRetrievalError::HelperFailure { helper, stderr, .. }) => {
            Err(anyhow!("`{helper}` failed: {}", stderr.trim()))
        }
        Err(CredentialRetrievalError::ConfigReadError) => Err(anyhow!("it cannot be read, or is not JSON")),
        Err(error) => Err(anyhow!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(config: &str, registry: &str) -> anyhow::Result<RegistryAuth> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, config).unwrap();
        from(&path, registry)
    }

    #[test]
    fn a_login_is_found_by_its_registry() {
        // `name:pass`
        let config = r#"{"auths": {"localhost:5000": {"auth": "bmFtZTpwYXNz"},
                         "https://index.docker.io/v1/": {"auth": "aHViOnBhc3M="}}}"#;
        let basic = |name: &str| RegistryAuth::Basic(name.to_owned(), "pass".to_owned());
        assert_eq!(read(config, "localhost:5000").unwrap(), basic("name"));
        assert_eq!(read(config, DOCKER_HUB).unwrap(), basic("hub"));
        assert_eq!(read(config, "ghcr.io").unwrap(), RegistryAuth::Anonymous);
        assert_eq!(from(Path::new("no/such/config.json"), "ghcr.io").unwrap(), RegistryAuth::Anonymous);
    }

    #[test]
    fn what_is_there_and_cannot_be_used_is_no_reason_to_go_without() {
        let refused = |config: &str| read(config, "ghcr.io").unwrap_err().to_string();
        assert!(refused("{").contains("not JSON"));
        assert!(refused(r#"{"auths": {"ghcr.io": {"identitytoken": "hunter2"}}}"#).contains("identity token"));
        let missing = refused(r#"{"credHelpers": {"ghcr.io": "no-such-helper-at-all"}}"#);
        assert!(missing.contains("credential helper"), "{missing}");
        let secret = refused(r#"{"auths": {"ghcr.io": {"auth": "hunter2!"}}}"#);
        assert!(!secret.contains("hunter2"), "{secret}");
    }
}
